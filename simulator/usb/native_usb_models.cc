#include "simulator/usb/native_usb_models.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "daemon/esp/chip.h"
#include "simulator/simulated_board.h"
#include "simulator/usb/serial_peer.h"

namespace kiln::simulator {
namespace {

constexpr uint16_t kEspressif = 0x303A;
constexpr uint16_t kUsbSerialJtag = 0x1001;

// How long a chip that starts over is away from the bus: the host has to see it leave, and the ROM
// or the program to bring the peripheral up again.
constexpr absl::Duration kAway = absl::Milliseconds(100);
// ESP-IDF's USB console waits so long between the command and the restart.
constexpr absl::Duration kRestartDelay = absl::Milliseconds(50);
// A program whose port appears with it cannot know when somebody begins to listen. This is how
// often it speaks where the configuration has no interval.
constexpr absl::Duration kReportInterval = absl::Seconds(1);

BoardConfig Repeating(BoardConfig config) {
  if (config.report_interval == absl::ZeroDuration()) config.report_interval = kReportInterval;
  return config;
}

// Both are the chip's id, as image headers have it.
uint16_t RomProduct(esp::Chip chip) {
  switch (chip) {
    case esp::Chip::kEsp32S3:
      return 0x0009;
    case esp::Chip::kEsp32P4:
      return 0x0012;
    default:
      return 0x0002;
  }
}

// Starts the chip as its own USB peripheral does, which has no lines: what a level at IO0 would say
// comes from the peripheral.
void ResetChip(SimulatedBoard& board, absl::Duration now, bool download) {
  board.SetLines(now, false, true);
  if (download) board.SetLines(now, true, false);
  board.SetLines(now, false, false);
}

// The peripheral's reading of line states: DTR alone asks for download mode at the next reset, none
// takes that back, RTS alone resets, both do nothing.
class JtagPeer final : public BoardPeer {
 public:
  using BoardPeer::BoardPeer;

  void PowerOn(absl::Duration now) override {
    download_ = reset_ = false;
    BoardPeer::PowerOn(now);
  }

  void SetLines(absl::Duration now, bool dtr, bool rts) override {
    if (!rts) download_ = dtr;
    const bool reset = rts && !dtr;
    if (reset && !reset_) ResetChip(*board(), now, download_);
    reset_ = reset;
  }

 private:
  bool download_ = false;
  bool reset_ = false;
};

}  // namespace

UsbSerialJtagModel::UsbSerialJtagModel(const BoardConfig& config)
    : CdcAcmModel({.vendor = kEspressif,
                   .product = kUsbSerialJtag,
                   .release = 0x0101,
                   .manufacturer = "Espressif",
                   .name = "USB JTAG/serial debug unit",
                   .serial = absl::AsciiStrToUpper(esp::FormatMac(config.mac)),
                   .has_jtag = true},
                  {.in = 0x81, .out = 0x01, .interrupt = 0x82}, false,
                  std::make_unique<JtagPeer>(config)) {}

// The program's reading of line states, that of ESP-IDF's USB console: when RTS is released, it
// restarts, into the loader when DTR is asserted then.
class UsbOtgModel::Peer final : public BoardPeer {
 public:
  using BoardPeer::BoardPeer;

  void PowerOn(absl::Duration now) override {
    ForgetLines();
    BoardPeer::PowerOn(now);
  }

  void SetLines(absl::Duration now, bool dtr, bool rts) override {
    const bool released = rts_ && !rts;
    rts_ = rts;
    dtr_ = dtr;
    if (!released || InLoader()) return;
    restart_at_ = now + kRestartDelay;
    download_ = dtr;
  }

  void Advance(absl::Duration now) override {
    BoardPeer::Advance(now);
    if (restart_at_ > now) return;
    restart_at_ = absl::InfiniteDuration();
    ResetChip(*board(), now, download_);
  }

  std::optional<absl::Duration> NextEvent() const override {
    const std::optional<absl::Duration> next = BoardPeer::NextEvent();
    if (restart_at_ == absl::InfiniteDuration()) return next;
    return std::min(next.value_or(restart_at_), restart_at_);
  }

  // A program knows by DTR whether a host has opened its port, and says nothing to nobody.
  size_t TakeOutput(absl::Duration now, absl::Span<uint8_t> out) override {
    if (InLoader() || dtr_) return BoardPeer::TakeOutput(now, out);
    board()->DiscardOutput(now);
    return 0;
  }

  bool InLoader() { return board()->in_download_mode() || board()->stub_running(); }

  void ForgetLines() {
    dtr_ = rts_ = false;
    restart_at_ = absl::InfiniteDuration();
  }

 private:
  bool dtr_ = false;
  bool rts_ = false;
  bool download_ = false;
  absl::Duration restart_at_ = absl::InfiniteDuration();
};

UsbOtgModel::UsbOtgModel(const BoardConfig& config, bool program_has_usb)
    : UsbOtgModel(config, program_has_usb, std::make_unique<Peer>(Repeating(config))) {}

UsbOtgModel::UsbOtgModel(const BoardConfig& config, bool program_has_usb,
                         std::unique_ptr<Peer> peer)
    : CdcAcmModel({.vendor = kEspressif,
                   .product = RomProduct(config.chip),
                   .release = 0x0101,
                   .manufacturer = "Espressif",
                   .name = std::string(esp::TraitsOf(config.chip).name),
                   .serial = "0"},
                  {.in = 0x81, .out = 0x02, .interrupt = 0x83}, false, std::move(peer)),
      program_has_usb_(program_has_usb),
      peer_(static_cast<Peer&>(port().peer())) {}

void UsbOtgModel::Plug(absl::Duration now) {
  CdcAcmModel::Plug(now);
  seen_resets_ = peer_.board()->statistics().resets;
  Appear(now);
}

void UsbOtgModel::ResetBus(absl::Duration now) {
  peer_.ForgetLines();
  CdcAcmModel::ResetBus(now);
}

void UsbOtgModel::Advance(absl::Duration now) {
  CdcAcmModel::Advance(now);
  if (!plugged()) return;
  const uint64_t resets = peer_.board()->statistics().resets;
  if (resets != seen_resets_) {
    seen_resets_ = resets;
    if (present_) ++times_left_;
    present_ = false;
    returns_at_ = now + kAway;
    ResetBus(now);
  }
  if (!present_ && returns_at_ <= now) Appear(now);
}

void UsbOtgModel::Appear(absl::Duration now) {
  returns_at_ = absl::InfiniteDuration();
  SimulatedBoard& board = *peer_.board();
  const bool loader = peer_.InLoader();
  // What ROM and bootloader have said so far went to the UART, which nobody hears here.
  port().PurgeInput(now);
  board.DiscardOutput(absl::InfiniteDuration());
  present_ = loader || (program_has_usb_ && board.application_running());
  if (!present_) return;
  const BoardConfig& config = board.config();
  SetIdentity({.vendor = kEspressif,
               .product = loader ? RomProduct(config.chip) : kProgramProduct,
               .release = 0x0101,
               .manufacturer = "Espressif",
               .name = loader ? std::string(esp::TraitsOf(config.chip).name) : "CDC Device",
               .serial = loader ? "0" : absl::AsciiStrToUpper(esp::FormatMac(config.mac))});
}

std::optional<absl::Duration> UsbOtgModel::NextEvent() const {
  const std::optional<absl::Duration> next = CdcAcmModel::NextEvent();
  if (present_ || returns_at_ == absl::InfiniteDuration()) return next;
  return std::min(next.value_or(returns_at_), returns_at_);
}

}  // namespace kiln::simulator
