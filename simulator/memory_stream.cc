#include "simulator/memory_stream.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "errors/error.h"

namespace kiln::simulator {

// The board and who holds it; shared by the opener and its streams.
class SimulatedOpener::Link {
 public:
  Link(const BoardConfig& config, base::Clock& clock)
      : clock(clock), board(std::make_unique<SimulatedBoard>(config, clock.Monotonic())) {}

  // Faults may have asked for the plug to be pulled.
  void HonourUnplugRequest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (board->TakeUnplugRequest()) Unplug();
  }
  void Unplug() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (!plugged) return;
    plugged = false;
    ++generation;
    board->PowerOff();
  }

  base::Clock& clock;
  absl::Mutex mutex;
  std::unique_ptr<SimulatedBoard> board ABSL_GUARDED_BY(mutex);
  bool plugged ABSL_GUARDED_BY(mutex) = true;
  bool open ABSL_GUARDED_BY(mutex) = false;
  uint64_t generation ABSL_GUARDED_BY(mutex) = 0;  // of the plug; a stream belongs to one
};

// One opening of the port.
class SimulatedOpener::Stream final : public ports::ByteStream {
 public:
  Stream(std::shared_ptr<Link> link, uint64_t generation)
      : link_(std::move(link)), generation_(generation) {}

  ~Stream() override {
    absl::MutexLock lock(&link_->mutex);
    if (link_->generation != generation_) return;
    link_->open = false;
    // Closing a terminal releases its lines.
    link_->board->SetLines(Now(), false, false);
  }

  ports::LinkTraits traits() const override {
    return {ports::LinkKind::kPseudoTerminal, /*has_modem_lines=*/true, /*has_baud_rate=*/true};
  }

  absl::StatusOr<size_t> Read(absl::Span<uint8_t> buffer, absl::Duration timeout) override {
    absl::MutexLock lock(&link_->mutex);
    const absl::Duration deadline = Now() + timeout;
    while (true) {
      RETURN_IF_ERROR(Check());
      SimulatedBoard& board = *link_->board;
      const absl::Duration now = Now();
      board.Advance(now);
      link_->HonourUnplugRequest();
      if (const size_t size = board.TakeOutput(now, buffer); size > 0) return size;
      RETURN_IF_ERROR(Check());
      if (now >= deadline) return absl::DeadlineExceededError("nothing arrived");
      Wait(std::min(deadline, board.NextEvent().value_or(deadline)) - now);
    }
  }

  absl::Status Write(absl::Span<const uint8_t> bytes, absl::Duration /*timeout*/) override {
    absl::MutexLock lock(&link_->mutex);
    RETURN_IF_ERROR(Check());
    link_->board->Receive(Now(), bytes);
    link_->HonourUnplugRequest();
    return absl::OkStatus();
  }

  absl::Status Drain(absl::Duration timeout) override {
    absl::MutexLock lock(&link_->mutex);
    const absl::Duration deadline = Now() + timeout;
    while (true) {
      RETURN_IF_ERROR(Check());
      const absl::Duration now = Now();
      const absl::Duration done = link_->board->ReceiveDone();
      link_->board->Advance(now);
      link_->HonourUnplugRequest();
      if (done <= now) return absl::OkStatus();
      if (now >= deadline) return absl::DeadlineExceededError("bytes still on the wire");
      Wait(std::min(deadline, done) - now);
    }
  }

  absl::Status DiscardInput() override {
    absl::MutexLock lock(&link_->mutex);
    RETURN_IF_ERROR(Check());
    link_->board->Advance(Now());
    link_->board->DiscardOutput(Now());
    return absl::OkStatus();
  }

  absl::Status SetBaudRate(uint32_t baud) override {
    absl::MutexLock lock(&link_->mutex);
    RETURN_IF_ERROR(Check());
    link_->board->Advance(Now());
    link_->board->SetHostBaudRate(baud);
    return absl::OkStatus();
  }

