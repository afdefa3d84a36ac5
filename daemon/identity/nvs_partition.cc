#include "daemon/identity/nvs_partition.h"

#include <libdeflate.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "base/little_endian.h"
#include "base/status_macros.h"

namespace kiln::identity {
namespace {

// A page: header, state bits of its entries, entries (ESP-IDF Programming Guide, "Structure of a
// Page").
constexpr int kEntriesPerPage = 126;
constexpr size_t kEntryBytes = 32;
constexpr size_t kBitmapOffset = 32;
constexpr size_t kEntriesOffset = 64;
constexpr uint32_t kPageActive = 0xfffffffe;
constexpr uint32_t kPageFull = 0xfffffffc;
constexpr uint8_t kVersion2 = 0xfe;

constexpr uint8_t kTypeU8 = 0x01;
constexpr uint8_t kTypeString = 0x21;
constexpr uint8_t kTypeBlobData = 0x42;
constexpr uint8_t kTypeBlobIndex = 0x48;
constexpr uint8_t kNoChunk = 0xff;
constexpr uint8_t kNamespaceList = 0;  // the number under which namespaces are listed

// CRC-32 (IEEE 802.3) as the chips' ROM computes it for NVS: continued from 0xffffffff.
uint32_t NvsCrc(absl::Span<const uint8_t> bytes, uint32_t crc = 0xffffffff) {
  // libdeflate takes a null pointer for a request of the initial value.
  return bytes.empty() ? crc : libdeflate_crc32(crc, bytes.data(), bytes.size());
}

int EntriesFor(size_t bytes) { return static_cast<int>((bytes + kEntryBytes - 1) / kEntryBytes); }

absl::Status CheckName(absl::string_view what, const std::string& name) {
  if (name.empty() || name.size() > NvsPartition::kMaxNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat(what, " \"", name, "\" has ", name.size(),
                                                   " bytes; 1 to ", NvsPartition::kMaxNameBytes,
                                                   " are allowed"));
  }
  if (!std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; })) {
    return absl::InvalidArgumentError(absl::StrCat(what, " has other characters than ASCII"));
  }
  return absl::OkStatus();
}

}  // namespace

// The 32 bytes in front of every value.
struct NvsPartition::Entry {
  uint8_t bytes[kEntryBytes];

  Entry(uint8_t name_space, uint8_t type, int span, uint8_t chunk, const std::string& key) {
    std::fill(std::begin(bytes), std::end(bytes), uint8_t{0xff});
    bytes[0] = name_space;
    bytes[1] = type;
    bytes[2] = static_cast<uint8_t>(span);
    bytes[3] = chunk;
    std::fill(bytes + 8, bytes + 24, uint8_t{0});
    std::memcpy(bytes + 8, key.data(), key.size());
  }

  void SetSizeAndCrc(absl::Span<const uint8_t> value) {
    base::StoreLe16(bytes + 24, static_cast<uint16_t>(value.size()));
    base::StoreLe32(bytes + 28, NvsCrc(value));
  }
};

NvsPartition::NvsPartition(uint32_t size_bytes) : image_(size_bytes, 0xff) {}

absl::StatusOr<NvsPartition> NvsPartition::Create(uint32_t size_bytes) {
  if (size_bytes % kPageBytes != 0 || size_bytes < kMinBytes || size_bytes > kMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("an NVS partition of ", size_bytes, " bytes; its size must be a multiple of ",
                     kPageBytes, " from ", kMinBytes, " to ", kMaxBytes));
  }
  NvsPartition partition(size_bytes);
  // Page 0 exists in an empty partition, too.
  partition.page_ = static_cast<uint32_t>(-1);
  RETURN_IF_ERROR(partition.NextPage());
  return partition;
}

int NvsPartition::FreeEntries() const { return kEntriesPerPage - used_entries_; }

absl::Status NvsPartition::NextPage() {
  const uint32_t next = page_ + 1;
  // The last page stays free.
  if (next + 1 >= image_.size() / kPageBytes) {
    broken_ = absl::ResourceExhaustedError(
        absl::StrCat("the values do not fit into an NVS partition of ", image_.size(), " bytes"));
    return broken_;
  }
  if (next > 0) base::StoreLe32(image_.data() + size_t{page_} * kPageBytes, kPageFull);
  page_ = next;
  used_entries_ = 0;
  uint8_t* const header = image_.data() + size_t{page_} * kPageBytes;
  base::StoreLe32(header, kPageActive);
  base::StoreLe32(header + 4, page_);  // sequence number
  header[8] = kVersion2;
  base::StoreLe32(header + 28, NvsCrc(absl::MakeConstSpan(header + 4, 24)));
  return absl::OkStatus();
}

absl::Status NvsPartition::EnsureEntry() {
  return FreeEntries() == 0 ? NextPage() : absl::OkStatus();
}

