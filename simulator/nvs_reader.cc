#include "simulator/nvs_reader.h"

#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/little_endian.h"

namespace kiln::simulator {
namespace {

// ESP-IDF programming guide, "NVS library", structure of a page and of an entry.
constexpr size_t kPageSize = 4096;
constexpr size_t kEntrySize = 32;
constexpr size_t kEntriesPerPage = 126;
constexpr size_t kBitmapOffset = 32;
constexpr size_t kFirstEntry = 64;
constexpr uint32_t kStateUninitialised = 0xFFFFFFFF;
constexpr uint32_t kStateActive = 0xFFFFFFFE;
constexpr uint32_t kStateFull = 0xFFFFFFFC;
constexpr uint32_t kStateFreeing = 0xFFFFFFF8;
constexpr uint8_t kVersion2 = 0xFE;
constexpr uint8_t kEntryWritten = 2;  // two bits per entry: 3 empty, 2 written, 0 erased

enum Type : uint8_t {
  kU8 = 0x01,
  kI8 = 0x11,
  kU16 = 0x02,
  kI16 = 0x12,
  kU32 = 0x04,
  kI32 = 0x14,
  kU64 = 0x08,
  kI64 = 0x18,
  kString = 0x21,
  kBlobData = 0x42,
  kBlobIndex = 0x48,
};

uint32_t NvsCrc(absl::Span<const uint8_t> data) {
  return static_cast<uint32_t>(crc32(0xFFFFFFFF, data.data(), static_cast<uInt>(data.size())));
}

struct BlobIndex {
  uint32_t size;
  uint8_t chunks;
  uint8_t first;
};
using Key = std::pair<uint8_t, std::string>;  // namespace index, key

class Reader {
 public:
  NvsContents Read(absl::Span<const uint8_t> partition) {
    std::vector<std::pair<uint32_t, size_t>> pages;  // sequence number, offset
    for (size_t at = 0; at + kPageSize <= partition.size(); at += kPageSize) {
      const absl::Span<const uint8_t> page = partition.subspan(at, kPageSize);
      const uint32_t state = base::LoadLe32(page.data());
      if (state == kStateUninitialised) continue;
      if (state != kStateActive && state != kStateFull && state != kStateFreeing) {
        Complain("page at 0x%x has the unknown state 0x%08x", at, state);
      } else if (base::LoadLe32(&page[28]) != NvsCrc(page.subspan(4, 24))) {
        Complain("page at 0x%x has a wrong header CRC", at);
      } else if (page[8] != kVersion2) {
        Complain("page at 0x%x has version 0x%02x", at, page[8]);
      } else {
        pages.emplace_back(base::LoadLe32(&page[4]), at);
      }
    }
    std::sort(pages.begin(), pages.end());
    for (const auto& [sequence, at] : pages) ReadPage(partition.subspan(at, kPageSize), at);
    AssembleBlobs();
    for (auto& [key, value] : values_) {
      const auto name = names_.find(key.first);
      if (name == names_.end()) {
        Complain("key %s is in the unnamed namespace %d", key.second, key.first);
      } else {
        contents_.namespaces[name->second][key.second] = std::move(value);
      }
    }
    for (const auto& [index, name] : names_) contents_.namespaces[name];
    return std::move(contents_);
  }

 private:
  template <typename... Args>
  void Complain(const absl::FormatSpec<Args...>& format, const Args&... args) {
    contents_.complaints.push_back(absl::StrFormat(format, args...));
  }

  void ReadPage(absl::Span<const uint8_t> page, size_t page_at) {
    for (size_t i = 0; i < kEntriesPerPage;) {
      const uint8_t state = (page[kBitmapOffset + i / 4] >> (2 * (i % 4))) & 3;
      if (state != kEntryWritten) {
        ++i;
        continue;
      }
      i += ReadEntry(page, i, page_at);
    }
  }

