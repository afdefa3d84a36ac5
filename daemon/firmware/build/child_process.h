#ifndef KILN_DAEMON_FIRMWARE_BUILD_CHILD_PROCESS_H_
#define KILN_DAEMON_FIRMWARE_BUILD_CHILD_PROCESS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "base/clock.h"

namespace kiln::firmware {

// One program to run, and what it may use.
struct ChildSpec {
  std::vector<std::string> arguments;    // the first is the program's absolute path
  std::vector<std::string> environment;  // "NAME=value"; nothing else is inherited
  std::string directory;
  // Of the whole run.
  absl::Duration timeout = absl::Minutes(10);
  size_t max_output_bytes = size_t{8} << 20;
  // Of each process: address space, and any one file it writes.
  uint64_t max_memory_bytes = uint64_t{4} << 30;
  uint64_t max_file_bytes = uint64_t{512} << 20;
  bool network = false;
  // Without it there are neither namespaces nor a network that could be kept away.
  bool sandbox = true;
};

struct ChildEnd {
  enum class Reason { kExited, kSignal, kTimedOut, kTooMuchOutput, kCancelled };
  Reason reason = Reason::kExited;
  int code = 0;  // exit code, or the signal's number
};

// Runs programs that are not trusted to end. Thread-safe.
class ChildRunner {
 public:
  // Gets a line without its end, at most kMaxLineBytes of it, as the program printed it.
  using OnLine = std::function<void(absl::string_view line)>;
  static constexpr size_t kMaxLineBytes = 2000;

  virtual ~ChildRunner() = default;

  // Runs `spec` to its end, or ends it; when this returns, the program and whatever it started are
  // gone. Both output streams become lines. Errors are of starting it: NOT_FOUND,
  // FAILED_PRECONDITION when the sandbox is not possible here, INTERNAL.
  virtual absl::StatusOr<ChildEnd> Run(const ChildSpec& spec, const OnLine& on_line,
                                       const base::Cancellation& cancellation) = 0;
  // Whether programs can be kept from the network and in a process namespace of their own here.
  virtual absl::Status CheckSandbox() = 0;
};

// The real one. The program gets a process group of its own, and with `sandbox` also user, process
// and, unless `network`, network namespaces (unshare of util-linux): the end of the first process
// there is the end of all, also of those that left the group.
std::unique_ptr<ChildRunner> MakeChildRunner(base::Clock& clock);

}  // namespace kiln::firmware

#endif  // KILN_DAEMON_FIRMWARE_BUILD_CHILD_PROCESS_H_
