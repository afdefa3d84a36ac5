#ifndef KILN_DAEMON_ESP_IMAGE_NVS_VALUE_H_
#define KILN_DAEMON_ESP_IMAGE_NVS_VALUE_H_

#include <cstdint>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kiln::esp {

// One value for an NVS partition, whoever writes it there: how a bundle brings what was chosen for
// it, beside the identity of the board. The types are those that a program reads with nvs_get_str,
// nvs_get_i32 and nvs_get_u8 (ESP-IDF Programming Guide, "Non-Volatile Storage Library").
struct NvsValue {
  std::string nvs_namespace;  // 1 to 15 characters, as is the key
  std::string key;
  std::variant<std::string, int32_t, uint8_t> value;

  bool operator==(const NvsValue&) const = default;
};

// "string", "i32" or "u8".
absl::string_view NvsTypeOf(const NvsValue& value);
// The value itself, or the number in decimal.
std::string NvsTextOf(const NvsValue& value);

// The reverse of both. INVALID_ARGUMENT for a name that NVS does not take, a type that is none of
// these, or a number outside its type.
absl::StatusOr<NvsValue> MakeNvsValue(absl::string_view nvs_namespace, absl::string_view key,
                                      absl::string_view type, absl::string_view text);

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_IMAGE_NVS_VALUE_H_
