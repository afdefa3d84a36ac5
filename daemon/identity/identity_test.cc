#include "daemon/identity/identity.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "daemon/identity/pattern.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::identity {
namespace {

using errors::ErrorCode;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kMac[] = "7c:df:a1:00:be:01";

Customer Hospital() {
  return {.organization = "โรงพยาบาลกรุงเทพ",
          .customer_id = "BGK001",
          .application_name = "SMC_Cabinet_Ward_A"};
}

TEST(PatternTest, ExpandsOnceAndOnly) {
  const PatternValues values = {{"a", "{b}"}, {"b", "x"}};
  EXPECT_EQ(ExpandPattern("", values).value(), "");
  EXPECT_EQ(ExpandPattern("-{a}{b}-{b}", values).value(), "-{b}x-x");
  EXPECT_EQ(ExpandPattern("{{a}} {{{b}}}", values).value(), "{a} {x}");
  for (const char* wrong : {"{c}", "{}", "{a", "a}", "{ a}", "{A}", "{a{b}}", "{{a}"}) {
    EXPECT_EQ(ExpandPattern(wrong, values).status().code(), absl::StatusCode::kInvalidArgument)
        << wrong;
  }
  EXPECT_THAT(std::string(ExpandPattern("{c}", values).status().message()),
              HasSubstr("unknown placeholder {c}"));
}

TEST(IdentityTest, TheDefaultSsidEndsInTheMacsLastDigits) {
  EXPECT_EQ(MakeSsid({}, Hospital(), kMac).value(), "SMC_ESP32_BGK001_BE01");
}

TEST(IdentityTest, AnSsidLongerThan32BytesDoesNotFit) {
  const IdentityOptions options = {.ssid_pattern = "{organization}"};
  Customer customer = Hospital();
  customer.organization = std::string(32, 'x');
  EXPECT_EQ(MakeSsid(options, customer, kMac).value(), std::string(32, 'x'));
  customer.organization = "กกกกกกกกกกก";  // 11 characters, 33 bytes
  EXPECT_TRUE(
      errors::Is(MakeSsid(options, customer, kMac).status(), ErrorCode::kIdentityDoesNotFit));
}

TEST(IdentityTest, AnSsidNeedsAMac) {
  for (const char* mac : {"", "7c:df:a1", "7C:DF:A1:00:BE:01", "7c-df-a1-00-be-01"}) {
    EXPECT_EQ(MakeSsid({}, Hospital(), mac).status().code(), absl::StatusCode::kInternal) << mac;
  }
}

TEST(IdentityTest, TheDefaultOptionsAreValid) {
  const absl::Status status = ValidateIdentityOptions({});
  EXPECT_TRUE(status.ok()) << status;
}

TEST(IdentityTest, RefusesOptionsThatCannotWork) {
  struct Case {
    IdentityOptions options;
    std::string said;
  };
  const std::vector<NvsMapping> many(201, {"n", "k", ""});
  const Case cases[] = {
      {{.password_length = 11}, "password_length is 11"},
      {{.password_length = 64}, "password_length is 64"},
      {{.ssid_pattern = ""}, "ssid_pattern is empty"},
      {{.ssid_pattern = "{mac_4}"}, "unknown placeholder {mac_4}"},
      {{.ssid_pattern = "{wifi_password}"}, "unknown placeholder {wifi_password}"},
      {{.ssid_pattern = "SMC_{customer_id"}, "brace"},
      {{.ssid_pattern = "a\tb"}, "control character"},
      {{.ssid_pattern = "SMC_ESP32_WARD_{customer_id}_{mac}"}, "gives 43 bytes"},
      {{.nvs = {{"n", "k", "{nothing}"}}}, "NVS value n.k: unknown placeholder"},
      {{.nvs = {{"", "k", "v"}}}, "NVS namespace"},
      {{.nvs = {{"n", "sixteen_letters_", "v"}}}, "has 16 bytes"},
      {{.nvs = {{"n", "k", "a"}, {"n", "k", "b"}}}, "is twice"},
      {{.nvs = {{"n", "k", std::string(4000, 'x')}}}, "has 4000 bytes"},
      {{.nvs = many}, "201 NVS values"},
  };
  for (const Case& c : cases) {
    const absl::Status status = ValidateIdentityOptions(c.options);
    EXPECT_TRUE(errors::Is(status, ErrorCode::kRequestInvalid)) << c.said << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.said));
  }
}

