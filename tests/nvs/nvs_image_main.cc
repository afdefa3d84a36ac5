// nvs-image IN.csv OUT.bin SIZE: what the official generator does with the same file, done with
// Kiln's own writer. Only for the comparison of the two; knows the parts of the CSV format that the
// comparison uses (key,type,encoding,value; quoted fields; lines with # are comments).
//
// Exit status: 0 written, 1 the values are refused or do not fit, 2 wrong use.

#include <cstdint>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "base/file_system.h"
#include "base/status_macros.h"
#include "daemon/identity/nvs_partition.h"

namespace kiln {
namespace {

using identity::NvsPartition;
using Row = std::vector<std::string>;

constexpr size_t kMaxInputBytes = 64u << 20;

std::vector<Row> ParseCsv(absl::string_view text) {
  std::vector<Row> rows;
  while (!text.empty()) {
    if (text[0] == '#') {
      const size_t end = text.find('\n');
      text.remove_prefix(end == text.npos ? text.size() : end + 1);
      continue;
    }
    Row row(1);
    bool quoted = false;
    while (!text.empty()) {
      const char c = text[0];
      text.remove_prefix(1);
      if (quoted) {
        if (c != '"') {
          row.back() += c;
        } else if (!text.empty() && text[0] == '"') {
          row.back() += '"';
          text.remove_prefix(1);
        } else {
          quoted = false;
        }
      } else if (c == '"' && row.back().empty()) {
        quoted = true;
      } else if (c == ',') {
        row.emplace_back();
      } else if (c == '\n') {
        break;
      } else {
        row.back() += c;
      }
    }
    if (row.size() > 1 || !row[0].empty()) rows.push_back(row);
  }
  return rows;
}

template <typename T>
absl::Status PutNumber(NvsPartition& partition, const std::string& name_space,
                       const std::string& key, const std::string& value) {
  if constexpr (std::numeric_limits<T>::is_signed) {
    int64_t number;
    if (absl::SimpleAtoi(value, &number) && number >= std::numeric_limits<T>::min() &&
        number <= std::numeric_limits<T>::max()) {
      return partition.PutInteger(name_space, key, static_cast<T>(number));
    }
  } else {
    uint64_t number;
    if (absl::SimpleAtoi(value, &number) && number <= std::numeric_limits<T>::max()) {
      return partition.PutInteger(name_space, key, static_cast<T>(number));
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(key, ": out of range: ", value));
}

absl::Status PutRow(NvsPartition& partition, const std::string& name_space, const std::string& key,
                    const std::string& encoding, const std::string& value) {
  if (encoding == "u8") return PutNumber<uint8_t>(partition, name_space, key, value);
  if (encoding == "i8") return PutNumber<int8_t>(partition, name_space, key, value);
  if (encoding == "u16") return PutNumber<uint16_t>(partition, name_space, key, value);
  if (encoding == "i16") return PutNumber<int16_t>(partition, name_space, key, value);
  if (encoding == "u32") return PutNumber<uint32_t>(partition, name_space, key, value);
  if (encoding == "i32") return PutNumber<int32_t>(partition, name_space, key, value);
  if (encoding == "u64") return PutNumber<uint64_t>(partition, name_space, key, value);
  if (encoding == "i64") return PutNumber<int64_t>(partition, name_space, key, value);
  if (encoding == "string") return partition.PutString(name_space, key, value);
  std::string bytes = value;
  if (encoding == "hex2bin") {
    bytes = absl::HexStringToBytes(value);
  } else if (encoding == "base64") {
    if (!absl::Base64Unescape(value, &bytes)) return absl::InvalidArgumentError("not base64");
  } else if (encoding != "binary") {
    return absl::InvalidArgumentError(absl::StrCat("unknown encoding ", encoding));
  }
  return partition.PutBlob(name_space, key, base::AsBytes(bytes));
}

absl::Status Run(const std::string& in, const std::string& out, uint32_t size) {
  base::FileSystem& files = base::SystemFileSystem();
  ASSIGN_OR_RETURN(const std::string csv, files.ReadFile(in, kMaxInputBytes));
  ASSIGN_OR_RETURN(NvsPartition partition, NvsPartition::Create(size));
  std::vector<Row> rows = ParseCsv(csv);
  if (rows.empty() || rows[0] != Row{"key", "type", "encoding", "value"}) {
    return absl::InvalidArgumentError("the first line is not key,type,encoding,value");
  }
  std::string name_space;
  for (size_t i = 1; i < rows.size(); ++i) {
    Row& row = rows[i];
    row.resize(4);
    if (row[1] == "namespace") {
      name_space = row[0];
      continue;
    }
    std::string value = row[3];
    if (row[1] == "file") {
      ASSIGN_OR_RETURN(value, files.ReadFile(value, kMaxInputBytes));
    }
    RETURN_IF_ERROR(PutRow(partition, name_space, row[0], row[2], value)) << "row " << i;
  }
  ASSIGN_OR_RETURN(const std::vector<uint8_t> image, partition.Image());
  return files.WriteFileAtomically(out, base::AsChars(image), base::FileSystem::IfExists::kReplace,
                                   0644);
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) {
  uint32_t size = 0;
  if (argc != 4 || !(absl::SimpleAtoi(argv[3], &size) || absl::SimpleHexAtoi(argv[3], &size))) {
    std::cerr << "usage: nvs-image IN.csv OUT.bin SIZE\n";
    return 2;
  }
  if (const absl::Status status = kiln::Run(argv[1], argv[2], size); !status.ok()) {
    std::cerr << "nvs-image: " << status.message() << "\n";
    return 1;
  }
  return 0;
}
