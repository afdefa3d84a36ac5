#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/records/record.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace kiln::records {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

absl::TimeZone Bangkok() { return absl::FixedTimeZone(7 * 3600); }

RecordData Sample() {
  RecordData data;
  data.deployment_id = "0d9c6a52-6f0e-4a53-9f62-7a8f2f0f5a11";
  data.attempt = 2;
  data.request_id = "r-1";
  data.organization = "โรงพยาบาลกรุงเทพ";
  data.customer_id = "BGK001";
  data.application_name = "SMC_Cabinet_Ward_A";
  data.expiry_date = "2027-12-31";
  data.wifi_ssid = "SMC_ESP32_BGK001_BE01";
  data.wifi_password = "h7Kp2mQx9RtVwz";
  data.mac = "7c:df:a1:00:be:01";
  data.chip = "ESP32-S3";
  data.flash_size_bytes = 8u << 20;
  data.bundle_id = "abc123";
  data.bundle_title = "Cabinet";
  data.bundle_version = "1.4.0";
  data.station_id = "bench-1";
  data.port = "usb-1-2.3";
  data.deployed_by = "uid 1000";
  data.create_time = absl::FromUnixSeconds(1'795'276'000);
  data.start_time = data.create_time + absl::Seconds(5);
  data.deployed_at = data.create_time + absl::Seconds(30);
  data.steps = {{"flash", absl::Milliseconds(12'345)}, {"verify", absl::Milliseconds(400)}};
  data.image_bytes = 1'048'576;
  data.written_bytes = 65'536;
  data.sent_bytes = 40'000;
  data.created_sequence = 17;
  data.sequence = 42;
  return data;
}

// The fields of one RFC 4180 line, read by rules of its own.
std::vector<std::string> Fields(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += '"';
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

TEST(RecordFormatTest, HasEveryFieldOfTheExportFile) {
  const std::string text = RecordToJson(Sample(), Bangkok(), "kiln 0.1.0");
  const json expected = json::parse(R"({
    "version": "1.0.0",
    "type": "smc-esp32-configuration",
    "generated_date": "2026-11-21T22:47:10+07:00",
    "tool_version": "kiln 0.1.0",
    "customer": {
      "organization": "โรงพยาบาลกรุงเทพ",
      "customer_id": "BGK001",
      "application_name": "SMC_Cabinet_Ward_A",
      "expiry_date": "2027-12-31"
    },
    "wifi": {"ssid": "SMC_ESP32_BGK001_BE01", "password": "h7Kp2mQx9RtVwz"},
    "esp32": {
      "mac_address": "7c:df:a1:00:be:01",
      "ip_address": "192.168.4.1",
      "chip": "ESP32-S3",
      "flash_size_bytes": 8388608
    },
    "cli_import": {
      "environment_variables": {
        "ORGANIZATION": "โรงพยาบาลกรุงเทพ",
        "CUSTOMER_ID": "BGK001",
        "APPLICATION_NAME": "SMC_Cabinet_Ward_A",
        "MAC_ADDRESS": "7c:df:a1:00:be:01",
        "IP_ADDRESS": "192.168.4.1",
        "WIFI_SSID": "SMC_ESP32_BGK001_BE01",
        "WIFI_PASSWORD": "h7Kp2mQx9RtVwz",
        "EXPIRY_DATE": "2027-12-31"
      }
    },
    "deployment_log": {
      "deployed_at": "2026-11-21T22:47:10+07:00",
      "deployed_by": "uid 1000",
      "status": "success",
      "environment": "production"
    },
    "kiln": {
      "deployment_id": "0d9c6a52-6f0e-4a53-9f62-7a8f2f0f5a11",
      "attempt": 2,
      "request_id": "r-1",
      "station_id": "bench-1",
      "port": "usb-1-2.3",
      "bundle": {"id": "abc123", "title": "Cabinet", "version": "1.4.0"},
      "flash": {"image_bytes": 1048576, "written_bytes": 65536, "sent_bytes": 40000},
      "created_at": "2026-11-21T22:46:40+07:00",
      "started_at": "2026-11-21T22:46:45+07:00",
      "step_milliseconds": {"flash": 12345, "verify": 400},
      "sequence": {"created": 17, "last": 42}
    }
  })");
  EXPECT_EQ(json::parse(text), expected) << json::diff(expected, json::parse(text)).dump(1);
  EXPECT_THAT(text, testing::StartsWith("{\n  \"version\": \"1.0.0\",\n  \"type\""));
  EXPECT_THAT(text, HasSubstr("โรงพยาบาลกรุงเทพ"));
  EXPECT_THAT(text, EndsWith("}\n"));
}

TEST(RecordFormatTest, AFailureTellsWhyAndNotThePassword) {
  RecordData data = Sample();
  data.outcome = Outcome::kFailed;
  data.failure_code = "BOARD_DID_NOT_BOOT";
  data.failure_detail = "the board said \"\xff\xfe\"";
  const std::string text = RecordToJson(data, Bangkok(), "kiln");
  const json record = json::parse(text, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(record.is_object()) << text;
  EXPECT_EQ(record["deployment_log"]["status"], "failed");
  EXPECT_EQ(record["kiln"]["failure"]["code"], "BOARD_DID_NOT_BOOT");
  EXPECT_THAT(text, Not(HasSubstr(data.wifi_password)));
}

TEST(RecordFormatTest, TextsCannotBreakOutOfTheJson) {
  RecordData data = Sample();
  data.organization = "a\",\"wifi\":{\"ssid\":\"evil\n\\";
  const json record = json::parse(RecordToJson(data, Bangkok(), "kiln"));
  EXPECT_EQ(record["customer"]["organization"], data.organization);
  EXPECT_EQ(record["wifi"]["ssid"], data.wifi_ssid);
}

TEST(RecordFormatTest, TheCsvLineHasTheHeadersColumns) {
  const std::string line = RecordToCsvLine(Sample(), Bangkok());
  ASSERT_THAT(line, EndsWith("\r\n"));
  EXPECT_THAT(Fields(line.substr(0, line.size() - 2)),
              ElementsAre("2026-11-21T22:47:10+07:00", "โรงพยาบาลกรุงเทพ", "BGK001",
                          "SMC_Cabinet_Ward_A", "SMC_ESP32_BGK001_BE01", "h7Kp2mQx9RtVwz",
                          "7c:df:a1:00:be:01", "192.168.4.1", "2027-12-31", "pending", "",
                          "deployment 0d9c6a52-6f0e-4a53-9f62-7a8f2f0f5a11 attempt 2"));
  const std::string header(CsvHeader());
  EXPECT_THAT(Fields(header.substr(0, header.size() - 2)),
              ElementsAre("timestamp", "organization", "customer_id", "application_name",
                          "wifi_ssid", "wifi_password", "mac_address", "ip_address", "expiry_date",
                          "license_status", "license_file", "notes"));
}

TEST(RecordFormatTest, QuotesCellsAndDisarmsFormulas) {
  struct Case {
    std::string text;
    std::string field;
  };
  const Case cases[] = {
      {"plain", "plain"},
      {"a,b", "a,b"},
      {"say \"hi\"", "say \"hi\""},
      {"two\r\nlines", "two\r\nlines"},
      {"=HYPERLINK(\"http://x\",\"y\")", "'=HYPERLINK(\"http://x\",\"y\")"},
      {"+66 2 310 3000", "'+66 2 310 3000"},
      {"-1", "'-1"},
      {"@SUM(A1)", "'@SUM(A1)"},
      {"\t=1", "'\t=1"},
      {"a=b", "a=b"},
  };
  for (const Case& c : cases) {
    RecordData data = Sample();
    data.organization = c.text;
    const std::string line = RecordToCsvLine(data, Bangkok());
    const std::vector<std::string> fields = Fields(line.substr(0, line.size() - 2));
    ASSERT_EQ(fields.size(), 12u) << line;
    EXPECT_EQ(fields[1], c.field) << line;
  }
}

}  // namespace
}  // namespace kiln::records
