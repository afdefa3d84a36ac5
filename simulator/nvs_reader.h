#ifndef KILN_SIMULATOR_NVS_READER_H_
#define KILN_SIMULATOR_NVS_READER_H_

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kiln::simulator {

// One stored value: unsigned and signed numbers of any width, strings, blobs.
using NvsValue = std::variant<uint64_t, int64_t, std::string, std::vector<uint8_t>>;

// What an NVS partition holds, and what is wrong with it. Damaged entries and pages are left out
// and complained of, as the flash driver's own log would.
struct NvsContents {
  std::map<std::string, std::map<std::string, NvsValue>> namespaces;
  std::vector<std::string> complaints;

  // The string at `key`; empty when there is none.
  std::string StringAt(absl::string_view name_space, absl::string_view key) const;
};

// Reads an NVS partition, format version 2 (ESP-IDF programming guide, "NVS library": pages,
// entries, CRCs, blobs in chunks). Unencrypted only. Any input is safe.
NvsContents ReadNvs(absl::Span<const uint8_t> partition);

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_NVS_READER_H_
