// Prints what watching the USB bus costs and how soon a board is known: kiln-usb-bench [BOARDS]. A
// command, not a test: it judges nothing. The bus is a folder that looks like sysfs, which on a
// disk file system is somewhat slower to read than the real one.

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/boards/create_registry.h"
#include "daemon/boards/fake_usb_tree.h"
#include "daemon/boards/usb_scan.h"

namespace kiln::boards {
namespace {

absl::Duration CpuTime() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
}

void Row(const std::string& what, const std::string& value) {
  std::printf("%-58s %22s\n", what.c_str(), value.c_str());
}

UsbDrivers DriversOf(const FakeUsbTree& tree) {
  UsbDrivers drivers;
  drivers.sysfs_root = tree.sysfs();
  drivers.dev_root = tree.dev();
  return drivers;  // the processes are the real ones
}

void PlugHub(FakeUsbTree& tree, int boards) {
  for (int i = 0; i < boards; ++i) {
    tree.Plug(absl::StrCat("1-", i / 7 + 1, ".", i % 7 + 1),
              FakeUsbTree::Cp2102(absl::StrCat("ttyUSB", i)));
  }
}

void BenchScan(int boards) {
  constexpr int kScans = 200;
  FakeUsbTree tree;
  PlugHub(tree, boards);
  const std::unique_ptr<PortSource> source = MakeUsbScan({}, DriversOf(tree), base::SystemClock());
  source->Scan();
  const absl::Duration start = CpuTime();
  for (int i = 0; i < kScans; ++i) source->Scan();
  const absl::Duration each = (CpuTime() - start) / kScans;
  Row(absl::StrCat("one look at ", boards, " boards, CPU"),
      absl::FormatDuration(absl::Trunc(each, absl::Microseconds(1))));
  Row("the same once a second, of a core", absl::StrCat(100 * absl::ToDoubleSeconds(each), " %"));
}

void BenchArrival(int boards) {
  constexpr int kPlugs = 50;
  FakeUsbTree tree;
  PlugHub(tree, boards);
  std::vector<std::unique_ptr<PortSource>> sources;
  sources.push_back(MakeUsbScan({}, DriversOf(tree), base::SystemClock()));
  const std::unique_ptr<Registry> registry =
      CreateRegistry(std::move(sources), base::SystemClock());
  absl::Mutex mutex;  // guards both
  absl::Time seen = absl::InfinitePast();
  bool wanted = true;
  registry->SetObserver([&](const BoardInfo& board) {
    absl::MutexLock lock(&mutex);
    if (board.port != "usb-9-1" || board.present != wanted) return;
    if (seen == absl::InfinitePast()) seen = absl::Now();
  });
  if (!registry->Start().ok()) return;
  std::vector<absl::Duration> times;
  const auto measure = [&](bool present, auto change) {
    absl::SleepFor(2 * kWakeInterval);  // a single event, not a part of a storm
    {
      absl::MutexLock lock(&mutex);
      seen = absl::InfinitePast();
      wanted = present;
    }
    change();
    const absl::Time start = absl::Now();
    registry->Wake();
    absl::MutexLock lock(&mutex);
    const auto told = [&] { return seen > absl::InfinitePast(); };
    if (mutex.AwaitWithTimeout(absl::Condition(&told), absl::Seconds(10))) {
      times.push_back(seen - start);
    }
  };
  for (int i = 0; i < kPlugs; ++i) {
    measure(true, [&tree] { tree.Plug("9-1", FakeUsbTree::Cp2102("ttyUSB99")); });
    measure(false, [&tree] { tree.Unplug("9-1"); });
  }
  registry->Stop();
  if (times.empty()) return;
  std::sort(times.begin(), times.end());
  const auto text = [](absl::Duration time) {
    return absl::FormatDuration(absl::Trunc(time, absl::Microseconds(1)));
  };
  Row(absl::StrCat("event to observer beside ", boards, " boards, median of ", times.size()),
      text(times[times.size() / 2]));
  Row("the same, slowest", text(times.back()));
}

}  // namespace
}  // namespace kiln::boards

int main(int argc, char** argv) {
  const int boards = argc > 1 ? std::clamp(std::atoi(argv[1]), 1, 1000) : 32;
  kiln::boards::BenchScan(boards);
  kiln::boards::BenchArrival(boards);
  return 0;
}
