#ifndef KILN_DAEMON_IDENTITY_NVS_PARTITION_H_
#define KILN_DAEMON_IDENTITY_NVS_PARTITION_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kiln::identity {

// Writes the image of an NVS partition, format version 2, unencrypted, as ESP-IDF's nvs_flash reads
// it (ESP-IDF Programming Guide, "Non-Volatile Storage Library"). Entries lie in the order of the
// calls, and the bytes equal those of the official generator for the same order; tests/nvs holds
// both side by side. Made for one image; one thread at a time.
//
// Errors of the Put functions: INVALID_ARGUMENT (a name or value NVS cannot hold), ALREADY_EXISTS
// (the key is there), RESOURCE_EXHAUSTED (the partition is full; the image is lost and every later
// call says so again).
class NvsPartition {
 public:
  static constexpr uint32_t kPageBytes = 4096;
  // Two pages to use and the one that NVS needs free to move entries.
  static constexpr uint32_t kMinBytes = 3 * kPageBytes;
  // The largest flash memory of a common module; no real partition comes near it.
  static constexpr uint32_t kMaxBytes = 16u << 20;
  static constexpr size_t kMaxNameBytes = 15;
  // ESP-IDF reads strings up to 4000 bytes with their NUL, but the official generator leaves the
  // last two entries of a page to no string: 124 entries of 32 bytes are what it can place.
  static constexpr size_t kMaxStringBytes = size_t{124} * 32 - 1;  // without the NUL
  static constexpr size_t kMaxBlobBytes = 508'000;                 // ESP-IDF's own limit
  static constexpr int kMaxNamespaces = 254;

  // An empty partition of `size_bytes`, a multiple of 4096 from kMinBytes to kMaxBytes, else
  // INVALID_ARGUMENT.
  static absl::StatusOr<NvsPartition> Create(uint32_t size_bytes);

  // Names of namespaces and keys are 1 to 15 bytes of printable ASCII. A namespace is made by its
  // first entry.
  template <std::integral T>
  absl::Status PutInteger(const std::string& name_space, const std::string& key, T value) {
    static_assert(!std::is_same_v<T, bool>, "NVS has no booleans; store a uint8_t");
    constexpr uint8_t kSignedFlag = 0x10;
    return PutScalar(name_space, key,
                     static_cast<uint8_t>(sizeof(T) | (std::is_signed_v<T> ? kSignedFlag : 0)),
                     static_cast<uint64_t>(value), sizeof(T));
  }
  // `text` is stored with a NUL behind it and may not hold one.
  absl::Status PutString(const std::string& name_space, const std::string& key,
                         absl::string_view text);
  absl::Status PutBlob(const std::string& name_space, const std::string& key,
                       absl::Span<const uint8_t> bytes);

  // All of the partition, unused bytes 0xff.
  absl::StatusOr<std::vector<uint8_t>> Image() const;

 private:
  struct Entry;

  explicit NvsPartition(uint32_t size_bytes);

  absl::Status PutScalar(const std::string& name_space, const std::string& key, uint8_t type,
                         uint64_t bits, size_t width);
  // Checks both names and gives the namespace's number, writing its entry when it is new.
  absl::StatusOr<uint8_t> Claim(const std::string& name_space, const std::string& key);
  int FreeEntries() const;
  // Marks the current page full and begins the next.
  absl::Status NextPage();
  // Begins the next page when the current one has no free entry.
  absl::Status EnsureEntry();
  // `payload` follows its head on the current page, which has room for both.
  void Append(const Entry& head, absl::Span<const uint8_t> payload);

  std::vector<uint8_t> image_;
  uint32_t page_ = 0;
  int used_entries_ = 0;  // on the current page
  std::map<std::string, uint8_t> namespaces_;
  std::set<std::pair<uint8_t, std::string>> keys_;
  absl::Status broken_;
};

}  // namespace kiln::identity

#endif  // KILN_DAEMON_IDENTITY_NVS_PARTITION_H_
