#include "daemon/ports/rfc2217/share_session.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/rfc2217/com_port.h"
#include "daemon/ports/rfc2217/com_port_server.h"
#include "daemon/ports/rfc2217/telnet.h"
#include "errors/error.h"

namespace kiln::ports {

using errors::ErrorCode;
using errors::MakeError;

namespace {

// How much is kept for the board, and for the client, before the other side
// has to wait. A stub loader's largest block is 16 KiB.
constexpr size_t kMaxForBoard = size_t{64} << 10;
constexpr size_t kMaxForClient = size_t{64} << 10;
constexpr size_t kMaxCommands = 256;
// Bytes for the board are put together up to this much; their write is short
// enough for what the board says meanwhile to wait in its adapter.
constexpr size_t kMaxWrite = 4096;
constexpr absl::Duration kIdleRead = absl::Seconds(1);

absl::Duration Now() { return base::SystemClock().Monotonic(); }

size_t BytesOf(const std::variant<std::vector<uint8_t>, ComPortMessage>& command) {
  const auto* const bytes = std::get_if<std::vector<uint8_t>>(&command);
  return bytes == nullptr ? 0 : bytes->size();
}

}  // namespace

ShareSession::ShareSession(base::UniqueFd client, ByteStream& stream, std::string signature)
    : client_(std::move(client)),
      stream_(stream),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      decoder_(*this),
      com_port_(stream, std::move(signature)) {}

ShareSession::~ShareSession() = default;

absl::Status ShareSession::Run(int stop, int others, const std::function<void()>& on_others) {
  if (!wake_.valid()) return MakeError(ErrorCode::kPortFailed, "eventfd");
  // Clients differ in who asks first, and pyserial's asks for no BINARY at all.
  std::vector<uint8_t> hello;
  for (const TelnetSide side : {TelnetSide::kLocal, TelnetSide::kRemote}) {
    options_.Request(side, kTelnetBinary, hello);
    options_.Request(side, kTelnetSuppressGoAhead, hello);
    options_.Allow(side, kTelnetComPort);
  }
  ToClient(hello);

  std::thread board([this] { ServeBoard(); });
  absl::Status ended = TalkToClient(stop, others, on_others);
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    stream_.Interrupt();
  }
  board.join();
  return ended;
}

// ---- The client's thread ----

