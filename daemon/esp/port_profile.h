#ifndef KILN_DAEMON_ESP_PORT_PROFILE_H_
#define KILN_DAEMON_ESP_PORT_PROFILE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "daemon/esp/custom_reset.h"

namespace kiln::esp {

// What is said of a port in the configuration, and what its boards have taught
// so far: the reset sequence that worked, and the rate that its adapter, cable
// and boards carry. In memory only: after a restart a port learns anew, which
// costs one board a few seconds. Thread-safe; the port's worker and an
// identification use it, never both at once.
class PortProfile {
 public:
  struct Settings {
    // Rate after the first contact, in bits per second; 0: the station's.
    uint32_t baud_rate = 0;
    // Replaces the sequences of the link.
    std::optional<CustomReset> loader_reset;
  };

  PortProfile() = default;
  explicit PortProfile(Settings settings) : settings_(std::move(settings)) {}
  PortProfile(const PortProfile&) = delete;
  PortProfile& operator=(const PortProfile&) = delete;

  const Settings& settings() const { return settings_; }

  // The name of the sequence that reached the loader last; empty at first.
  std::string last_reset() const;
  void ResetWorked(absl::string_view name);

  // What to go up to with the next board where `wanted` is asked for: that, or
  // less once it did not carry. The higher rate is tried again with every
  // eighth board: it may have been one cable, or one board.
  uint32_t RateToTry(uint32_t wanted);
  // `lower` was used instead of a rate that did not carry.
  void RateFailed(uint32_t lower);
  // Data went over well at `rate`.
  void RateWorked(uint32_t rate);

 private:
  const Settings settings_;
  mutable absl::Mutex mutex_;
  std::string last_reset_ ABSL_GUARDED_BY(mutex_);
  uint32_t learnt_rate_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: nothing failed so far
  int boards_at_learnt_ ABSL_GUARDED_BY(mutex_) = 0;
};

// The profiles of all ports of a station, made as ports are named. Owned by the
// station, outlives the pipeline. Thread-safe.
class PortProfiles {
 public:
  // Before the port is first asked for.
  void Configure(const std::string& port, PortProfile::Settings settings);
  // Valid as long as this object is.
  PortProfile& Of(const std::string& port);

 private:
  absl::Mutex mutex_;
  std::map<std::string, std::unique_ptr<PortProfile>> profiles_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_PORT_PROFILE_H_
