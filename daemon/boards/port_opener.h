#ifndef KILN_DAEMON_BOARDS_PORT_OPENER_H_
#define KILN_DAEMON_BOARDS_PORT_OPENER_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "daemon/ports/byte_stream.h"

namespace kiln::boards {

// The opener a port keeps for good, while what is plugged in there comes and
// goes under changing addresses. Owned by the registry. Thread-safe.
class PortOpener final : public ports::StreamOpener {
 public:
  explicit PortOpener(std::string port) : port_(std::move(port)) {}

  // What Open uses from now on; null when nothing is there.
  void Attach(std::shared_ptr<ports::StreamOpener> target);

  absl::StatusOr<std::unique_ptr<ports::ByteStream>> Open() override;
  std::string address() const override;
  bool Present() override;
  std::string Instance() override;

 private:
  std::shared_ptr<ports::StreamOpener> target() const;

  const std::string port_;
  mutable absl::Mutex mutex_;
  std::shared_ptr<ports::StreamOpener> target_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_PORT_OPENER_H_