TEST(IdentityTest, TheDefaultPartitionEqualsTheOfficialGenerators) {
  const auto image =
      BuildIdentityPartition({}, Hospital(), {"SMC_ESP32_BGK001_BE01", "h7Kp2mQx9RtVwz"}, kMac,
                             "0d9c6a52-6f0e-4a53-9f62-7a8f2f0f5a11", {}, 0x5000);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(base::HexOf(base::Sha256(*image)),
            "d6adabea538840efedeaa2838463bbeb624c34c1f86ab7382d877e630e3fce3b");
}

TEST(IdentityTest, TheValuesOfABundleFollowLiterally) {
  const std::vector<esp::NvsValue> values = {{"app", "beeps", uint8_t{1}},
                                             {"app", "interval", int32_t{-5}},
                                             {"app", "ward", "{customer_id} ห้อง"}};
  const auto image =
      BuildIdentityPartition({}, Hospital(), {"SMC_ESP32_BGK001_BE01", "h7Kp2mQx9RtVwz"}, kMac,
                             "0d9c6a52-6f0e-4a53-9f62-7a8f2f0f5a11", values, 0x5000);
  ASSERT_TRUE(image.ok()) << image.status();
  // As the official generator has it.
  EXPECT_EQ(base::HexOf(base::Sha256(*image)),
            "127386e5d0f84851171ea83ca390c914f129aeed0e9d482e2c1789f1ccd98449");
}

TEST(IdentityTest, AValueOfABundleNeverTakesTheIdentitysPlace) {
  const std::vector<esp::NvsValue> values = {{"kiln", "ssid", "free-wifi"}};
  const absl::Status status =
      BuildIdentityPartition({}, Hospital(), {"s", "p"}, kMac, "d", values, 0x5000).status();

  EXPECT_TRUE(errors::Is(status, ErrorCode::kIdentityDoesNotFit)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("NVS value kiln.ssid"));
}

TEST(IdentityTest, ValuesGoWhereTheMappingSays) {
  IdentityOptions options;
  options.nvs = {{"smc", "ap_ssid", "{wifi_ssid}"},
                 {"smc", "who", "{customer_id}/{application_name}/{mac}/{mac4}"},
                 {"smc", "until", "{expiry_date}"}};
  const auto image = BuildIdentityPartition(options, Hospital(), {"the-ssid", "the-password"}, kMac,
                                            "d1", {}, 0x3000);
  ASSERT_TRUE(image.ok()) << image.status();
  const std::string text(base::AsChars(*image));
  EXPECT_THAT(text, HasSubstr("the-ssid"));
  EXPECT_THAT(text, HasSubstr("BGK001/SMC_Cabinet_Ward_A/7c:df:a1:00:be:01/BE01"));
  EXPECT_THAT(text, HasSubstr("until"));
  EXPECT_THAT(text, Not(HasSubstr("the-password")));
}

TEST(IdentityTest, APartitionThatIsTooSmallIsRefusedWithoutTheSecret) {
  for (const uint32_t size : {0u, 0x1000u, 0x2000u, 0x5800u}) {
    EXPECT_TRUE(
        errors::Is(BuildIdentityPartition({}, Hospital(), {"s", "p"}, kMac, "d", {}, size).status(),
                   ErrorCode::kIdentityDoesNotFit))
        << size;
  }
  IdentityOptions options;
  for (int i = 0; i < 10; ++i) {
    options.nvs.push_back(
        {"n", "k" + std::to_string(i), std::string(3000, 'x') + "{wifi_password}"});
  }
  const absl::Status status =
      BuildIdentityPartition(options, Hospital(), {"s", "the-password"}, kMac, "d", {}, 0x6000)
          .status();
  EXPECT_TRUE(errors::Is(status, ErrorCode::kIdentityDoesNotFit)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("NVS value n.k5"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("the-password")));
}

}  // namespace
}  // namespace kiln::identity
