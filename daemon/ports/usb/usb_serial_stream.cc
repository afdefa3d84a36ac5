#include "daemon/ports/usb/usb_serial_stream.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/tty_stream.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/serial_driver.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_device_handle.h"
#include "daemon/ports/usb/usb_pipes.h"
#include "errors/error.h"

namespace kiln::ports {
namespace {

// Shortest and longest pause between two questions whether the adapter is empty.
constexpr absl::Duration kMinDrainPause = absl::Milliseconds(1);
constexpr absl::Duration kMaxDrainPause = absl::Milliseconds(16);

constexpr int kBitsPerByte = 10;  // 8N1

// Silence after which nobody waits for a quick answer any more. What comes then may take an
// adapter's long latency (16 ms) more: little, compared with the silence before.
constexpr absl::Duration kSilence = absl::Seconds(1);

// What is written is answered when all of it has arrived. A write that keeps the line busy for this
// long is worth the two requests that tell the driver so, the second of them ahead of the answer.
constexpr absl::Duration kLongWrite = absl::Milliseconds(40);
constexpr absl::Duration kLead = absl::Milliseconds(8);

}  // namespace

// In the order of construction: the later use the earlier.
struct UsbSerialStream::Parts {
  std::unique_ptr<UsbDeviceHandle> handle;
  std::unique_ptr<UsbSerialDriver> driver;
  std::unique_ptr<UsbPipes> pipes;

