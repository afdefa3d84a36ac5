#ifndef KILN_CLIENTS_CLI_TABLE_H_
#define KILN_CLIENTS_CLI_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace kiln::cli {

// Columns a UTF-8 text takes on a terminal: Thai vowels and tone marks above and below take none,
// wide characters two. Bytes that are not UTF-8 count one each.
int DisplayWidth(absl::string_view text);
// `text` with spaces behind it up to `width` columns.
std::string Padded(absl::string_view text, int width);

// Rows of text under a heading, columns as wide as their widest cell.
class Table {
 public:
  explicit Table(std::vector<std::string> heading);
  void AddRow(std::vector<std::string> cells);
  bool empty() const { return rows_.size() == 1; }
  std::string Render() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "1.5 MiB", "24 KiB", "512 B".
std::string HumanBytes(uint64_t bytes);
// "3.2 s", "1 min 05 s".
std::string HumanDuration(absl::Duration duration);
// Local time, Gregorian: "2026-11-21 14:03:05".
std::string HumanTime(absl::Time time);

}  // namespace kiln::cli

#endif  // KILN_CLIENTS_CLI_TABLE_H_
