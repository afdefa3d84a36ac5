#ifndef KILN_DAEMON_IDENTITY_IDENTITY_H_
#define KILN_DAEMON_IDENTITY_IDENTITY_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/random.h"
#include "daemon/esp/image/nvs_value.h"

namespace kiln::identity {

// The three fields of the form, checked.
struct Customer {
  std::string organization;
  std::string customer_id;
  std::string application_name;
  std::string expiry_date;  // YYYY-MM-DD or empty
};

// What makes one board unique. The password is a secret: never logged, never in
// an event.
struct Identity {
  std::string wifi_ssid;
  std::string wifi_password;
};

// One value of the NVS partition: which field goes under which namespace and
// key.
struct NvsMapping {
  std::string nvs_namespace;  // 1 to 15 characters
  std::string key;            // 1 to 15 characters
  // With placeholders: {customer_id} {organization} {application_name}
  // {expiry_date} {wifi_ssid} {wifi_password} {mac} (lower case with colons)
  // {mac4} (last four digits, upper case) {deployment_id}.
  std::string value;
};

struct IdentityOptions {
  std::string ssid_pattern = "SMC_ESP32_{customer_id}_{mac4}";
  int password_length = 14;  // 12 to 63
  // Empty means DefaultNvsMappings().
  std::vector<NvsMapping> nvs;
};

// Namespace "kiln": organization, customer_id, application, ssid, password,
// deployment.
std::vector<NvsMapping> DefaultNvsMappings();

// CustomerInvalid naming each wrong field, in one message.
absl::Status ValidateCustomer(const Customer& customer, const std::string& today);
// RequestInvalid when a pattern, length or mapping is wrong; asked once, when
// the configuration is read.
absl::Status ValidateIdentityOptions(const IdentityOptions& options);

// A password of `length` characters from an alphabet without look-alikes (no 0
// O 1 l I), WPA2-legal.
absl::StatusOr<std::string> MakePassword(base::RandomSource& random, int length);

// The SSID for a customer on the board with `mac` ("7c:df:a1:00:00:01"); at
// most 32 bytes, else IdentityDoesNotFit.
absl::StatusOr<std::string> MakeSsid(const IdentityOptions& options, const Customer& customer,
                                     const std::string& mac);

// The NVS partition image (size bytes, a multiple of 4096) that carries the
// identity and, behind it, the `values` of the bundle. IdentityDoesNotFit when
// it does not, or when a value has the place of another.
absl::StatusOr<std::vector<uint8_t>> BuildIdentityPartition(
    const IdentityOptions& options, const Customer& customer, const Identity& identity,
    const std::string& mac, const std::string& deployment_id,
    absl::Span<const esp::NvsValue> values, uint32_t size);

}  // namespace kiln::identity

#endif  // KILN_DAEMON_IDENTITY_IDENTITY_H_
