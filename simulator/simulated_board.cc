#include "simulator/simulated_board.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "simulator/boot.h"
#include "simulator/rom_loader.h"
#include "simulator/slip.h"
#include "simulator/stub_loader.h"

namespace kiln::simulator {
namespace {

constexpr uint32_t kRomBaudRate = 115200;
// A frame of the largest block with its headers, and some.
constexpr size_t kMaxFrame = 8 + 16 + 0x4000 + 0xFF;
// UARTs sample mid-bit: about 3 % of difference is where they begin to fail over ten bits.
constexpr double kRateTolerance = 0.03;
constexpr uint8_t kDelimiter = 0xC0;  // of SLIP
constexpr size_t kMaxUnreadOutput = size_t{256} * 1024;
constexpr uint32_t kDefaultFlashSize = 4 * 1024 * 1024;

const FlashPart& PartOf(const BoardConfig& config) {
  const FlashPart* part = FindFlashPart(config.flash_part);
  return part != nullptr ? *part : *DefaultFlashPart(kDefaultFlashSize);
}

// What a receiver makes of a byte sent at another rate: wrong, but the same every time.
uint8_t Garble(uint8_t byte) { return static_cast<uint8_t>((byte * 0x1D) ^ 0xA6); }

// Whether a fault with this period or list strikes at byte `count` (the first is 1).
bool Strikes(uint64_t count, uint64_t every, const std::set<uint64_t>& at) {
  return (every != 0 && count % every == 0) || at.count(count) != 0;
}

}  // namespace

SimulatedBoard::SimulatedBoard(const BoardConfig& config, absl::Duration now)
    : config_(config),
      faults_(config.faults),
      flash_(PartOf(config)),
      registers_(config.chip, config.mac, flash_),
      decoder_(kMaxFrame) {
  registers_.SetSecurity(faults_.secure_boot, faults_.flash_encryption);
  PowerOn(now);
}

SimulatedBoard::~SimulatedBoard() = default;

void SimulatedBoard::PowerOff() {
  powered_ = false;
  watchdog_at_ = absl::InfiniteDuration();
  mode_ = Mode::kOff;
  loader_.reset();
  incoming_.clear();
  delimiters_.clear();
  outgoing_.clear();
  script_.clear();
  frame_.reset();
  decoder_.Reset();
  loop_period_ = absl::ZeroDuration();
}

void SimulatedBoard::PowerOn(absl::Duration now) {
  powered_ = true;
  dtr_ = rts_ = false;
  receive_busy_until_ = transmit_busy_until_ = processor_free_ = now;
  Reset(now, config_.start_in_download_mode, ResetCause::kPowerOn);
}

bool SimulatedBoard::TakeUnplugRequest() { return std::exchange(unplug_requested_, false); }

void SimulatedBoard::SetFaults(const Faults& faults) {
  faults_ = faults;
  fault_flash_bytes_ = fault_received_bytes_ = fault_sent_bytes_ = 0;
  registers_.SetSecurity(faults_.secure_boot, faults_.flash_encryption);
}

BoardStatistics SimulatedBoard::statistics() const {
  BoardStatistics statistics = statistics_;
  statistics.programmed_bytes = flash_.programmed_bytes();
  statistics.erased_bytes = flash_.erased_bytes();
  return statistics;
}

void SimulatedBoard::SetLines(absl::Duration now, bool dtr, bool rts) {
  Advance(now);
  const bool was_held = rts_ && !dtr_;
  dtr_ = dtr;
  rts_ = rts;
  if (!powered_) return;
  const bool held = rts && !dtr;
  if (held && !was_held) {
    mode_ = Mode::kHeldInReset;
    watchdog_at_ = absl::InfiniteDuration();
    loader_.reset();
    script_.clear();
    frame_.reset();
    loop_period_ = absl::ZeroDuration();
  } else if (!held && was_held) {
    Reset(now, dtr && !rts, ResetCause::kPowerOn);
  }
}

void SimulatedBoard::PressReset(absl::Duration now) {
  Advance(now);
  if (!powered_) return;
  Reset(now, config_.start_in_download_mode || (dtr_ && !rts_), ResetCause::kPowerOn);
}

void SimulatedBoard::Reset(absl::Duration now, bool io0_low, ResetCause cause) {
  ++statistics_.resets;
  io0_low |= faults_.boot_held;
  if (cause != ResetCause::kSoftware) strapped_for_download_ = io0_low;
  watchdog_at_ = absl::InfiniteDuration();
  loader_.reset();
  script_.clear();
  frame_.reset();
  decoder_.Reset();
  loop_period_ = absl::ZeroDuration();
  processor_free_ = now;
  baud_ = kRomBaudRate;
  registers_.Reset();
  if (io0_low) {
    mode_ = Mode::kDownload;
    loader_ = std::make_unique<RomLoader>(static_cast<LoaderPort&>(*this));
    autobaud_ = true;
    Transmit(now, base::AsBytes(DownloadModeText(config_.chip, cause)));
  } else {
    StartFromFlash(now, cause);
  }
}

void SimulatedBoard::StartFromFlash(absl::Duration now, ResetCause cause) {
  mode_ = Mode::kApplication;
  autobaud_ = false;
  BootResult boot = BootFromFlash(config_.chip, config_.mac, flash_, faults_, cause);
  ++(boot.started ? statistics_.boots : statistics_.failed_boots);
  for (BootLine& line : boot.lines) {
    const bool repeats = line.is_report && config_.report_interval > absl::ZeroDuration();
    script_.push_back({now + line.after, std::move(line.text), repeats});
  }
  loop_period_ = boot.repeat_after;
  if (loop_period_ > absl::ZeroDuration()) script_.push_back({now + loop_period_, ""});
}

void SimulatedBoard::Receive(absl::Duration now, absl::Span<const uint8_t> bytes) {
  Advance(now);
  ++chunk_;
  const uint32_t wire_baud = host_baud_ != 0 ? host_baud_ : baud_;
  for (uint8_t value : bytes) {
    ++statistics_.received_bytes;
    const uint64_t count = ++fault_received_bytes_;
    if (faults_.unplug_after_received_bytes.has_value() &&
        count >= *faults_.unplug_after_received_bytes) {
      faults_.unplug_after_received_bytes.reset();
      unplug_requested_ = true;
    }
    const LineFaults& line = faults_.to_board;
    receive_busy_until_ = std::max(receive_busy_until_, now) + ByteTime(wire_baud);
    if (line.late_every != 0 && count % line.late_every == 0) receive_busy_until_ += line.late_by;
    if (Strikes(count, line.lose_every, line.lose_at)) continue;
    if (Strikes(count, line.flip_every, line.flip_at)) value ^= 0x10;
    incoming_.push_back({receive_busy_until_, wire_baud, chunk_, value});
    if (value == kDelimiter) delimiters_.push_back(receive_busy_until_);
  }
  Advance(now);
}

void SimulatedBoard::Advance(absl::Duration now) {
  while (powered_) {
    absl::Duration next = absl::InfiniteDuration();
    const absl::Duration byte_at = incoming_.empty() ? next : incoming_.front().at;
    const absl::Duration text_at = script_.empty() ? next : script_.front().at;
    const absl::Duration frame_at =
        frame_.has_value() ? std::max(frame_->at, processor_free_) : next;
    next = std::min({byte_at, text_at, frame_at, watchdog_at_});
    if (next > now || next == absl::InfiniteDuration()) return;
    if (next == watchdog_at_) {
      Reset(next, dtr_ && !rts_, ResetCause::kRtcWatchdog);
    } else if (next == frame_at) {
      RunFrame();
    } else if (next == byte_at) {
      const TimedByte byte = incoming_.front();
      incoming_.pop_front();
      if (byte.value == kDelimiter) delimiters_.pop_front();
      TakeByte(byte);
    } else {
      const TimedText text = std::move(script_.front());
      script_.pop_front();
      if (text.text.empty() && script_.empty() && loop_period_ > absl::ZeroDuration()) {
        StartFromFlash(text.at, ResetCause::kSoftware);
      } else {
        Transmit(text.at, base::AsBytes(text.text));
        if (text.repeats) script_.push_back({text.at + config_.report_interval, text.text, true});
      }
    }
  }
}

std::optional<absl::Duration> SimulatedBoard::NextEvent() const {
  absl::Duration next = absl::InfiniteDuration();
  if (!outgoing_.empty()) {
    // As a USB adapter does, which reports once per millisecond frame at most.
    next = std::min(outgoing_.back().at, outgoing_.front().at + absl::Milliseconds(1));
  }
  next = std::min(next, watchdog_at_);
  if (!delimiters_.empty()) next = std::min(next, delimiters_.front());
  if (!script_.empty()) next = std::min(next, script_.front().at);
  if (frame_.has_value()) next = std::min(next, std::max(frame_->at, processor_free_));
  if (next == absl::InfiniteDuration()) return std::nullopt;
  return next;
}

void SimulatedBoard::TakeByte(const TimedByte& byte) {
  if (!RunsLoader()) return;
  if (autobaud_ && byte.value == kDelimiter) {
    // The ROM measures the rate of the first frame it hears.
    autobaud_ = false;
    baud_ = byte.baud;
    registers_.SetBaudRate(baud_);
  }
  uint8_t value = byte.value;
  if (!SameRate(byte.baud, baud_)) {
    value = Garble(value);
    ++statistics_.garbled_bytes;
  }
  // A stub listens again only when it has taken the frame before; the ROM's FIFO is as short.
  const bool too_early = mode_ == Mode::kStub && !loader_->streaming() &&
                         (frame_.has_value() || byte.chunk == last_frame_chunk_);
  if (too_early || (frame_.has_value() && mode_ == Mode::kDownload)) {
    ++statistics_.overrun_bytes;
    return;
  }
  if (std::optional<std::vector<uint8_t>> frame = decoder_.Add(value); frame.has_value()) {
    ++statistics_.frames;
    frame_ = PendingFrame{byte.at, byte.chunk, *std::move(frame)};
  }
}

void SimulatedBoard::RunFrame() {
  const PendingFrame frame = *std::exchange(frame_, std::nullopt);
  last_frame_chunk_ = frame.chunk;
  processor_now_ = std::max(frame.at, processor_free_);
  after_ = After::kNothing;
  loader_->Handle(frame.bytes);
  processor_free_ = processor_now_;
  if (const auto hold = registers_.TakeWatchdogChange(); hold.has_value()) {
    if (!faults_.dead_watchdog) watchdog_at_ = processor_now_ + *hold;
  }
  ApplyEndOfFrame();
}

void SimulatedBoard::ApplyEndOfFrame() {
  const absl::Duration now = processor_now_;
  switch (std::exchange(after_, After::kNothing)) {
    case After::kNothing:
      return;
    case After::kStartStub: {
      decoder_.Reset();
      if (faults_.stub_silent) {
        mode_ = Mode::kHung;
        loader_.reset();
        return;
      }
      mode_ = Mode::kStub;
      auto stub = std::make_unique<StubLoader>(static_cast<LoaderPort&>(*this));
      stub->Greet();
      loader_ = std::move(stub);
      return;
    }
    // What has been sent leaves the UART before the chip starts over.
    case After::kRunProgram:
      return Reset(std::max(now, transmit_busy_until_), false, ResetCause::kSoftware);
    case After::kSoftReset:
      return Reset(std::max(now, transmit_busy_until_), strapped_for_download_,
                   ResetCause::kSoftware);
    case After::kReset:
      return Reset(now, false, ResetCause::kPowerOn);
    case After::kPowerOff:
      return PowerOff();
  }
}

void SimulatedBoard::SendFrame(absl::Span<const uint8_t> payload) {
  if (after_ == After::kReset || after_ == After::kPowerOff) return;
  Transmit(processor_now_, SlipEncode(payload));
}

void SimulatedBoard::Spend(absl::Duration duration) {
  if (config_.model_times) processor_now_ += duration;
}

void SimulatedBoard::SpendAlways(absl::Duration duration) { processor_now_ += duration; }

bool SimulatedBoard::ProgramFlash(uint32_t address, absl::Span<const uint8_t> data) {
  if (after_ != After::kNothing) return false;
  size_t usable = data.size();
  const auto strike = [&](std::optional<uint64_t>& limit) {
    if (!limit.has_value() || fault_flash_bytes_ + data.size() < *limit) return false;
    usable = *limit > fault_flash_bytes_ ? *limit - fault_flash_bytes_ : 0;
    limit.reset();
    return true;
  };
  if (strike(faults_.unplug_after_flash_bytes)) {
    unplug_requested_ = true;
    after_ = After::kPowerOff;
  } else if (strike(faults_.power_loss_after_flash_bytes)) {
    after_ = After::kPowerOff;
  } else if (strike(faults_.reset_after_flash_bytes)) {
    after_ = After::kReset;
  }
  fault_flash_bytes_ += usable;
  Spend(flash_.Program(address, data.subspan(0, usable)));
  return after_ == After::kNothing;
}

void SimulatedBoard::ChangeBaudRate(uint32_t baud) {
  baud_ = baud;
  registers_.SetBaudRate(baud);
}

void SimulatedBoard::StartStub() { after_ = After::kStartStub; }

void SimulatedBoard::RunProgram() { after_ = After::kRunProgram; }

void SimulatedBoard::SoftReset() { after_ = After::kSoftReset; }

void SimulatedBoard::Transmit(absl::Duration at, absl::Span<const uint8_t> bytes) {
  for (uint8_t value : bytes) {
    const uint64_t count = ++fault_sent_bytes_;
    const LineFaults& line = faults_.to_host;
    transmit_busy_until_ = std::max(transmit_busy_until_, at) + ByteTime(baud_);
    if (line.late_every != 0 && count % line.late_every == 0) transmit_busy_until_ += line.late_by;
    if (Strikes(count, line.lose_every, line.lose_at)) continue;
    if (Strikes(count, line.flip_every, line.flip_at)) value ^= 0x10;
    // Nobody listens to a program that has been talking for hours.
    if (outgoing_.size() >= kMaxUnreadOutput) outgoing_.pop_front();
    outgoing_.push_back({transmit_busy_until_, baud_, 0, value});
    ++statistics_.sent_bytes;
  }
}

bool SimulatedBoard::HasOutput(absl::Duration now) const {
  return !outgoing_.empty() && outgoing_.front().at <= now;
}

size_t SimulatedBoard::TakeOutput(absl::Duration now, absl::Span<uint8_t> out) {
  size_t taken = 0;
  while (taken < out.size() && HasOutput(now)) {
    const TimedByte& byte = outgoing_.front();
    const bool same = host_baud_ == 0 || SameRate(byte.baud, host_baud_);
    if (!same) ++statistics_.garbled_bytes;
    out[taken++] = same ? byte.value : Garble(byte.value);
    outgoing_.pop_front();
  }
  return taken;
}

void SimulatedBoard::DiscardOutput(absl::Duration now) {
  while (HasOutput(now)) outgoing_.pop_front();
}

absl::Duration SimulatedBoard::ByteTime(uint32_t baud) const {
  // Start bit, eight data bits, stop bit.
  return config_.model_times && baud != 0 ? absl::Seconds(10.0 / baud) : absl::ZeroDuration();
}

bool SimulatedBoard::SameRate(uint32_t sender, uint32_t receiver) const {
  return std::abs(static_cast<double>(sender) - receiver) <= kRateTolerance * receiver;
}

}  // namespace kiln::simulator
