#include "daemon/identity/identity.h"

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "daemon/esp/image/nvs_value.h"
#include "daemon/identity/nvs_partition.h"
#include "daemon/identity/pattern.h"
#include "daemon/identity/text.h"
#include "errors/error.h"

namespace kiln::identity {
namespace {

using errors::ErrorCode;
using errors::MakeError;

constexpr size_t kMaxSsidBytes = 32;  // IEEE 802.11, section 9.4.2.2
constexpr int kMinPasswordLength = 12;
constexpr int kMaxPasswordLength = 63;
constexpr size_t kMaxMappings = 200;

// What an SSID may be made of: never the password.
PatternValues SsidValues(const Customer& customer, absl::string_view mac) {
  return {{"customer_id", customer.customer_id},
          {"organization", customer.organization},
          {"application_name", customer.application_name},
          {"expiry_date", customer.expiry_date},
          {"mac", std::string(mac)},
          {"mac4", Mac4(mac)}};
}

PatternValues NvsValues(const Customer& customer, const Identity& identity, absl::string_view mac,
                        const std::string& deployment_id) {
  PatternValues values = SsidValues(customer, mac);
  values.emplace_back("wifi_ssid", identity.wifi_ssid);
  values.emplace_back("wifi_password", identity.wifi_password);
  values.emplace_back("deployment_id", deployment_id);
  return values;
}

const std::vector<NvsMapping>& MappingsOf(const IdentityOptions& options,
                                          const std::vector<NvsMapping>& defaults) {
  return options.nvs.empty() ? defaults : options.nvs;
}

template <typename T>
std::string PlaceOf(const T& mapping_or_value) {
  return absl::StrCat("NVS value ", mapping_or_value.nvs_namespace, ".", mapping_or_value.key);
}

absl::Status Put(NvsPartition& partition, const esp::NvsValue& value) {
  if (const auto* text = std::get_if<std::string>(&value.value)) {
    return partition.PutString(value.nvs_namespace, value.key, *text);
  }
  if (const auto* number = std::get_if<int32_t>(&value.value)) {
    return partition.PutInteger(value.nvs_namespace, value.key, *number);
  }
  return partition.PutInteger(value.nvs_namespace, value.key, std::get<uint8_t>(value.value));
}

absl::Status CheckMac(const std::string& mac) {
  if (IsMacAddress(mac)) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("not a MAC address: \"", mac, "\""));
}

}  // namespace

std::vector<NvsMapping> DefaultNvsMappings() {
  return {{"kiln", "organization", "{organization}"},    {"kiln", "customer_id", "{customer_id}"},
          {"kiln", "application", "{application_name}"}, {"kiln", "ssid", "{wifi_ssid}"},
          {"kiln", "password", "{wifi_password}"},       {"kiln", "deployment", "{deployment_id}"}};
}

absl::Status ValidateIdentityOptions(const IdentityOptions& options) {
  const auto invalid = [](const auto&... parts) {
    return MakeError(ErrorCode::kRequestInvalid, absl::StrCat(parts...));
  };
  if (options.password_length < kMinPasswordLength ||
      options.password_length > kMaxPasswordLength) {
    return invalid("password_length is ", options.password_length, "; ", kMinPasswordLength, " to ",
                   kMaxPasswordLength, " are possible");
  }
  // With the longest customer id there is, so that no legal customer fails at the bench.
  const Customer sample = {.organization = "A",
                           .customer_id = "ABCDEFGHIJ",
                           .application_name = "A",
                           .expiry_date = "2099-12-31"};
  const std::string mac = "00:00:00:00:00:00";
  const auto ssid = ExpandPattern(options.ssid_pattern, SsidValues(sample, mac));
  if (!ssid.ok()) return invalid("ssid_pattern: ", ssid.status().message());
  if (const std::string problem = ProblemWithText(*ssid, ssid->size()); !problem.empty()) {
    return invalid("ssid_pattern ", problem);
  }
  if (ssid->size() > kMaxSsidBytes) {
    return invalid("ssid_pattern gives ", ssid->size(), " bytes for a customer id of ",
                   sample.customer_id.size(), " characters; an SSID has at most ", kMaxSsidBytes);
  }
  if (options.nvs.size() > kMaxMappings) {
    return invalid(options.nvs.size(), " NVS values; at most ", kMaxMappings, " are possible");
  }
  // Names, doubles and lengths by the writer itself, into a partition with room for all.
  ASSIGN_OR_RETURN(NvsPartition partition, NvsPartition::Create(1u << 20));
  const PatternValues values = NvsValues(sample, Identity{"A", "A"}, mac, "A");
  const std::vector<NvsMapping> defaults = DefaultNvsMappings();
  for (const NvsMapping& mapping : MappingsOf(options, defaults)) {
    const auto value = ExpandPattern(mapping.value, values);
    if (!value.ok()) return invalid(PlaceOf(mapping), ": ", value.status().message());
    const absl::Status status = partition.PutString(mapping.nvs_namespace, mapping.key, *value);
    if (!status.ok()) return invalid(PlaceOf(mapping), ": ", status.message());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> MakeSsid(const IdentityOptions& options, const Customer& customer,
                                     const std::string& mac) {
  RETURN_IF_ERROR(CheckMac(mac));
  auto ssid = ExpandPattern(options.ssid_pattern, SsidValues(customer, mac));
  if (!ssid.ok()) return MakeError(ErrorCode::kRequestInvalid, ssid.status().message());
  if (ssid->empty() || ssid->size() > kMaxSsidBytes) {
    return MakeError(ErrorCode::kIdentityDoesNotFit,
                     absl::StrCat("the SSID \"", *ssid, "\" has ", ssid->size(), " bytes; 1 to ",
                                  kMaxSsidBytes, " are possible"));
  }
  return ssid;
}

absl::StatusOr<std::vector<uint8_t>> BuildIdentityPartition(
    const IdentityOptions& options, const Customer& customer, const Identity& identity,
    const std::string& mac, const std::string& deployment_id,
    absl::Span<const esp::NvsValue> values, uint32_t size) {
  RETURN_IF_ERROR(CheckMac(mac));
  auto partition = NvsPartition::Create(size);
  if (!partition.ok()) return errors::TypedAs(ErrorCode::kIdentityDoesNotFit, partition.status());
  const PatternValues pattern_values = NvsValues(customer, identity, mac, deployment_id);
  const std::vector<NvsMapping> defaults = DefaultNvsMappings();
  for (const NvsMapping& mapping : MappingsOf(options, defaults)) {
    const auto value = ExpandPattern(mapping.value, pattern_values);
    if (!value.ok()) {
      return MakeError(ErrorCode::kRequestInvalid,
                       absl::StrCat(PlaceOf(mapping), ": ", value.status().message()));
    }
    RETURN_IF_ERROR(
        errors::TypedAs(ErrorCode::kIdentityDoesNotFit,
                        partition->PutString(mapping.nvs_namespace, mapping.key, *value)))
        << PlaceOf(mapping);
  }
  for (const esp::NvsValue& value : values) {
    RETURN_IF_ERROR(errors::TypedAs(ErrorCode::kIdentityDoesNotFit, Put(*partition, value)))
        << PlaceOf(value);
  }
  return partition->Image();
}

}  // namespace kiln::identity
