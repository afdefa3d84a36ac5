#include <string>

#include "absl/status/status.h"
#include "daemon/identity/identity.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::identity {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kToday[] = "2026-11-21";

Customer Good() {
  return {.organization = "โรงพยาบาลกรุงเทพ",
          .customer_id = "BGK001",
          .application_name = "SMC_Cabinet_Ward_A"};
}

std::string Repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

TEST(CustomerTest, TakesWhatTheFormAllows) {
  Customer customer = Good();
  EXPECT_TRUE(ValidateCustomer(customer, kToday).ok());
  for (const char* id : {"ABC", "000", "A1B2C3D4E5"}) {
    customer.customer_id = id;
    EXPECT_TRUE(ValidateCustomer(customer, kToday).ok()) << id;
  }
  customer.organization = Repeated("ก", 200);
  customer.application_name = Repeated("🌐", 100);
  EXPECT_TRUE(ValidateCustomer(customer, kToday).ok());
  for (const char* date : {"", "2026-11-22", "2028-02-29", "2126-12-31"}) {
    customer.expiry_date = date;
    EXPECT_TRUE(ValidateCustomer(customer, kToday).ok()) << date;
  }
}

TEST(CustomerTest, RefusesCustomerIdsNamingTheFieldAndTheReason) {
  struct Case {
    std::string id;
    std::string said;
  };
  const Case cases[] = {
      {"", "customer_id is empty"},
      {"AB", "customer_id has 2 characters"},
      {"ABCDEFGHIJK", "customer_id has 11 characters"},
      {"bgk001", "customer_id has lower-case letters"},
      {"BGK๐๐๑", "customer_id has characters that are not A-Z or 0-9 of the English keyboard"},
      {"ＢＧＫ００１", "English keyboard"},
      {"BGK 01", "customer_id has characters other than A-Z and 0-9"},
      {"BGK-01", "other than"},
      {"BGK01\n", "other than"},
      {std::string("BGK\0001", 6), "other than"},
      {"../BGK", "other than"},
      {std::string(10'000'000, 'A'), "has 10000000 characters"},
  };
  for (const Case& c : cases) {
    Customer customer = Good();
    customer.customer_id = c.id;
    const absl::Status status = ValidateCustomer(customer, kToday);
    EXPECT_TRUE(errors::Is(status, errors::ErrorCode::kCustomerInvalid)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.said));
  }
}

TEST(CustomerTest, RefusesTextsThatAreNoLineOfWriting) {
  struct Case {
    std::string text;
    std::string said;
  };
  const Case cases[] = {
      {"", "is empty"},
      {"   ", "is blank"},
      {"\u00a0\u3000", "is blank"},
      {"a\nb", "has a control character at character 2"},
      {std::string("a\0b", 3), "has a control character"},
      {"ก\u0085", "has a control character at character 2"},
      {"\x7f", "has a control character"},
      {"ok\xff", "is not valid UTF-8 after character 2"},
      {"\xc0\xaf", "is not valid UTF-8"},          // overlong
      {"\xe0\x80\xaf", "is not valid UTF-8"},      // overlong
      {"\xed\xa0\x80", "is not valid UTF-8"},      // surrogate
      {"\xf4\x90\x80\x80", "is not valid UTF-8"},  // above U+10FFFF
      {"\xf0\x9f\x8c", "is not valid UTF-8"},      // cut off
      {"\x80", "is not valid UTF-8"},              // stray continuation
  };
  for (const Case& c : cases) {
    Customer customer = Good();
    customer.organization = c.text;
    EXPECT_THAT(std::string(ValidateCustomer(customer, kToday).message()),
                HasSubstr("organization " + c.said));
    customer = Good();
    customer.application_name = c.text;
    EXPECT_THAT(std::string(ValidateCustomer(customer, kToday).message()),
                HasSubstr("application_name " + c.said));
  }
  Customer customer = Good();
  customer.organization = Repeated("ก", 201);
  customer.application_name = Repeated("ก", 101);
  const std::string said(ValidateCustomer(customer, kToday).message());
  EXPECT_THAT(said, HasSubstr("organization has 201 characters; at most 200"));
  EXPECT_THAT(said, HasSubstr("application_name has 101 characters; at most 100"));
}

TEST(CustomerTest, RefusesDatesThatAreNotInTheFuture) {
  struct Case {
    std::string date;
    std::string said;
  };
  const Case cases[] = {
      {"2026-11-21", "is not after today (2026-11-21)"},
      {"2025-12-31", "is not after today"},
      {"0000-01-01", "is not after today"},
      {"2027-02-29", "is not a day of the calendar"},
      {"2027-04-31", "is not a day of the calendar"},
      {"2027-13-01", "is not a day of the calendar"},
      {"2027-00-10", "is not a day of the calendar"},
      {"2027-1-1", "is not a day of the calendar"},
      {"27-01-01", "is not a day of the calendar"},
      {"2027/01/01", "is not a day of the calendar"},
      {"+027-01-01", "is not a day of the calendar"},
      {"2027-01-01T00:00:00Z", "is not a day of the calendar"},
      {"๒๐๒๗-๐๑-๐๑", "is not a day of the calendar"},
      {"2570-01-01", "Buddhist year less 543"},
  };
  for (const Case& c : cases) {
    Customer customer = Good();
    customer.expiry_date = c.date;
    const absl::Status status = ValidateCustomer(customer, kToday);
    EXPECT_TRUE(errors::Is(status, errors::ErrorCode::kCustomerInvalid)) << c.date << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("expiry_date "));
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.said));
  }
}

TEST(CustomerTest, NamesEveryWrongFieldInOneMessageWithoutRepeatingIt) {
  const absl::Status status = ValidateCustomer(
      {.organization = "", .customer_id = "secret", .application_name = "", .expiry_date = "x"},
      kToday);
  const std::string said(status.message());
  for (const char* field : {"organization", "customer_id", "application_name", "expiry_date"}) {
    EXPECT_THAT(said, HasSubstr(field));
  }
  EXPECT_THAT(said, Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace kiln::identity
