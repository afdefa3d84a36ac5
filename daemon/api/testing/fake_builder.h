#ifndef KILN_DAEMON_API_TESTING_FAKE_BUILDER_H_
#define KILN_DAEMON_API_TESTING_FAKE_BUILDER_H_

#include <atomic>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/firmware/build/builder.h"
#include "errors/error.h"

namespace kiln::api::testing {

// Builds as its request's name says: "fails", "hangs" until it is cancelled, "talks" very much;
// anything else succeeds. Thread-safe.
class FakeBuilder final : public firmware::Builder {
 public:
  absl::StatusOr<firmware::BuildOutcome> Build(const firmware::BuildRequest& request,
                                               firmware::BuildListener& listener,
                                               const base::Cancellation& cancellation) override {
    listener.OnStage(firmware::BuildStage::kPrepare);
    listener.OnStage(firmware::BuildStage::kBuild);
    for (int i = 0; i < (request.name == "talks" ? 100'000 : 2); ++i) {
      listener.OnLog(absl::StrCat("line ", i));
    }
    if (request.name == "fails") {
      return errors::MakeError(errors::ErrorCode::kBuildFailed, "main.cc:1: error: no");
    }
    if (request.name == "hangs") {
      absl::Mutex mutex;
      absl::MutexLock lock(&mutex);
      while (!cancellation.IsCancelled()) {
        base::SystemClock().AwaitCondition(&mutex, [] { return false; }, absl::Milliseconds(5));
      }
      ++cancelled_;
      return cancellation.Check();
    }
    firmware::BuildOutcome outcome;
    outcome.bundle.id = std::string(64, 'a');
    if (!request.base_bundle.empty()) {
      outcome.bundle.provenance.facts["base_bundle"] = request.base_bundle;
    }
    outcome.bundle.title = request.title;
    outcome.bundle.version = request.values.count("v") > 0 ? request.values.at("v") : "";
    outcome.bundle.chip = esp::Chip::kEsp32C3;
    outcome.bundle.create_time = absl::UnixEpoch();
    outcome.from_cache = outcome.already_existed = request.name == "cached";
    return outcome;
  }
  absl::Status CheckHealth(std::string&) override { return absl::OkStatus(); }

  int cancelled() const { return cancelled_; }

 private:
  std::atomic<int> cancelled_{0};
};

}  // namespace kiln::api::testing

#endif  // KILN_DAEMON_API_TESTING_FAKE_BUILDER_H_
