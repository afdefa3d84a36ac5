#ifndef KILN_DAEMON_PORTS_FAKE_BYTE_STREAM_H_
#define KILN_DAEMON_PORTS_FAKE_BYTE_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "daemon/ports/byte_stream.h"

namespace kiln::ports {

// The far end of fake byte streams, owned by a test: what a board would answer,
// what it was sent, and what goes wrong. Outlives the streams opened on it.
// Thread-safe.
//
// Reading takes bytes that have arrived (the responder's answers, or
// `Arrive`), then the script (`QueueRead`, `QueueReadError`, `QueueSilence`) in
// order, one entry a call. With neither, the read's timeout passes: on `clock`
// if there is one, otherwise in no time at all.
class FakeWire {
 public:
  // One call on the stream that does something, in order.
  struct Call {
    enum class Kind { kWrite, kDrain, kDiscardInput, kSetBaudRate, kSetLines };
    Kind kind;
    std::vector<uint8_t> bytes;  // kWrite
    uint32_t baud = 0;           // kSetBaudRate
    bool dtr = false;            // kSetLines
    bool rts = false;
    absl::Duration time = absl::ZeroDuration();  // on the clock, if there is one
  };
  // Gets each write and returns what the board answers to it.
  using Responder = std::function<std::vector<uint8_t>(absl::Span<const uint8_t>)>;

  explicit FakeWire(base::Clock* clock = nullptr) : clock_(clock) {}

  // ---- What the board does ----
  void QueueRead(std::vector<uint8_t> bytes);
  void QueueReadError(absl::Status status);
  // One read that ends by its timeout.
  void QueueSilence();
  // Bytes that are there already; DiscardInput throws these away, not the
  // script.
  void Arrive(absl::Span<const uint8_t> bytes);
  void SetResponder(Responder responder);
  // Every later call on open streams answers BoardUnplugged, and opening
  // BoardNotFound, until Replug.
  void Unplug();
  void Replug();
  // The call after `skip` further calls of `kind` fails with `status`, once.
  void FailCall(Call::Kind kind, int skip, absl::Status status);
  // The far end goes away once it was sent this many bytes more.
  void UnplugAfterBytesWritten(size_t bytes);
  void set_traits(const LinkTraits& traits);

  // ---- What it has seen ----
  std::vector<Call> calls() const;
  std::vector<uint8_t> written() const;  // all writes, one after another
  std::vector<uint32_t> bauds() const;
  std::vector<std::pair<bool, bool>> lines() const;  // {dtr, rts}
  bool script_is_empty() const;
  void ForgetCalls();
  int open_streams() const;

 private:
  friend class FakeByteStream;
  friend class FakeStreamOpener;

  struct Injection {
    Call::Kind kind;
    int skip;
    absl::Status status;
  };

  absl::Status Record(Call call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  base::Clock* const clock_;
  mutable absl::Mutex mutex_;
  std::deque<std::optional<absl::StatusOr<std::vector<uint8_t>>>> script_ ABSL_GUARDED_BY(mutex_);
  std::deque<uint8_t> arrived_ ABSL_GUARDED_BY(mutex_);
  Responder responder_ ABSL_GUARDED_BY(mutex_);
  std::vector<Injection> injections_ ABSL_GUARDED_BY(mutex_);
  std::optional<size_t> bytes_until_unplug_ ABSL_GUARDED_BY(mutex_);
  std::vector<Call> calls_ ABSL_GUARDED_BY(mutex_);
  LinkTraits traits_ ABSL_GUARDED_BY(mutex_) = {
      .kind = LinkKind::kUartBridge, .has_modem_lines = true, .has_baud_rate = true};
  bool present_ ABSL_GUARDED_BY(mutex_) = true;
  int incarnation_ ABSL_GUARDED_BY(mutex_) = 1;
  int open_streams_ ABSL_GUARDED_BY(mutex_) = 0;
};

// A byte stream on a FakeWire. A stream opened before an unplug stays dead
// after the replug, as a real one does.
class FakeByteStream final : public ByteStream {
 public:
  // `wire` must outlive the stream.
  explicit FakeByteStream(FakeWire& wire);
  ~FakeByteStream() override;

  LinkTraits traits() const override;
  absl::StatusOr<size_t> Read(absl::Span<uint8_t> buffer, absl::Duration timeout) override;
  absl::Status Write(absl::Span<const uint8_t> bytes, absl::Duration timeout) override;
  absl::Status Drain(absl::Duration timeout) override;
  absl::Status DiscardInput() override;
  absl::Status SetBaudRate(uint32_t baud) override;
  absl::Status SetLines(bool dtr, bool rts) override;
  void Interrupt() override;

 private:
  absl::Status CheckUsable() ABSL_EXCLUSIVE_LOCKS_REQUIRED(wire_.mutex_);
  absl::Status CheckInterrupted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(wire_.mutex_);

  FakeWire& wire_;
  int incarnation_;
  bool interrupted_ ABSL_GUARDED_BY(wire_.mutex_) = false;
};

// Opens streams on a FakeWire: one at a time, PortBusy otherwise.
class FakeStreamOpener final : public StreamOpener {
 public:
  // `wire` must outlive the opener and its streams.
  explicit FakeStreamOpener(FakeWire& wire, std::string address = "fake://board")
      : wire_(wire), address_(std::move(address)) {}

  absl::StatusOr<std::unique_ptr<ByteStream>> Open() override;
  std::string address() const override { return address_; }
  bool Present() override;
  std::string Instance() override;

  // The next Open fails with `status`.
  void FailOpen(absl::Status status);

 private:
  FakeWire& wire_;
  const std::string address_;
  absl::Mutex mutex_;
  std::deque<absl::Status> failures_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_FAKE_BYTE_STREAM_H_
