#ifndef KILN_DAEMON_PORTS_RFC2217_SHARE_BENCH_H_
#define KILN_DAEMON_PORTS_RFC2217_SHARE_BENCH_H_

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/fd_stream.h"
#include "daemon/ports/rfc2217/rfc2217_test_util.h"
#include "errors/error.h"
#include "gtest/gtest.h"

namespace kiln::ports {

// The board, and the port it is plugged into.
class ShareBench final : public StreamOpener {
 public:
  // What happened at the port, in order: "open", "lines 01", "baud 921600", "close".
  std::vector<std::string> log() {
    absl::MutexLock lock(&mutex_);
    return log_;
  }
  void Unplug() {
    absl::MutexLock lock(&mutex_);
    present_ = false;
    board_.Reset();
  }
  void Plug() {
    absl::MutexLock lock(&mutex_);
    present_ = true;
  }
  void set_lowest_refused_baud(uint32_t baud) { lowest_refused_baud_ = baud; }
  void set_busy(bool busy) {
    absl::MutexLock lock(&mutex_);
    busy_ = busy;
  }

  void Say(absl::string_view text) {
    absl::MutexLock lock(&mutex_);
    ASSERT_EQ(::send(board_.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  // What the board was sent, at least `size` bytes.
  std::string Hear(size_t size) {
    std::string text;
    AwaitTrue([&] {
      char buffer[4096];
      absl::MutexLock lock(&mutex_);
      const ssize_t count = ::recv(board_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
      if (count > 0) text.append(buffer, static_cast<size_t>(count));
      return text.size() >= size;
    });
    return text;
  }

  // Takes what the board was sent and forgets it.
  void Drop() {
    char buffer[4096];
    absl::MutexLock lock(&mutex_);
    while (::recv(board_.get(), buffer, sizeof(buffer), MSG_DONTWAIT) > 0) {
    }
  }

  absl::StatusOr<std::unique_ptr<ByteStream>> Open() override {
    absl::MutexLock lock(&mutex_);
    if (!present_)
      return errors::MakeError(errors::ErrorCode::kBoardNotFound, "nothing at the bench");
    if (busy_) return errors::MakeError(errors::ErrorCode::kPortBusy, "held by a test");
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    board_.Reset(pair[0]);
    log_.push_back("open");
    return std::make_unique<Stream>(*this, base::UniqueFd(pair[1]));
  }
  std::string address() const override { return "bench"; }
  bool Present() override {
    absl::MutexLock lock(&mutex_);
    return present_;
  }

 private:
  class Stream final : public FdStream {
   public:
    Stream(ShareBench& bench, base::UniqueFd fd)
        : FdStream(std::move(fd), *MakeWakeup(), "bench"), bench_(bench) {}
    ~Stream() override { bench_.Log("close"); }
    LinkTraits traits() const override {
      return {.kind = LinkKind::kUartBridge, .has_modem_lines = true, .has_baud_rate = true};
    }
    absl::Status Drain(absl::Duration) override { return CheckAlive(); }
    absl::Status DiscardInput() override {
      char buffer[4096];
      while (::recv(fd(), buffer, sizeof(buffer), MSG_DONTWAIT) > 0) {
      }
      return CheckAlive();
    }
    absl::Status SetBaudRate(uint32_t baud) override {
      if (bench_.lowest_refused_baud_ != 0 && baud >= bench_.lowest_refused_baud_) {
        return errors::MakeError(errors::ErrorCode::kBaudRateUnsupported, "too fast");
      }
      bench_.Log(absl::StrCat("baud ", baud));
      return CheckAlive();
    }
    absl::Status SetLines(bool dtr, bool rts) override {
      bench_.Log(absl::StrCat("lines ", dtr, rts));
      return CheckAlive();
    }

   private:
    ShareBench& bench_;
  };

  void Log(const std::string& what) {
    absl::MutexLock lock(&mutex_);
    log_.push_back(what);
  }

  uint32_t lowest_refused_baud_ = 0;  // set before anybody connects
  absl::Mutex mutex_;
  bool present_ ABSL_GUARDED_BY(mutex_) = true;
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;
  base::UniqueFd board_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> log_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_RFC2217_SHARE_BENCH_H_