void NvsPartition::Append(const Entry& head, absl::Span<const uint8_t> payload) {
  uint8_t* const page = image_.data() + size_t{page_} * kPageBytes;
  uint8_t* const at = page + kEntriesOffset + static_cast<size_t>(used_entries_) * kEntryBytes;
  std::memcpy(at, head.bytes, kEntryBytes);
  // Over everything but the CRC itself.
  const uint32_t crc = NvsCrc(absl::MakeConstSpan(at, 4));
  base::StoreLe32(at + 4, NvsCrc(absl::MakeConstSpan(at + 8, kEntryBytes - 8), crc));
  if (!payload.empty()) std::memcpy(at + kEntryBytes, payload.data(), payload.size());
  const int end = used_entries_ + 1 + EntriesFor(payload.size());
  for (; used_entries_ < end; ++used_entries_) {
    // Two bits an entry: 11 empty, 10 written.
    page[kBitmapOffset + used_entries_ / 4] &=
        static_cast<uint8_t>(~(1u << (used_entries_ % 4 * 2)));
  }
}

absl::StatusOr<uint8_t> NvsPartition::Claim(const std::string& name_space, const std::string& key) {
  RETURN_IF_ERROR(broken_);
  RETURN_IF_ERROR(CheckName("NVS namespace", name_space));
  RETURN_IF_ERROR(CheckName("NVS key", key));
  auto it = namespaces_.find(name_space);
  if (it == namespaces_.end()) {
    if (namespaces_.size() == kMaxNamespaces) {
      return absl::InvalidArgumentError(
          absl::StrCat("NVS holds at most ", kMaxNamespaces, " namespaces"));
    }
    RETURN_IF_ERROR(EnsureEntry());
    const uint8_t number = static_cast<uint8_t>(namespaces_.size() + 1);
    Entry entry(kNamespaceList, kTypeU8, /*span=*/1, kNoChunk, name_space);
    entry.bytes[24] = number;
    Append(entry, {});
    it = namespaces_.emplace(name_space, number).first;
  }
  if (!keys_.emplace(it->second, key).second) {
    return absl::AlreadyExistsError(
        absl::StrCat("NVS key \"", key, "\" is twice in namespace \"", name_space, "\""));
  }
  return it->second;
}

absl::Status NvsPartition::PutScalar(const std::string& name_space, const std::string& key,
                                     uint8_t type, uint64_t bits, size_t width) {
  ASSIGN_OR_RETURN(const uint8_t number, Claim(name_space, key));
  RETURN_IF_ERROR(EnsureEntry());
  Entry entry(number, type, /*span=*/1, kNoChunk, key);
  uint8_t value[sizeof(bits)];
  base::StoreLe(value, bits);
  std::memcpy(entry.bytes + 24, value, width);
  Append(entry, {});
  return absl::OkStatus();
}

absl::Status NvsPartition::PutString(const std::string& name_space, const std::string& key,
                                     absl::string_view text) {
  if (text.size() > kMaxStringBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the text for NVS key \"", key, "\" has ",
                                                   text.size(), " bytes; at most ", kMaxStringBytes,
                                                   " are possible"));
  }
  if (text.find('\0') != text.npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("the text for NVS key \"", key, "\" has a NUL character"));
  }
  ASSIGN_OR_RETURN(const uint8_t number, Claim(name_space, key));
  const std::string stored = absl::StrCat(text, absl::string_view("\0", 1));
  const int span = 1 + EntriesFor(stored.size());
  // A string lies on one page. That it may not reach the page's last entry is the official
  // generator's rule, kept for equality.
  if (span >= FreeEntries()) {
    RETURN_IF_ERROR(NextPage());
  }
  Entry entry(number, kTypeString, span, kNoChunk, key);
  entry.SetSizeAndCrc(base::AsBytes(stored));
  Append(entry, base::AsBytes(stored));
  return absl::OkStatus();
}

absl::Status NvsPartition::PutBlob(const std::string& name_space, const std::string& key,
                                   absl::Span<const uint8_t> bytes) {
  if (bytes.size() > kMaxBlobBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the blob for NVS key \"", key, "\" has ",
                                                   bytes.size(), " bytes; at most ", kMaxBlobBytes,
                                                   " are possible"));
  }
  ASSIGN_OR_RETURN(const uint8_t number, Claim(name_space, key));
  RETURN_IF_ERROR(EnsureEntry());
  // What fits on this page, then page by page. An empty blob is one empty chunk; so begins a blob
  // that finds room for a head only.
  absl::Span<const uint8_t> rest = bytes;
  uint8_t chunks = 0;
  do {
    const size_t room = static_cast<size_t>(FreeEntries() - 1) * kEntryBytes;
    const absl::Span<const uint8_t> chunk = rest.first(std::min(room, rest.size()));
    rest.remove_prefix(chunk.size());
    Entry entry(number, kTypeBlobData, 1 + EntriesFor(chunk.size()), chunks++, key);
    entry.SetSizeAndCrc(chunk);
    Append(entry, chunk);
    RETURN_IF_ERROR(EnsureEntry());
  } while (!rest.empty());
  Entry index(number, kTypeBlobIndex, /*span=*/1, kNoChunk, key);
  base::StoreLe32(index.bytes + 24, static_cast<uint32_t>(bytes.size()));
  index.bytes[28] = chunks;
  index.bytes[29] = 0;  // number of the first chunk
  Append(index, {});
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint8_t>> NvsPartition::Image() const {
  RETURN_IF_ERROR(broken_);
  return image_;
}

}  // namespace kiln::identity