  absl::Status SetLines(bool dtr, bool rts) override {
    absl::MutexLock lock(&link_->mutex);
    RETURN_IF_ERROR(Check());
    link_->board->SetLines(Now(), dtr, rts);
    return absl::OkStatus();
  }

  void Interrupt() override {
    absl::MutexLock lock(&link_->mutex);
    interrupted_ = true;
  }

 private:
  absl::Duration Now() const { return link_->clock.Monotonic(); }

  absl::Status Check() ABSL_EXCLUSIVE_LOCKS_REQUIRED(link_->mutex) {
    if (link_->generation != generation_) {
      return errors::MakeError(errors::ErrorCode::kBoardUnplugged, "the simulated board is gone");
    }
    if (std::exchange(interrupted_, false)) return absl::CancelledError("interrupted");
    return absl::OkStatus();
  }

  void Wait(absl::Duration duration) ABSL_EXCLUSIVE_LOCKS_REQUIRED(link_->mutex) {
    link_->clock.AwaitCondition(
        &link_->mutex,
        [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
          return interrupted_ || link_->generation != generation_;
        },
        duration);
  }

  const std::shared_ptr<Link> link_;
  const uint64_t generation_;
  bool interrupted_ = false;  // guarded by link_->mutex
};

SimulatedOpener::SimulatedOpener(const BoardConfig& config, base::Clock& clock,
                                 absl::string_view name)
    : name_(name), link_(std::make_shared<Link>(config, clock)) {}

SimulatedOpener::~SimulatedOpener() = default;

absl::StatusOr<std::unique_ptr<ports::ByteStream>> SimulatedOpener::Open() {
  absl::MutexLock lock(&link_->mutex);
  if (!link_->plugged) {
    return errors::MakeError(errors::ErrorCode::kBoardNotFound,
                             absl::StrCat("no board at ", name_));
  }
  if (link_->open) {
    return errors::MakeError(errors::ErrorCode::kPortBusy, absl::StrCat(name_, " is open already"));
  }
  link_->open = true;
  link_->board->Advance(link_->clock.Monotonic());
  link_->board->DiscardOutput(link_->clock.Monotonic());
  link_->board->SetHostBaudRate(115200);
  return std::unique_ptr<ports::ByteStream>(std::make_unique<Stream>(link_, link_->generation));
}

std::string SimulatedOpener::address() const { return absl::StrCat("sim://", name_); }

std::string SimulatedOpener::Instance() {
  absl::MutexLock lock(&link_->mutex);
  return absl::StrCat(link_->generation);
}

void SimulatedOpener::Unplug() {
  absl::MutexLock lock(&link_->mutex);
  link_->Unplug();
}

void SimulatedOpener::Replug() {
  absl::MutexLock lock(&link_->mutex);
  if (link_->plugged) return;
  link_->plugged = true;
  link_->open = false;
  link_->board->PowerOn(link_->clock.Monotonic());
}

void SimulatedOpener::ReplaceBoard(const BoardConfig& config) {
  absl::MutexLock lock(&link_->mutex);
  link_->Unplug();
  link_->board = std::make_unique<SimulatedBoard>(config, link_->clock.Monotonic());
  link_->plugged = true;
  link_->open = false;
}

bool SimulatedOpener::plugged() const {
  absl::MutexLock lock(&link_->mutex);
  return link_->plugged;
}

void SimulatedOpener::WithBoard(absl::FunctionRef<void(SimulatedBoard&)> visit) {
  absl::MutexLock lock(&link_->mutex);
  link_->board->Advance(link_->clock.Monotonic());
  visit(*link_->board);
}

void SimulatedOpener::SetFaults(const Faults& faults) {
  WithBoard([&](SimulatedBoard& board) { board.SetFaults(faults); });
}

BoardStatistics SimulatedOpener::statistics() {
  BoardStatistics statistics;
  WithBoard([&](SimulatedBoard& board) { statistics = board.statistics(); });
  return statistics;
}

}  // namespace kiln::simulator
