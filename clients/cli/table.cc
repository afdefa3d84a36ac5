#include "clients/cli/table.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace kiln::cli {
namespace {

// One code point from the front of `text`; a byte that starts no valid sequence counts as itself.
uint32_t TakeCodePoint(absl::string_view& text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  size_t length = 1;
  uint32_t code = byte(0);
  if (code >= 0xf0) {
    length = 4;
    code &= 0x07;
  } else if (code >= 0xe0) {
    length = 3;
    code &= 0x0f;
  } else if (code >= 0xc0) {
    length = 2;
    code &= 0x1f;
  }
  if (length > text.size()) {
    length = 1;
  }
  for (size_t i = 1; i < length; ++i) code = (code << 6) | (byte(i) & 0x3f);
  text.remove_prefix(length);
  return code;
}

// Unicode: Thai combining marks (U+0E31, U+0E34-3A, U+0E47-4E), general combining marks, joiners.
bool TakesNoColumn(uint32_t code) {
  return code == 0x0e31 || (code >= 0x0e34 && code <= 0x0e3a) ||
         (code >= 0x0e47 && code <= 0x0e4e) || (code >= 0x0300 && code <= 0x036f) ||
         (code >= 0x200b && code <= 0x200d) || (code >= 0xfe00 && code <= 0xfe0f);
}

// Unicode East Asian Width: the blocks whose characters are wide.
bool TakesTwoColumns(uint32_t code) {
  return (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) ||
         (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xff00 && code <= 0xff60) ||
         (code >= 0x1f300 && code <= 0x1faff);
}

}  // namespace

int DisplayWidth(absl::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const uint32_t code = TakeCodePoint(text);
    if (TakesNoColumn(code)) continue;
    width += TakesTwoColumns(code) ? 2 : 1;
  }
  return width;
}

std::string Padded(absl::string_view text, int width) {
  return absl::StrCat(text, std::string(std::max(0, width - DisplayWidth(text)), ' '));
}

Table::Table(std::vector<std::string> heading) { rows_.push_back(std::move(heading)); }

void Table::AddRow(std::vector<std::string> cells) {
  cells.resize(rows_.front().size());
  rows_.push_back(std::move(cells));
}

std::string Table::Render() const {
  std::vector<int> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], DisplayWidth(row[i]));
  }
  std::string result;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&line, i == 0 ? "" : "  ", Padded(row[i], widths[i]));
    }
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&result, line, "\n");
  }
  return result;
}

std::string HumanBytes(uint64_t bytes) {
  const double kib = static_cast<double>(bytes) / 1024.0;
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  if (kib < 1024.0) return absl::StrFormat("%.*f KiB", kib < 10 ? 1 : 0, kib);
  return absl::StrFormat("%.1f MiB", kib / 1024.0);
}

std::string HumanDuration(absl::Duration duration) {
  const double seconds = absl::ToDoubleSeconds(duration);
  if (seconds < 60.0) return absl::StrFormat("%.1f s", seconds);
  const int64_t whole = static_cast<int64_t>(seconds);
  return absl::StrFormat("%d min %02d s", whole / 60, whole % 60);
}

std::string HumanTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", time, absl::LocalTimeZone());
}

}  // namespace kiln::cli
