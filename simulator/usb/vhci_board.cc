#include "simulator/usb/vhci_board.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/status_macros.h"

namespace kiln::simulator {
namespace {

// The kernel frees a port within a few milliseconds of its device's end.
constexpr absl::Duration kRetryAttach = absl::Milliseconds(5);
constexpr ssize_t kReadSize = ssize_t{64} * 1024;

}  // namespace

VhciBoard::VhciBoard(std::unique_ptr<UsbDeviceModel> model, VhciPort place, VhciBus& bus,
                     EventLoop& loop, base::Clock& clock)
    : model_(std::move(model)),
      place_(std::move(place)),
      bus_(bus),
      loop_(loop),
      clock_(clock),
      read_buffer_(kReadSize) {}

VhciBoard::~VhciBoard() { Unplug(); }

absl::Status VhciBoard::Plug() {
  if (plugged_) return absl::OkStatus();
  model_->Plug(clock_.Monotonic());
  first_byte_time_ = absl::InfinitePast();
  fastest_baud_ = 0;
  plugged_ = true;
  times_left_ = model_->times_left();
  absl::Status status = Attach();
  if (status.ok() || absl::IsUnavailable(status)) return absl::OkStatus();
  Unplug();
  return status;
}

absl::Status VhciBoard::Attach() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return absl::InternalError(absl::StrCat("socketpair: ", std::strerror(errno)));
  }
  // Only our end must not block; each end has flags of its own.
  base::UniqueFd ours(ends[0]);
  const base::UniqueFd kernels(ends[1]);
  RETURN_IF_ERROR(bus_.Attach(place_, kernels.get(), model_->speed()));
  session_.emplace(*model_);
  ++attaches_;
  socket_ = std::move(ours);
  // Edges: what the kernel has no room for yet is sent when the loop comes round for its EPOLLOUT.
  if (!loop_.Watch(socket_.get(), EPOLLIN | EPOLLOUT | EPOLLET, [this](uint32_t) { ReadHost(); })) {
    Detach();
    return absl::InternalError(absl::StrCat("epoll: ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

void VhciBoard::Detach() {
  if (socket_.valid()) loop_.Unwatch(socket_.get());
  socket_.Reset();
  session_.reset();
}

void VhciBoard::Unplug() {
  Detach();
  if (plugged_) model_->Unplug();
  plugged_ = false;
}

std::optional<absl::Duration> VhciBoard::Step() {
  if (!plugged_) return std::nullopt;
  const absl::Duration now = clock_.Monotonic();
  if (session_.has_value()) {
    session_->Advance(now);
  } else {
    model_->Advance(now);
  }
  if (port().peer().TakeUnplugRequest()) {
    Unplug();
    return std::nullopt;
  }
  if (const uint64_t times_left = model_->times_left(); times_left != times_left_) {
    times_left_ = times_left;
    Detach();
  }
  if (!socket_.valid() && model_->on_bus() && !Attach().ok()) return kRetryAttach;
  WriteHost();
  const std::optional<absl::Duration> next = model_->NextEvent();
  if (!next.has_value()) return std::nullopt;
  return std::max(*next - clock_.Monotonic(), absl::ZeroDuration());
}

void VhciBoard::ReadHost() {
  // A read that fills less than the buffer has emptied the socket.
  for (ssize_t size = kReadSize; socket_.valid() && size == kReadSize;) {
    size = ::recv(socket_.get(), read_buffer_.data(), read_buffer_.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    const auto bytes =
        absl::MakeConstSpan(read_buffer_).first(static_cast<size_t>(std::max<ssize_t>(size, 0)));
    const absl::Status status = bytes.empty()
                                    ? absl::UnavailableError("the host has let go of the device")
                                    : session_->FromHost(clock_.Monotonic(), bytes);
    if (!status.ok()) {
      absl::FPrintF(stderr, "%s: %s\n", path(), status.message());
      return Unplug();
    }
    fastest_baud_ = std::max(fastest_baud_, port().state().baud_rate);
    if (first_byte_time_ == absl::InfinitePast() && port().state().bytes_from_host > 0) {
      first_byte_time_ = clock_.Now();
    }
  }
}

void VhciBoard::WriteHost() {
  if (!session_.has_value()) return;
  std::vector<uint8_t>& output = session_->output();
  while (!output.empty()) {
    const ssize_t size =
        ::send(socket_.get(), output.data(), output.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return;
    output.erase(output.begin(), output.begin() + size);
  }
}

std::string VhciBoard::Statistics() const {
  const SerialState& state = model_->serial_port(0).state();
  // What takes a chip from reset into its loader: both lines change sides with one request.
  const auto swaps = std::count_if(state.last_line_requests.begin(), state.last_line_requests.end(),
                                   [](const LineRequest& request) {
                                     return request.changed == 2 && request.dtr != request.rts;
                                   });
  return absl::StrFormat(
      " usb=%04x:%04x on_bus=%d plugs=%d host_baud=%d fastest_baud=%d dtr=%d rts=%d "
      "line_requests=%d swaps=%d "
      "lost=%d",
      model_->vendor(), model_->product(), socket_.valid(), attaches_, state.baud_rate,
      fastest_baud_, state.dtr, state.rts, state.line_requests, swaps, state.lost_bytes);
}

}  // namespace kiln::simulator
