#include "daemon/firmware/build/value_header.h"

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace kiln::firmware {
namespace {

bool IsPlain(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == ' ' || c == '_' || c == '-' ||
         c == '.' || c == ',' || c == ':' || c == '/' || c == '@' || c == '+';
}

std::string LiteralOf(const TemplateValue& value) {
  switch (value.type) {
    case TemplateVariable::Type::kString:
      return StringLiteral(value.text);
    case TemplateVariable::Type::kInteger:
      return absl::StrCat("(", value.number, ")");
    case TemplateVariable::Type::kBoolean:
      return value.is_set ? "1" : "0";
  }
  return "";
}

}  // namespace

std::string StringLiteral(absl::string_view text) {
  std::string literal = "\"";
  for (const char c : text) {
    if (IsPlain(c)) {
      literal += c;
    } else {
      absl::StrAppendFormat(&literal, "\\%03o", static_cast<unsigned char>(c));
    }
  }
  literal += '"';
  return literal;
}

std::string RenderValueHeader(const std::vector<TemplateValue>& values) {
  std::string header = "// Written by Kiln for this build; do not edit.\n#pragma once\n\n";
  for (const TemplateValue& value : values) {
    absl::StrAppend(&header, "#define KILN_", absl::AsciiStrToUpper(value.name), " ",
                    LiteralOf(value), "\n");
  }
  return header;
}

}  // namespace kiln::firmware
