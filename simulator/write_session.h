#ifndef KILN_SIMULATOR_WRITE_SESSION_H_
#define KILN_SIMULATOR_WRITE_SESSION_H_

#include <zlib.h>

#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "simulator/loader.h"

namespace kiln::simulator {

// One run of writing between a BEGIN and an END, plain or deflated. The ROM erases all of it
// before the first byte; the stub erases as it goes, skipping what is blank until the first sector
// that is not.
class WriteSession {
 public:
  enum class Erase { kUpFront, kAsNeeded };
  enum class Outcome { kOk, kTooMuch, kInflateFailed, kBoardGone };

  // `size` bytes from `offset`. Erases at once for kUpFront.
  WriteSession(LoaderPort& port, Erase erase, bool deflated, uint32_t offset, uint32_t size);
  ~WriteSession();
  WriteSession(const WriteSession&) = delete;
  WriteSession& operator=(const WriteSession&) = delete;

  // Takes one block's data. Plain data past the session's end is dropped when it is padding of the
  // last block, as the loaders do; more than that is kTooMuch.
  Outcome Write(absl::Span<const uint8_t> data);
  bool deflated() const { return deflated_; }
  uint32_t remaining() const { return remaining_; }

 private:
  Outcome Program(absl::Span<const uint8_t> data);
  void EraseUpTo(uint32_t end);
  // Erases the unit at `erased_to_` and moves on.
  void EraseNext();

  LoaderPort& port_;
  const Erase erase_;
  const bool deflated_;
  uint32_t position_;
  uint32_t remaining_;
  uint32_t end_;
  uint32_t erased_to_;
  bool check_blank_;
  bool stream_ended_ = false;
  std::unique_ptr<z_stream> inflater_;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_WRITE_SESSION_H_
