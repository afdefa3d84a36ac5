#ifndef KILN_SIMULATOR_SIMULATED_BOARD_H_
#define KILN_SIMULATOR_SIMULATED_BOARD_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "daemon/esp/chip.h"
#include "simulator/boot.h"
#include "simulator/faults.h"
#include "simulator/flash_memory.h"
#include "simulator/loader.h"
#include "simulator/registers.h"
#include "simulator/slip.h"

namespace kiln::simulator {

struct BoardConfig {
  esp::Chip chip = esp::Chip::kEsp32;
  esp::MacAddress mac = {0x7C, 0xDF, 0xA1, 0x00, 0x00, 0x01};
  // The flash part; its size is the flash size. Empty: the usual part of 4 MiB.
  std::string flash_part;
  // Models the time of the wire and of the flash. Off: answers at once.
  bool model_times = false;
  // Powers up in download mode, and comes back to it when a person presses reset, as with BOOT
  // held. Resets by the lines go where the lines say.
  bool start_in_download_mode = false;
  // Behind a USB adapter: the board tests the line instead (usb/line_test_peer.h).
  bool line_test = false;
  // How often the program repeats its report; zero: it says it once.
  absl::Duration report_interval = absl::ZeroDuration();
  Faults faults;
};

// What a board has been through, for tests and `kiln-sim stats`.
struct BoardStatistics {
  uint64_t received_bytes = 0;
  uint64_t sent_bytes = 0;
  uint64_t resets = 0;
  uint64_t frames = 0;
  // Bytes a loader could not take because it still had a frame; a host that waits for its
  // acknowledgements causes none.
  uint64_t overrun_bytes = 0;
  uint64_t garbled_bytes = 0;  // received or sent at different rates
  uint64_t programmed_bytes = 0;
  uint64_t erased_bytes = 0;
  uint64_t boots = 0;  // starts from flash that reached the application
  uint64_t failed_boots = 0;
};

// A board of the ESP32 family made of software: chip, flash, UART and the two lines of the
// auto-reset circuit. Deterministic and single-threaded: it has no clock, its owner tells it the
// time with every call, never going back. The same calls give the same bytes.
class SimulatedBoard final : private LoaderPort {
 public:
  // Powers up at `now`. The flash is blank.
  SimulatedBoard(const BoardConfig& config, absl::Duration now);
  ~SimulatedBoard() override;

  // The rate the host's end of the wire uses; 0 when it has none (no byte is garbled then).
  void SetHostBaudRate(uint32_t baud) { host_baud_ = baud; }
  // True is asserted, which is low. EN is low while RTS is asserted and DTR is not; IO0 is low
  // while DTR is asserted and RTS is not.
  void SetLines(absl::Duration now, bool dtr, bool rts);
  // Bytes the host sends at `now`.
  void Receive(absl::Duration now, absl::Span<const uint8_t> bytes);
  // Lets everything happen that is due by `now`.
  void Advance(absl::Duration now);
  // When something worth looking at happens next without the host: a frame is complete, bytes
  // (collected for up to 1 ms) reach the host, the program speaks. Nothing while the board waits.
  std::optional<absl::Duration> NextEvent() const;
  // Takes bytes that have arrived at the host by `now`, at most `out.size()`.
  size_t TakeOutput(absl::Duration now, absl::Span<uint8_t> out);
  bool HasOutput(absl::Duration now) const;
  // Forgets what is on its way to the host and has arrived by `now`.
  void DiscardOutput(absl::Duration now);
  // Whether all bytes received so far have reached the UART, as far as time is modelled.
  absl::Duration ReceiveDone() const { return receive_busy_until_; }

  // Pulls or gives the supply. A board without it neither hears nor speaks.
  void PowerOff();
  void PowerOn(absl::Duration now);
  bool powered() const { return powered_; }
  // A fault asks for the port to be taken away; true once.
  bool TakeUnplugRequest();
  // Presses the reset button.
  void PressReset(absl::Duration now);

  // Replaces the faults and starts their counts anew.
  void SetFaults(const Faults& faults);
  const Faults& current_faults() const { return faults_; }

