// Prints how soon a gRPC client knows of boards that come and go: kiln-watch-bench [ROUNDS], to be
// run under umockdev-wrapper. A command, not a test: it judges nothing. The station is whole,
// libusb is the real one, the bus is mocked: what a real kernel and udev need before their event is
// not in the figures.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/usb/watched_station.h"

namespace kiln {
namespace {

std::string Milliseconds(absl::Duration time) {
  return absl::FormatDuration(absl::Trunc(time, absl::Microseconds(100)));
}

void Row(const char* what, std::vector<absl::Duration> times) {
  if (times.empty()) return;
  std::sort(times.begin(), times.end());
  std::printf("%-28s %6zu %12s %12s\n", what, times.size(),
              Milliseconds(times[times.size() / 2]).c_str(), Milliseconds(times.back()).c_str());
}

void Measure(const char* arrivals, const char* absences, int rounds, bool lose_events) {
  WatchedStation station;
  if (lose_events) station.LoseEvents();
  // Not in step with the scan, and no part of what the change before has set off.
  int pauses = 0;
  const auto pause = [&pauses] {
    absl::SleepFor(absl::Milliseconds(1100 + pauses++ * 137 % 1000));
  };
  std::vector<absl::Duration> came;
  std::vector<absl::Duration> went;
  for (int i = 0; i < rounds; ++i) {
    pause();
    if (const auto time = station.TimeArrival("1-4"); time.has_value()) came.push_back(*time);
    pause();
    if (const auto time = station.TimeAbsence("1-4"); time.has_value()) went.push_back(*time);
  }
  Row(arrivals, came);
  Row(absences, went);
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::clamp(std::atoi(argv[1]), 1, 1000) : 20;
  std::printf("%-28s %6s %12s %12s\n", "change to gRPC client", "count", "median", "worst");
  kiln::Measure("arrival, by event", "absence, by event", rounds, false);
  kiln::Measure("arrival, by scan alone", "absence, by scan alone", rounds, true);
  return 0;
}
