#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "daemon/records/record.h"
#include "nlohmann/json.hpp"

namespace kiln::records {
namespace {

using Json = nlohmann::ordered_json;

void SetText(Json& object, const char* name, const std::string& text) {
  if (!text.empty()) object[name] = text;
}

void SetNumber(Json& object, const char* name, uint64_t number) {
  if (number != 0) object[name] = number;
}

std::string LocalTime(absl::Time time, const absl::TimeZone& zone) {
  return absl::FormatTime(absl::RFC3339_sec, time, zone);
}

void SetTime(Json& object, const char* name, absl::Time time, const absl::TimeZone& zone) {
  if (time != absl::InfinitePast()) object[name] = LocalTime(time, zone);
}

Json StationFacts(const RecordData& data, const absl::TimeZone& zone) {
  Json kiln;
  kiln["deployment_id"] = data.deployment_id;
  kiln["attempt"] = data.attempt;
  SetText(kiln, "request_id", data.request_id);
  SetText(kiln, "station_id", data.station_id);
  SetText(kiln, "port", data.port);
  Json bundle = Json::object();
  SetText(bundle, "id", data.bundle_id);
  SetText(bundle, "title", data.bundle_title);
  SetText(bundle, "version", data.bundle_version);
  kiln["bundle"] = bundle;
  Json flash = Json::object();
  SetNumber(flash, "image_bytes", data.image_bytes);
  flash["written_bytes"] = data.written_bytes;
  flash["sent_bytes"] = data.sent_bytes;
  kiln["flash"] = flash;
  SetTime(kiln, "created_at", data.create_time, zone);
  SetTime(kiln, "started_at", data.start_time, zone);
  Json durations = Json::object();
  for (const StepDuration& step : data.steps) {
    durations[step.step] = absl::ToInt64Milliseconds(step.elapsed);
  }
  kiln["step_milliseconds"] = durations;
  Json sequence = Json::object();
  SetNumber(sequence, "created", static_cast<uint64_t>(data.created_sequence));
  SetNumber(sequence, "last", static_cast<uint64_t>(data.sequence));
  kiln["sequence"] = sequence;
  if (data.outcome != Outcome::kSucceeded) {
    Json failure = Json::object();
    SetText(failure, "code", data.failure_code);
    SetText(failure, "detail", data.failure_detail);
    kiln["failure"] = failure;
  }
  return kiln;
}

// A cell that begins like this is a formula to spreadsheets (OWASP, "CSV Injection").
bool LooksLikeFormula(absl::string_view text) {
  return !text.empty() && absl::string_view("=+-@\t\r").find(text[0]) != absl::string_view::npos;
}

std::string Cell(absl::string_view text) {
  std::string guarded = absl::StrCat(LooksLikeFormula(text) ? "'" : "", text);
  if (guarded.find_first_of(",\"\r\n") == std::string::npos) return guarded;
  return absl::StrCat("\"", absl::StrReplaceAll(guarded, {{"\"", "\"\""}}), "\"");
}

}  // namespace

absl::string_view NameOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kSucceeded:
      return "success";
    case Outcome::kFailed:
      return "failed";
    case Outcome::kCanceled:
      return "canceled";
  }
  return "failed";
}

std::string RecordToJson(const RecordData& data, const absl::TimeZone& zone,
                         absl::string_view tool_version) {
  const bool success = data.outcome == Outcome::kSucceeded;
  const std::string deployed_at = LocalTime(data.deployed_at, zone);
  Json record;
  record["version"] = "1.0.0";
  record["type"] = "smc-esp32-configuration";
  record["generated_date"] = deployed_at;
  record["tool_version"] = std::string(tool_version);

  Json& customer = record["customer"];
  customer["organization"] = data.organization;
  customer["customer_id"] = data.customer_id;
  customer["application_name"] = data.application_name;
  SetText(customer, "expiry_date", data.expiry_date);

  Json& wifi = record["wifi"];
  wifi["ssid"] = data.wifi_ssid;
  if (success) wifi["password"] = data.wifi_password;

  Json& esp32 = record["esp32"];
  esp32["mac_address"] = data.mac;
  esp32["ip_address"] = data.ip_address;
  SetText(esp32, "chip", data.chip);
  SetNumber(esp32, "flash_size_bytes", data.flash_size_bytes);

  // Values only: a command line put together from them would run whatever they contain.
  if (success) {
    Json& variables = record["cli_import"]["environment_variables"];
    variables["ORGANIZATION"] = data.organization;
    variables["CUSTOMER_ID"] = data.customer_id;
    variables["APPLICATION_NAME"] = data.application_name;
    variables["MAC_ADDRESS"] = data.mac;
    variables["IP_ADDRESS"] = data.ip_address;
    variables["WIFI_SSID"] = data.wifi_ssid;
    variables["WIFI_PASSWORD"] = data.wifi_password;
    SetText(variables, "EXPIRY_DATE", data.expiry_date);
  }

  Json& log = record["deployment_log"];
  log["deployed_at"] = deployed_at;
  log["deployed_by"] = data.deployed_by;
  log["status"] = std::string(NameOf(data.outcome));
  log["environment"] = data.environment;

  record["kiln"] = StationFacts(data, zone);
  // A board's words may be anything; they must not stop the record.
  return record.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

absl::string_view CsvHeader() {
  return "timestamp,organization,customer_id,application_name,wifi_ssid,wifi_password,mac_address,"
         "ip_address,expiry_date,license_status,license_file,notes\r\n";
}

std::string CsvNotesOf(const std::string& deployment_id) {
  return absl::StrCat("deployment ", deployment_id, " attempt ");
}

std::string RecordToCsvLine(const RecordData& data, const absl::TimeZone& zone) {
  const std::string cells[] = {
      LocalTime(data.deployed_at, zone), Cell(data.organization), Cell(data.customer_id),
      Cell(data.application_name), Cell(data.wifi_ssid), Cell(data.wifi_password), Cell(data.mac),
      Cell(data.ip_address), Cell(data.expiry_date),
      // Licences are made after the deployment, by whoever receives this file.
      "pending", "", absl::StrCat(CsvNotesOf(data.deployment_id), data.attempt)};
  return absl::StrCat(absl::StrJoin(cells, ","), "\r\n");
}

}  // namespace kiln::records