  const BoardConfig& config() const { return config_; }
  FlashMemory& flash_memory() { return flash_; }
  const FlashMemory& flash_memory() const { return flash_; }
  uint32_t board_baud_rate() const { return baud_; }
  bool in_download_mode() const { return mode_ == Mode::kDownload; }
  bool stub_running() const { return mode_ == Mode::kStub; }
  // Whether the program in flash runs; a start that fails does not.
  bool application_running() const {
    return mode_ == Mode::kApplication && loop_period_ == absl::ZeroDuration();
  }
  BoardStatistics statistics() const;

 private:
  enum class Mode { kOff, kHeldInReset, kDownload, kStub, kHung, kApplication };
  struct TimedByte {
    absl::Duration at;
    uint32_t baud;   // the sender's rate
    uint64_t chunk;  // input: which call of Receive; output: unused
    uint8_t value;
  };
  struct PendingFrame {
    absl::Duration at;
    uint64_t chunk;
    std::vector<uint8_t> bytes;
  };
  struct TimedText {
    absl::Duration at;
    std::string text;
    bool repeats = false;
  };

  // LoaderPort.
  esp::Chip chip() const override { return config_.chip; }
  FlashMemory& flash() override { return flash_; }
  Registers& registers() override { return registers_; }
  Faults& faults() override { return faults_; }
  void SendFrame(absl::Span<const uint8_t> payload) override;
  void Spend(absl::Duration duration) override;
  void SpendAlways(absl::Duration duration) override;
  bool ProgramFlash(uint32_t address, absl::Span<const uint8_t> data) override;
  void ChangeBaudRate(uint32_t baud) override;
  uint32_t baud_rate() const override { return baud_; }
  void StartStub() override;
  void RunProgram() override;
  void SoftReset() override;

  void Reset(absl::Duration now, bool io0_low, ResetCause cause);
  void StartFromFlash(absl::Duration now, ResetCause cause);
  void TakeByte(const TimedByte& byte);
  void RunFrame();
  void Transmit(absl::Duration at, absl::Span<const uint8_t> bytes);
  absl::Duration ByteTime(uint32_t baud) const;
  bool SameRate(uint32_t sender, uint32_t receiver) const;
  bool RunsLoader() const { return mode_ == Mode::kDownload || mode_ == Mode::kStub; }
  void ApplyEndOfFrame();

  const BoardConfig config_;
  Faults faults_;
  FlashMemory flash_;
  Registers registers_;

  bool powered_ = false;
  bool dtr_ = false;
  bool rts_ = false;
  Mode mode_ = Mode::kOff;
  std::unique_ptr<Loader> loader_;
  bool strapped_for_download_ = false;  // IO0 when EN last rose
  bool autobaud_ = false;
  uint32_t baud_ = 115200;
  uint32_t host_baud_ = 115200;

  // The receiving side.
  std::deque<TimedByte> incoming_;
  std::deque<absl::Duration> delimiters_;  // when the frame delimiters among them arrive
  absl::Duration receive_busy_until_;
  uint64_t chunk_ = 0;
  SlipDecoder decoder_;
  std::optional<PendingFrame> frame_;
  uint64_t last_frame_chunk_ = 0;
  absl::Duration processor_free_;
  absl::Duration processor_now_;  // while a frame is handled

  // The sending side.
  std::deque<TimedByte> outgoing_;
  absl::Duration transmit_busy_until_;
  std::deque<TimedText> script_;  // what a start from flash will print
  // When the RTC watchdog that a host has set resets the chip.
  absl::Duration watchdog_at_ = absl::InfiniteDuration();
  absl::Duration loop_period_;  // a failing start repeats; zero when it does not

  // What a handled frame has asked for, done once it is finished.
  enum class After { kNothing, kStartStub, kRunProgram, kSoftReset, kReset, kPowerOff };
  After after_ = After::kNothing;
  bool unplug_requested_ = false;

  uint64_t fault_flash_bytes_ = 0;
  uint64_t fault_received_bytes_ = 0;
  uint64_t fault_sent_bytes_ = 0;
  BoardStatistics statistics_;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_SIMULATED_BOARD_H_
