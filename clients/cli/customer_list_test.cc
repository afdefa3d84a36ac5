#include "clients/cli/customer_list.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Read(const std::string& text) {
  const auto customers = ParseCustomerList(text, "list.csv");
  if (!customers.ok()) return {std::string(customers.status().message())};
  std::vector<std::string> all;
  for (const ListedCustomer& one : *customers) {
    const v1::Customer& c = one.customer;
    all.push_back(absl::StrCat(one.line, "|", c.organization(), "|", c.customer_id(), "|",
                               c.application_name(), "|", c.expiry_date()));
  }
  return all;
}

TEST(CustomerListTest, ReadsWhatSpreadsheetsSave) {
  const std::string expected_1 = "2|โรงพยาบาล, กรุงเทพ|BGK001|Ward A|2027-01-31";
  const std::string expected_2 = "3|Clinic \"Two\"|BGK002|Ward B|";
  EXPECT_THAT(Read("organization,customer_id,application_name,expiry_date\n"
                   "\"โรงพยาบาล, กรุงเทพ\",BGK001,Ward A,2027-01-31\n"
                   "\"Clinic \"\"Two\"\"\",bgk002,Ward B,\n"),
              ElementsAre(expected_1, expected_2));
  // With a byte order mark, Windows' line ends, other separators, another order, no last line end.
  EXPECT_THAT(Read("\xef\xbb\xbf"
                   "customer_id;expiry_date;organization;application_name\r\n"
                   "BGK001;2027-01-31;โรงพยาบาล, กรุงเทพ;Ward A\r\n"
                   "BGK002;;\"Clinic \"\"Two\"\"\";Ward B"),
              ElementsAre(expected_1, expected_2));
  EXPECT_THAT(Read("customer_id\torganization\tapplication_name\nBGK001\tA\tB\n"),
              ElementsAre("2|A|BGK001|B|"));
}

TEST(CustomerListTest, EmptyLinesCountAsLines) {
  EXPECT_THAT(Read("organization,customer_id,application_name\n\n\nA,BGK001,B\n\n"),
              ElementsAre("4|A|BGK001|B|"));
}

TEST(CustomerListTest, SaysWhatIsWrongAndWhere) {
  const std::string head = "organization,customer_id,application_name\n";
  struct Case {
    std::string text;
    const char* says;
  };
  for (const Case& c : std::vector<Case>{
           {"", "list.csv, line 1: there is no column \"\""},
           {"organization,customer_id\nA,B\n", "line 1: the column application_name is missing"},
           {"organization,customer_id,application_name,wifi\n", "line 1: there is no column"},
           {"organization,organization,customer_id,application_name\n", "is there twice"},
           {head, "list.csv has no customers"},
           {head + "A,BGK001\n", "line 2: there are 2 cells, but the first line names 3"},
           {head + "A,BGK001,B\nA,,B\n", "line 3: customer_id is empty"},
           {head + "\"A,BGK001,B\n", "line 2: a quote is never closed"},
           {head + "\"A\"x,BGK001,B\n", "line 2: there is more after a closing quote"},
           {head + "A\"x,BGK001,B\n", "line 2: a quote stands inside"},
           {head + "\"A\nB\",BGK001,B\n", "line 2: a cell holds a line break"},
           {head + std::string("A\0,BGK001,B\n", 12), "line 2: a cell holds"},
           {head + "\xa1\xa2,BGK001,B\n", "line 2: this is no UTF-8"},
           {head + std::string(2001, 'A') + ",BGK001,B\n", "line 2: a cell is too long"},
           {head + std::string(60, ','), "line 2: too many columns"},
       }) {
    EXPECT_THAT(Read(c.text), ElementsAre(HasSubstr(c.says))) << c.text.substr(0, 80);
  }
}

TEST(CustomerListTest, IsBounded) {
  std::string text = "organization,customer_id,application_name\n";
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&text, "A,BGK001,B\n");
  EXPECT_EQ(ParseCustomerList(text, "list.csv")->size(), 1000U);
  absl::StrAppend(&text, "A,BGK001,B\n");
  EXPECT_THAT(Read(text), ElementsAre(HasSubstr("line 1002: more than 1000 customers")));
  EXPECT_THAT(Read(std::string((1 << 20) + 1, '\n')), ElementsAre(HasSubstr("bytes")));
}

}  // namespace
}  // namespace kiln::cli
