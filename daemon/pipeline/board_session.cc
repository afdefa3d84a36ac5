#include "daemon/pipeline/board_session.h"

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/status_macros.h"

namespace kiln::pipeline {

absl::Status BoardSession::Open(ports::StreamOpener& opener, uint64_t arrival,
                                const base::Cancellation& stop) {
  Close();
  arrival_ = arrival;  // also of a board that is gone before it could be opened
  ASSIGN_OR_RETURN(std::unique_ptr<ports::ByteStream> stream, opener.Open());
  stream_used_ = std::move(stream);
  cancellation_used_ = std::make_shared<base::Cancellation>(&stop);
  flasher_ = make_flasher_(*stream_used_, clock_, *cancellation_used_, options_);
  absl::MutexLock lock(&mutex_);
  stream_ = stream_used_;
  cancellation_ = cancellation_used_;
  interrupted_ = false;
  return absl::OkStatus();
}

void BoardSession::Close() {
  {
    absl::MutexLock lock(&mutex_);
    stream_ = nullptr;
    cancellation_ = nullptr;
  }
  flasher_ = nullptr;
  cancellation_used_ = nullptr;
  stream_used_ = nullptr;
}

void BoardSession::Interrupt() {
  std::shared_ptr<ports::ByteStream> stream;
  std::shared_ptr<base::Cancellation> cancellation;
  {
    absl::MutexLock lock(&mutex_);
    stream = stream_;
    cancellation = cancellation_;
    interrupted_ = stream != nullptr;
  }
  // First the lasting mark, then the wake-up: whoever wakes finds the mark.
  if (cancellation != nullptr) cancellation->Cancel("the step's time has run out");
  if (stream != nullptr) stream->Interrupt();
}

void BoardSession::ResetBoard() {
  if (!is_open()) return;
  const base::Cancellation none;
  const std::unique_ptr<esp::Flasher> fresh = make_flasher_(*stream_used_, clock_, none, options_);
  fresh->Boot().IgnoreError();
}

}  // namespace kiln::pipeline
