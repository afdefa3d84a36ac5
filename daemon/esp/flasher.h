#ifndef KILN_DAEMON_ESP_FLASHER_H_
#define KILN_DAEMON_ESP_FLASHER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "base/clock.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/prepared_image.h"
#include "daemon/ports/byte_stream.h"

namespace kiln::esp {

// Where stub loaders come from: the folder of installed stub files, or nothing (stub_store.h).
class StubStore;
// What is configured and learnt of a port (port_profile.h).
class PortProfile;

struct FlasherOptions {
  // Rate for everything after the first contact, which is always at 115200.
  uint32_t baud_rate = 921600;
  // Null: only the ROM loader is used. Not owned.
  const StubStore* stubs = nullptr;
  // Of the port the board is at; null: nothing is known of it, and nothing learnt. Not owned.
  PortProfile* profile = nullptr;
};

// What the loader says of the board.
struct BoardFacts {
  Chip chip;
  MacAddress mac;
  uint32_t flash_size_bytes = 0;
  uint32_t flash_jedec_id = 0;  // manufacturer in bits 0-7, then memory type and capacity
  bool secure_boot = false;
  bool flash_encryption = false;
  bool secure_download = false;
  bool stub_running = false;
};

// Progress of one Flash or Verify call, in bytes of image data.
struct FlashProgress {
  uint64_t done_bytes = 0;
  uint64_t total_bytes = 0;
};
using ProgressCallback = std::function<void(const FlashProgress&)>;

struct FlashResult {
  uint64_t image_bytes = 0;    // size of the whole plan
  uint64_t written_bytes = 0;  // of these, what differed and was written
  uint64_t sent_bytes = 0;     // payload sent for it, compressed where compressed
  uint32_t baud_rate = 0;
  bool stub = false;
};

// One conversation with the loader of one board: connect, look, write, check,
// let go. Made and used by the worker of a port, on its thread. All calls
// return CANCELLED at the next safe point once `cancellation` is set, with the
// loader still able to answer. Typed errors: BoardSilent, BoardWrongBootMode,
// ChipUnknown, ChipSecured, FlashUnknown, FlashTooSmall, FlashWriteFailed,
// FlashVerifyFailed, ProtocolError, BoardSwapped (another board answered after a reset in the
// middle), and those of the byte stream.
class Flasher {
 public:
  // `stream`, `clock` and `cancellation` must outlive the flasher.
  static std::unique_ptr<Flasher> Create(ports::ByteStream& stream, base::Clock& clock,
                                         const base::Cancellation& cancellation,
                                         const FlasherOptions& options);
  virtual ~Flasher() = default;

  // Resets the board into its loader (or takes over a loader that already
  // answers), and synchronises.
  virtual absl::Status Connect() = 0;
  // Detects chip, MAC and security; changes the rate; uploads the stub where
  // one is there; attaches the flash and reads its size. ChipSecured when
  // writing would be wrong. Needs Connect.
  virtual absl::StatusOr<BoardFacts> Identify() = 0;
  // Writes what differs from the chip's content. Needs Identify. Calling it
  // again continues: what is already right is skipped.
  virtual absl::StatusOr<FlashResult> Flash(const FlashPlan& plan,
                                            const ProgressCallback& progress) = 0;
  // Compares the MD5 of every region, as the chip computes it, with the plan.
  // FlashVerifyFailed names the first region that differs.
  virtual absl::Status Verify(const FlashPlan& plan, const ProgressCallback& progress) = 0;
  // Leaves the loader and starts the program in flash, at 115200. The stream
  // then carries its output. The conversation is over; Connect begins a new one.
  // A chip on its own USB-OTG leaves the bus with that, and OK is also the
  // answer when it was gone before it could acknowledge.
  virtual absl::Status Boot() = 0;
  // Whether a loader answers now, without any reset: half a second of listening
  // where none does. What has arrived until then is thrown away. For a board
  // that was just opened; Connect begins the conversation.
  virtual absl::StatusOr<bool> LoaderAnswers() = 0;
};

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_FLASHER_H_
