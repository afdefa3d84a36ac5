#ifndef KILN_DAEMON_PORTS_KERNEL_TTY_H_
#define KILN_DAEMON_PORTS_KERNEL_TTY_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/tty_stream.h"

namespace kiln::ports {

// A serial port the kernel drives: "/dev/ttyUSB0". Held exclusively, also
// against programs that do not lock, and a USB adapter against other stations'
// own drivers. Threads as ByteStream says.
class KernelTty final : public TtyStream {
 public:
  // Errors as StreamOpener::Open. The roots are "/sys" and "/dev", except in tests.
  static absl::StatusOr<std::unique_ptr<KernelTty>> Open(const std::string& path,
                                                         const std::string& sysfs_root = "/sys",
                                                         const std::string& dev_root = "/dev");
  ~KernelTty() override;

  LinkTraits traits() const override { return traits_; }
  absl::Status SetLines(bool dtr, bool rts) override;

 private:
  KernelTty(base::UniqueFd fd, base::UniqueFd wakeup, base::UniqueFd node, std::string path,
            const LinkTraits& traits);

  const base::UniqueFd node_;  // LockNodeOfTerminal's
  const LinkTraits traits_;
};

// Opens one kernel tty. Thread-safe.
class KernelTtyOpener final : public StreamOpener {
 public:
  explicit KernelTtyOpener(std::string path, std::string sysfs_root = "/sys",
                           std::string dev_root = "/dev");

  absl::StatusOr<std::unique_ptr<ByteStream>> Open() override;
  std::string address() const override { return path_; }
  bool Present() override;
  std::string Instance() override;

 private:
  const std::string path_;
  const std::string sysfs_root_;
  const std::string dev_root_;
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_KERNEL_TTY_H_
