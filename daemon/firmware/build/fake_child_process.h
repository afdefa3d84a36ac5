#ifndef KILN_DAEMON_FIRMWARE_BUILD_FAKE_CHILD_PROCESS_H_
#define KILN_DAEMON_FIRMWARE_BUILD_FAKE_CHILD_PROCESS_H_

#include <functional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/firmware/build/child_process.h"

namespace kiln::firmware {

// Plays programs in tests. One thread at a time.
class FakeChildRunner final : public ChildRunner {
 public:
  using Program = std::function<absl::StatusOr<ChildEnd>(const ChildSpec& spec, const OnLine&)>;

  explicit FakeChildRunner(Program program) : program_(std::move(program)) {}

  absl::StatusOr<ChildEnd> Run(const ChildSpec& spec, const OnLine& on_line,
                               const base::Cancellation&) override {
    runs_.push_back(spec);
    return program_(spec, on_line);
  }
  absl::Status CheckSandbox() override { return sandbox_; }

  // Every program that was run.
  const std::vector<ChildSpec>& runs() const { return runs_; }
  void SetSandbox(absl::Status status) { sandbox_ = std::move(status); }

 private:
  const Program program_;
  std::vector<ChildSpec> runs_;
  absl::Status sandbox_;
};

}  // namespace kiln::firmware

#endif  // KILN_DAEMON_FIRMWARE_BUILD_FAKE_CHILD_PROCESS_H_
