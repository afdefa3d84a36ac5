#ifndef KILN_DAEMON_ESP_STUB_STORE_H_
#define KILN_DAEMON_ESP_STUB_STORE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/file_system.h"
#include "daemon/esp/chip.h"

namespace kiln::esp {

// A stub loader: two pieces of memory and where to start.
struct StubImage {
  uint32_t entry = 0;
  uint32_t text_start = 0;
  std::vector<uint8_t> text;
  uint32_t data_start = 0;
  std::vector<uint8_t> data;  // may be empty
};

// Reads one stub file: a JSON object with `entry`, `text` (base64), `text_start`, and optionally
// `data` (base64) with `data_start`. Text and data have at most 256 KiB each. Errors:
// INVALID_ARGUMENT.
absl::StatusOr<StubImage> ParseStub(absl::string_view json);

// The installed stub files of one folder, read once at start. Immutable afterwards, so that the
// workers of all ports share it without locks. Owned by the daemon's composition.
class StubStore {
 public:
  // Reads every "*.json" in `folder`. A missing folder gives an empty store; files that are no
  // stubs are left out and named in `problems`.
  static StubStore Load(base::FileSystem& file_system, const std::string& folder);

  // The stub of the file "`name`.json", or null. See ChipTraits::stub_name.
  const StubImage* Find(absl::string_view name) const;
  // The chips that have a stub, in the order of AllChips.
  std::vector<Chip> chips() const;
  // One sentence for each file that could not be used.
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  std::map<std::string, StubImage> stubs_;
  std::vector<std::string> problems_;
};

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_STUB_STORE_H_