absl::Status ShareSession::TalkToClient(int stop, int others,
                                        const std::function<void()>& on_others) {
  for (;;) {
    bool room = false;
    bool ended = false;
    absl::Status end;
    {
      absl::MutexLock lock(&mutex_);
      ended = board_ended_;
      end = board_end_;
      room = command_bytes_ < kMaxForBoard && commands_.size() < kMaxCommands;
      if (sent_ == sending_.size()) {
        sending_.clear();
        sent_ = 0;
        sending_.swap(for_client_);
      }
    }
    const bool alive = Send();
    if (ended) return end;
    if (!alive) return absl::OkStatus();
    const int events = (room ? POLLIN : 0) | (sent_ < sending_.size() ? POLLOUT : 0);
    pollfd waits[] = {
        {.fd = stop, .events = POLLIN, .revents = 0},
        {.fd = wake_.get(), .events = POLLIN, .revents = 0},
        {.fd = client_.get(), .events = static_cast<short>(events), .revents = 0},
        {.fd = others, .events = POLLIN, .revents = 0},
    };
    if (::poll(waits, std::size(waits), -1) < 0) {
      if (errno == EINTR) continue;
      return MakeError(ErrorCode::kPortFailed, "poll");
    }
    if (waits[0].revents != 0) return absl::CancelledError("the share stops");
    if (waits[1].revents != 0) {
      uint64_t count = 0;
      [[maybe_unused]] const ssize_t taken = ::read(wake_.get(), &count, sizeof(count));
    }
    if (waits[3].revents != 0) on_others();
    if ((waits[2].revents & POLLIN) != 0) {
      if (!Receive()) return absl::OkStatus();
    } else if ((waits[2].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
      return absl::OkStatus();
    }
  }
}

bool ShareSession::Receive() {
  std::array<uint8_t, size_t{16} * 1024> buffer;
  const ssize_t count = ::recv(client_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count > 0) decoder_.Feed(absl::MakeConstSpan(buffer).first(static_cast<size_t>(count)));
  return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

bool ShareSession::Send() {
  while (sent_ < sending_.size()) {
    const ssize_t count = ::send(client_.get(), sending_.data() + sent_, sending_.size() - sent_,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      sent_ += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      return true;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

void ShareSession::OnData(absl::Span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const size_t count = std::min(bytes.size(), kMaxWrite);
    Enqueue(std::vector<uint8_t>(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(count)));
    bytes.remove_prefix(count);
  }
}

void ShareSession::OnNegotiation(TelnetVerb verb, uint8_t option) {
  std::vector<uint8_t> out;
  options_.On(verb, option, out);
  const bool com_port = options_.enabled(TelnetSide::kLocal, kTelnetComPort) ||
                        options_.enabled(TelnetSide::kRemote, kTelnetComPort);
  if (com_port && !introduced_) {
    introduced_ = true;
    // The port's inputs (CTS, DSR …) are not known here: none is on.
    AppendComPortAnswer(ComPortCommand::kNotifyModemState, 0, out);
  }
  ToClient(out);
}

void ShareSession::OnSubnegotiation(uint8_t option, absl::Span<const uint8_t> payload) {
  if (option != kTelnetComPort) return;
  std::optional<ComPortMessage> message = ParseComPort(payload);
  if (!message.has_value() || message->from_server) return;
  if (message->command == ComPortCommand::kFlowControlSuspend ||
      message->command == ComPortCommand::kFlowControlResume) {
    // At once, not after what was sent before.
    absl::MutexLock lock(&mutex_);
    suspended_ = message->command == ComPortCommand::kFlowControlSuspend;
    return;
  }
  Enqueue(*std::move(message));
}

void ShareSession::Enqueue(Command command) {
  absl::MutexLock lock(&mutex_);
  command_bytes_ += BytesOf(command);
  auto* const bytes = std::get_if<std::vector<uint8_t>>(&command);
  auto* const last =
      commands_.empty() ? nullptr : std::get_if<std::vector<uint8_t>>(&commands_.back());
  if (bytes != nullptr && last != nullptr && last->size() + bytes->size() <= kMaxWrite) {
    last->insert(last->end(), bytes->begin(), bytes->end());
  } else {
    commands_.push_back(std::move(command));
  }
  // Only a read may be cut short: what a write had sent by then would not be
  // known.
  if (reading_ && !interrupted_) {
    interrupted_ = true;
    stream_.Interrupt();
  }
}

// ---- The board's thread ----

void ShareSession::ServeBoard() {
  const absl::Status status = ServeBoardUntilEnd();
  SwallowInterrupt();
  com_port_.ReleaseLines();
  {
    absl::MutexLock lock(&mutex_);
    board_ended_ = true;
    board_end_ = status;
  }
  WakeClientThread();
}

absl::Status ShareSession::ServeBoardUntilEnd() {
  absl::Duration not_before = -absl::InfiniteDuration();  // for the next command
  for (;;) {
    std::optional<Command> command;
    {
      absl::MutexLock lock(&mutex_);
      if (ending_) return absl::OkStatus();
      if (!commands_.empty() && for_client_.size() < kMaxForClient && Now() >= not_before) {
        command = std::move(commands_.front());
        commands_.pop_front();
        command_bytes_ -= BytesOf(*command);
      }
    }
    absl::Duration limit = kIdleRead;
    if (command.has_value()) {
      WakeClientThread();  // there is room
      const absl::StatusOr<std::optional<absl::Duration>> pause = Handle(*command);
      if (absl::IsCancelled(pause.status())) continue;  // the end is coming
      RETURN_IF_ERROR(pause.status());
      limit = absl::ZeroDuration();
      if (pause->has_value()) {
        not_before = Now() + **pause;
        absl::MutexLock lock(&mutex_);
        command_bytes_ += BytesOf(*command);
        commands_.push_front(*std::move(command));
      }
    }
    const absl::Duration now = Now();
    if (const auto held = com_port_.held_until(); held.has_value()) {
      if (now >= *held) {
        RETURN_IF_ERROR(com_port_.ApplyHeld());
        continue;
      }
      limit = std::min(limit, *held - now);
    }
    const bool waiting = not_before > now;
    if (waiting) limit = not_before - now;
    RETURN_IF_ERROR(ReadBoard(limit, waiting));
  }
}

absl::Status ShareSession::ReadBoard(absl::Duration limit, bool waiting) {
  {
    absl::MutexLock lock(&mutex_);
    if (suspended_ || for_client_.size() >= kMaxForClient) {
      // The board's words wait in its adapter.
      const auto room = [this, waiting] {
        mutex_.AssertHeld();
        return ending_ || (!suspended_ && for_client_.size() < kMaxForClient) ||
               (suspended_ && !waiting && !commands_.empty());
      };
      mutex_.AwaitWithTimeout(absl::Condition(&room), limit);
      return absl::OkStatus();
    }
    if (ending_) return absl::OkStatus();
    // What came meanwhile must not wait for the board to say something.
    if (!waiting && !commands_.empty() && limit > absl::ZeroDuration()) return absl::OkStatus();
    reading_ = true;
  }
  std::array<uint8_t, 4096> buffer;
  const absl::StatusOr<size_t> count = stream_.Read(absl::MakeSpan(buffer), limit);
  bool swallow = false;
  {
    absl::MutexLock lock(&mutex_);
    reading_ = false;
    swallow = interrupted_ && !absl::IsCancelled(count.status());
    interrupted_ = false;
  }
  if (count.ok()) {
    std::vector<uint8_t> encoded;
    AppendTelnetData(absl::MakeConstSpan(buffer).first(*count), encoded);
    ToClient(encoded);
  }
  if (swallow) SwallowInterrupt();
  if (count.ok() || absl::IsDeadlineExceeded(count.status()) || absl::IsCancelled(count.status())) {
    return absl::OkStatus();
  }
  return count.status();
}

void ShareSession::SwallowInterrupt() {
  constexpr int kTries = 8;  // it comes before data; only a peculiar stream needs more than one
  std::array<uint8_t, 4096> buffer;
  for (int i = 0; i < kTries; ++i) {
    const absl::StatusOr<size_t> count = stream_.Read(absl::MakeSpan(buffer), absl::ZeroDuration());
    if (!count.ok()) return;
    std::vector<uint8_t> encoded;
    AppendTelnetData(absl::MakeConstSpan(buffer).first(*count), encoded);
    ToClient(encoded);
  }
}

absl::StatusOr<std::optional<absl::Duration>> ShareSession::Handle(const Command& command) {
  if (const auto* const bytes = std::get_if<std::vector<uint8_t>>(&command); bytes != nullptr) {
    RETURN_IF_ERROR(com_port_.Write(*bytes));
    return std::nullopt;
  }
  std::vector<uint8_t> answer;
  ASSIGN_OR_RETURN(std::optional<absl::Duration> pause,
                   com_port_.Handle(std::get<ComPortMessage>(command), answer));
  if (!answer.empty()) ToClient(answer);
  return pause;
}

void ShareSession::ToClient(absl::Span<const uint8_t> bytes) {
  {
    absl::MutexLock lock(&mutex_);
    // Answers to a client that asks without end and never listens are dropped.
    if (for_client_.size() > 4 * kMaxForClient) return;
    for_client_.insert(for_client_.end(), bytes.begin(), bytes.end());
  }
  WakeClientThread();
}

void ShareSession::WakeClientThread() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof(one));
}

}  // namespace kiln::ports
