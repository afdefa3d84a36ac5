#include "base/safe_text.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace kiln::base {
namespace {

// Length of the well-formed UTF-8 sequence at the start of `text` (RFC 3629, section 4), or 0.
size_t Utf8SequenceLength(absl::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const auto continues = [&](size_t i, uint8_t low = 0x80, uint8_t high = 0xBF) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const uint8_t low = lead == 0xE0 ? 0xA0 : 0x80;
    const uint8_t high = lead == 0xED ? 0x9F : 0xBF;  // no surrogates
    return continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const uint8_t low = lead == 0xF0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xF4 ? 0x8F : 0xBF;
    return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string SafeText(absl::string_view text, size_t max_bytes) {
  std::string safe;
  while (!text.empty()) {
    const size_t length = Utf8SequenceLength(text);
    const bool control =
        length == 1 && (static_cast<uint8_t>(text[0]) < 0x20 || text[0] == 0x7F) && text[0] != '\n';
    const absl::string_view piece =
        length == 0 || control ? absl::string_view("?") : text.substr(0, length);
    if (safe.size() + piece.size() > max_bytes) break;
    absl::StrAppend(&safe, piece);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return safe;
}

}  // namespace kiln::base
