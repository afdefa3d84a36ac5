#include "daemon/esp/image/nvs_value.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace kiln::esp {
namespace {

// In the order of the variant's alternatives.
constexpr absl::string_view kTypes[] = {"string", "i32", "u8"};
// ESP-IDF's NVS_KEY_NAME_MAX_SIZE without the NUL.
constexpr size_t kMaxNameBytes = 15;

bool IsName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

absl::string_view NvsTypeOf(const NvsValue& value) { return kTypes[value.value.index()]; }

std::string NvsTextOf(const NvsValue& value) {
  if (const auto* text = std::get_if<std::string>(&value.value)) return *text;
  if (const auto* number = std::get_if<int32_t>(&value.value)) return absl::StrCat(*number);
  return absl::StrCat(std::get<uint8_t>(value.value));
}

absl::StatusOr<NvsValue> MakeNvsValue(absl::string_view nvs_namespace, absl::string_view key,
                                      absl::string_view type, absl::string_view text) {
  if (!IsName(nvs_namespace) || !IsName(key)) {
    return absl::InvalidArgumentError("an NVS value's namespace or key is no name");
  }
  NvsValue value = {.nvs_namespace = std::string(nvs_namespace), .key = std::string(key)};
  int32_t number = 0;
  if (type == kTypes[0]) {
    value.value = std::string(text);
  } else if (type != kTypes[1] && type != kTypes[2]) {
    return absl::InvalidArgumentError("an NVS value's type is not known");
  } else if (!absl::SimpleAtoi(text, &number)) {
    return absl::InvalidArgumentError("an NVS value is no number");
  } else if (type == kTypes[1]) {
    value.value = number;
  } else if (number >= 0 && number <= std::numeric_limits<uint8_t>::max()) {
    value.value = static_cast<uint8_t>(number);
  } else {
    return absl::InvalidArgumentError("an NVS value is outside its type");
  }
  return value;
}

}  // namespace kiln::esp