  ~Parts() {
    pipes.reset();
    driver.reset();
  }
};

absl::StatusOr<std::unique_ptr<UsbSerialStream>> UsbSerialStream::Start(
    std::unique_ptr<UsbDeviceHandle> handle, const UsbAdapter& adapter,
    const UsbSerialLayout& layout, uint16_t release, std::string address, base::Clock& clock) {
  auto parts = std::make_unique<Parts>();
  parts->handle = std::move(handle);
  parts->driver = MakeUsbSerialDriver(adapter, layout, release, *parts->handle);
  parts->pipes = std::make_unique<UsbPipes>(*parts->handle, *parts->driver, layout, address, clock);
  std::unique_ptr<UsbSerialStream> stream(
      new UsbSerialStream(std::move(parts), adapter, std::move(address), clock));
  RETURN_IF_ERROR(stream->parts_->driver->Start()) << stream->address_;
  RETURN_IF_ERROR(stream->SetLines(true, true));
  RETURN_IF_ERROR(stream->parts_->pipes->Start());
  return stream;
}

UsbSerialStream::UsbSerialStream(std::unique_ptr<Parts> parts, const UsbAdapter& adapter,
                                 std::string address, base::Clock& clock)
    : parts_(std::move(parts)),
      adapter_(adapter),
      address_(std::move(address)),
      clock_(clock),
      baud_(kUsbInitialBaud),
      active_(clock.Monotonic()) {}

UsbSerialStream::~UsbSerialStream() {
  // Lost for good rather than freed under the kernel's hands.
  if (!parts_->pipes->Stop()) [[maybe_unused]]
    auto* lost = parts_.release();
}

LinkTraits UsbSerialStream::traits() const {
  return {.kind = adapter_.link,
          .has_modem_lines = true,
          .has_baud_rate = adapter_.link == LinkKind::kUartBridge};
}

absl::StatusOr<size_t> UsbSerialStream::Read(absl::Span<uint8_t> buffer, absl::Duration timeout) {
  UsbPipes& pipes = *parts_->pipes;
  const absl::Duration deadline = clock_.Monotonic() + timeout;
  for (;;) {
    const absl::Duration change = responsive_ ? active_ + kSilence : relaxed_until_;
    const absl::Duration until = std::min(deadline, change);
    auto read = pipes.Read(buffer, until);
    if (read.ok()) active_ = clock_.Monotonic();
    if (until == deadline || !absl::IsDeadlineExceeded(read.status())) return read;
    if (!responsive_) {
      RETURN_IF_ERROR(BecomeResponsive());
    } else if (pipes.sending()) {
      active_ = clock_.Monotonic();  // it will be answered
    } else {
      Relax(absl::InfiniteDuration());
    }
  }
}

absl::Status UsbSerialStream::Write(absl::Span<const uint8_t> bytes, absl::Duration timeout) {
  const absl::Duration begin = clock_.Monotonic();
  const absl::Duration deadline = begin + timeout;
  line_free_ = std::max(line_free_, begin) + LineTime(bytes.size());
  undrained_ += bytes.size();
  absl::Status written = absl::OkStatus();
  if (line_free_ - begin < kLongWrite) {
    RETURN_IF_ERROR(BecomeResponsive());
  } else {
    // The transfers are filled first, so that the request leaves no gap on the line.
    const size_t first = std::min(bytes.size(), UsbPipes::kTransfersOut * UsbPipes::kOutSize);
    written = parts_->pipes->Write(bytes.first(first), deadline);
    bytes.remove_prefix(first);
    Relax(line_free_ - kLead);
  }
  if (written.ok()) written = parts_->pipes->Write(bytes, deadline);
  active_ = clock_.Monotonic();
  if (!written.ok()) line_free_ = active_;  // who knows
  return written;
}

absl::Duration UsbSerialStream::LineTime(size_t bytes) const {
  // The chips' own USB has no line behind it: what was taken was read.
  if (adapter_.link != LinkKind::kUartBridge) return absl::ZeroDuration();
  return absl::Seconds(1) * static_cast<double>(bytes) * kBitsPerByte / baud_;
}

absl::Status UsbSerialStream::BecomeResponsive() {
  if (responsive_) return absl::OkStatus();
  RETURN_IF_ERROR(parts_->pipes->Note(parts_->driver->SetResponsive(true))) << address_;
  responsive_ = true;
  active_ = clock_.Monotonic();
  return absl::OkStatus();
}

void UsbSerialStream::Relax(absl::Duration until) {
  relaxed_until_ = until;
  if (!std::exchange(responsive_, false)) return;
  // This spares the bus, no more: it fails nothing. Whether the adapter is gone, the pipes tell.
  parts_->driver->SetResponsive(false).IgnoreError();
}

absl::Status UsbSerialStream::Drain(absl::Duration timeout) {
  const absl::Duration deadline = clock_.Monotonic() + timeout;
  RETURN_IF_ERROR(parts_->pipes->AwaitSent(deadline));
  if (undrained_ == 0) return absl::OkStatus();
  RETURN_IF_ERROR(BecomeResponsive());  // reports tell when the adapter is empty
  RETURN_IF_ERROR(AwaitEmptyAdapter(deadline));
  active_ = clock_.Monotonic();
  line_free_ = active_;
  undrained_ = 0;
  return absl::OkStatus();
}

absl::Status UsbSerialStream::AwaitEmptyAdapter(absl::Duration deadline) {
  const absl::Duration held = LineTime(std::min<size_t>(undrained_, adapter_.fifo_bytes));
  if (held == absl::ZeroDuration()) return absl::OkStatus();
  UsbPipes& pipes = *parts_->pipes;
  parts_->driver->BeginDrain();
  // Nothing holds the transmitter back, so by then even a full buffer has left.
  const absl::Duration empty_at = clock_.Monotonic() + held;
  absl::Duration pause = kMinDrainPause;
  for (absl::Duration now = clock_.Monotonic(); now < empty_at; now = clock_.Monotonic()) {
    const absl::StatusOr<UsbOutput> output = parts_->driver->Output();
    RETURN_IF_ERROR(pipes.Note(output.status()));
    if (*output == UsbOutput::kEmpty) return absl::OkStatus();
    const absl::Duration next = *output == UsbOutput::kUnknown ? empty_at : now + pause;
    pause = std::min(pause * 2, kMaxDrainPause);
    RETURN_IF_ERROR(pipes.Pause(std::min({next, empty_at, deadline})));
    if (clock_.Monotonic() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat(address_, ": timed out"));
    }
  }
  return absl::OkStatus();
}

absl::Status UsbSerialStream::DiscardInput() {
  RETURN_IF_ERROR(parts_->pipes->CheckAlive());
  parts_->pipes->Discard();
  return absl::OkStatus();
}

absl::Status UsbSerialStream::SetBaudRate(uint32_t baud) {
  RETURN_IF_ERROR(parts_->pipes->CheckAlive());
  if (baud < TtyStream::kMinBaud || baud > TtyStream::kMaxBaud) {
    return errors::MakeError(errors::ErrorCode::kRequestInvalid,
                             absl::StrCat("a rate of ", baud, " baud is outside ",
                                          TtyStream::kMinBaud, " to ", TtyStream::kMaxBaud));
  }
  RETURN_IF_ERROR(parts_->pipes->Note(parts_->driver->SetBaudRate(baud))) << address_;
  baud_ = baud;
  return absl::OkStatus();
}

absl::Status UsbSerialStream::SetLines(bool dtr, bool rts) {
  RETURN_IF_ERROR(parts_->pipes->CheckAlive());
  RETURN_IF_ERROR(parts_->pipes->Note(parts_->driver->SetLines(dtr, rts))) << address_;
  return absl::OkStatus();
}

void UsbSerialStream::Interrupt() { parts_->pipes->Interrupt(); }

}  // namespace kiln::ports
