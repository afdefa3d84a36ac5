#include "daemon/identity/text.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace kiln::identity {
namespace {

// Takes one code point off the front; nullopt for anything RFC 3629 forbids: stray and missing
// continuation bytes, overlong forms, surrogates, values above U+10FFFF.
std::optional<uint32_t> TakeCodePoint(absl::string_view& text) {
  const auto byte = [&text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  size_t length = 1;
  uint32_t value = lead;
  uint32_t least = 0;
  if (lead >= 0x80) {
    if (lead >= 0xc2 && lead <= 0xdf) {
      length = 2, value = lead & 0x1fu, least = 0x80;
    } else if ((lead & 0xf0) == 0xe0) {
      length = 3, value = lead & 0x0fu, least = 0x800;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      length = 4, value = lead & 0x07u, least = 0x10000;
    } else {
      return std::nullopt;
    }
  }
  if (text.size() < length) return std::nullopt;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
    value = value << 6 | (byte(i) & 0x3fu);
  }
  if (value < least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
    return std::nullopt;
  }
  text.remove_prefix(length);
  return value;
}

bool IsControl(uint32_t code_point) {
  return code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f);
}

bool IsSpace(uint32_t code_point) {
  return code_point == ' ' || code_point == 0xa0 || code_point == 0x3000 ||
         (code_point >= 0x2000 && code_point <= 0x200b);
}

}  // namespace

std::string ProblemWithText(absl::string_view text, size_t max_characters) {
  if (text.empty()) return "is empty";
  size_t characters = 0;
  bool visible = false;
  while (!text.empty()) {
    const std::optional<uint32_t> code_point = TakeCodePoint(text);
    if (!code_point.has_value()) {
      return absl::StrCat("is not valid UTF-8 after character ", characters);
    }
    ++characters;
    if (IsControl(*code_point)) {
      return absl::StrCat("has a control character at character ", characters);
    }
    visible |= !IsSpace(*code_point);
  }
  if (!visible) return "is blank";
  if (characters > max_characters) {
    return absl::StrCat("has ", characters, " characters; at most ", max_characters,
                        " are allowed");
  }
  return "";
}

}  // namespace kiln::identity