  // Returns how many entries it spans.
  size_t ReadEntry(absl::Span<const uint8_t> page, size_t index, size_t page_at) {
    const size_t offset = kFirstEntry + index * kEntrySize;
    const absl::Span<const uint8_t> entry = page.subspan(offset, kEntrySize);
    const size_t where = page_at + offset;
    std::vector<uint8_t> covered(entry.begin(), entry.begin() + 4);
    covered.insert(covered.end(), entry.begin() + 8, entry.end());
    if (base::LoadLe32(&entry[4]) != NvsCrc(covered)) {
      Complain("entry at 0x%x has a wrong CRC", where);
      return 1;
    }
    const uint8_t name_space = entry[0];
    const uint8_t type = entry[1];
    const size_t span = entry[2];
    const uint8_t chunk = entry[3];
    const absl::Span<const uint8_t> raw_key = entry.subspan(8, 16);
    const auto nul = std::find(raw_key.begin(), raw_key.end(), 0);
    const std::string key(raw_key.begin(), nul);
    const absl::Span<const uint8_t> data = entry.subspan(24, 8);
    if (span == 0 || index + span > kEntriesPerPage || nul == raw_key.end() || key.empty()) {
      Complain("entry at 0x%x is malformed", where);
      return 1;
    }
    if (name_space == 0) {
      if (type == kU8) names_[data[0]] = key;
      return span;
    }
    const Key id{name_space, key};
    switch (type) {
      case kU8:
      case kU16:
      case kU32:
      case kU64:
        values_[id] = base::LoadLe<uint64_t>(data.data()) & WidthMask(type & 0x0F);
        return span;
      case kI8:
        values_[id] = int64_t{static_cast<int8_t>(data[0])};
        return span;
      case kI16:
        values_[id] = int64_t{base::LoadLe<int16_t>(data.data())};
        return span;
      case kI32:
        values_[id] = int64_t{base::LoadLe<int32_t>(data.data())};
        return span;
      case kI64:
        values_[id] = base::LoadLe<int64_t>(data.data());
        return span;
      case kBlobIndex:
        indexes_[id] = {base::LoadLe32(data.data()), data[4], data[5]};
        return span;
      case kString:
      case kBlobData:
        break;
      default:
        Complain("entry at 0x%x has the unknown type 0x%02x", where, type);
        return span;
    }
    // Values of variable length follow in the next entries.
    const size_t size = base::LoadLe16(data.data());
    if (1 + (size + kEntrySize - 1) / kEntrySize != span) {
      Complain("entry at 0x%x spans %d entries for %d bytes", where, span, size);
      return span;
    }
    const absl::Span<const uint8_t> bytes = page.subspan(offset + kEntrySize, size);
    if (base::LoadLe32(&data[4]) != NvsCrc(bytes)) {
      Complain("value of %s at 0x%x has a wrong CRC", key, where);
      return span;
    }
    if (type == kBlobData) {
      chunks_[{id, chunk}] = {bytes.begin(), bytes.end()};
    } else if (bytes.empty() || bytes.back() != 0) {
      Complain("string %s at 0x%x is not terminated", key, where);
    } else {
      values_[id] = std::string(bytes.begin(), bytes.end() - 1);
    }
    return span;
  }

  void AssembleBlobs() {
    for (const auto& [id, index] : indexes_) {
      std::vector<uint8_t> blob;
      for (int i = 0; i < index.chunks; ++i) {
        const auto chunk = chunks_.find({id, static_cast<uint8_t>(index.first + i)});
        if (chunk != chunks_.end()) {
          blob.insert(blob.end(), chunk->second.begin(), chunk->second.end());
        }
      }
      if (blob.size() == index.size) {
        values_[id] = std::move(blob);
      } else {
        Complain("blob %s has %d of %d bytes", id.second, blob.size(), index.size);
      }
    }
  }

  static uint64_t WidthMask(int bytes) {
    return bytes == 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * bytes)) - 1;
  }

  NvsContents contents_;
  std::map<uint8_t, std::string> names_;
  std::map<Key, NvsValue> values_;
  std::map<Key, BlobIndex> indexes_;
  std::map<std::pair<Key, uint8_t>, std::vector<uint8_t>> chunks_;
};

}  // namespace

std::string NvsContents::StringAt(absl::string_view name_space, absl::string_view key) const {
  const auto found = namespaces.find(std::string(name_space));
  if (found == namespaces.end()) return "";
  const auto value = found->second.find(std::string(key));
  if (value == found->second.end()) return "";
  const std::string* text = std::get_if<std::string>(&value->second);
  return text == nullptr ? "" : *text;
}

NvsContents ReadNvs(absl::Span<const uint8_t> partition) { return Reader().Read(partition); }

}  // namespace kiln::simulator
