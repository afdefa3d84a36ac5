#include "daemon/boards/registry.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/boards/arrival_hold.h"
#include "daemon/boards/create_registry.h"
#include "daemon/boards/port_opener.h"
#include "daemon/boards/port_source.h"
#include "daemon/boards/settle_time.h"
#include "daemon/ports/byte_stream.h"
#include "errors/error.h"

namespace kiln::boards {
namespace {

using errors::ErrorCode;
using errors::MakeError;

// The registry of a station. `work_mutex_` lets one thread at a time scan and
// deliver, so that the observer sees changes in their order; `mutex_` guards
// the picture and is never held while a source or the observer runs. Lock
// order: work_mutex_, then mutex_.
class StationRegistry final : public Registry {
 public:
  StationRegistry(std::vector<std::unique_ptr<PortSource>> sources, base::Clock& clock)
      : clock_(clock), sources_(std::move(sources)), hold_(clock) {}
  ~StationRegistry() override { Stop(); }

  std::vector<BoardInfo> List() const override;
  absl::StatusOr<BoardInfo> Get(const std::string& port_or_alias) const override;
  absl::StatusOr<ports::StreamOpener*> OpenerOf(const std::string& port) override;
  void SetFacts(const std::string& port, uint64_t arrival, const std::string& chip,
                const std::string& mac, uint32_t flash_size_bytes) override;
  void SetObserver(std::function<void(const BoardInfo&)> observer) override;
  absl::Status Start() override;
  void Stop() override;
  void ScanNow() override;
  void Wake() override;

 private:
  struct Port {
    explicit Port(const std::string& name) : opener(std::make_unique<PortOpener>(name)) {
      info.port = name;
    }
    BoardInfo info;
    std::string instance;
    std::unique_ptr<PortOpener> opener;
  };

  void Run();
  // When the thread has to look next.
  absl::Duration NextScan() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Merges what the sources find.
  std::map<std::string, FoundPort> Collect() ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mutex_);
  void Apply(Port& port, const FoundPort& found, FoundBy by) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Leave(Port& port) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Arrive(Port& port, FoundBy by) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Tells the observer of all changes so far.
  void Deliver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mutex_);

  base::Clock& clock_;
  absl::Mutex work_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  const std::vector<std::unique_ptr<PortSource>> sources_ ABSL_GUARDED_BY(work_mutex_);
  ArrivalHold hold_ ABSL_GUARDED_BY(work_mutex_);
  mutable absl::Mutex mutex_;
  std::map<std::string, Port> ports_ ABSL_GUARDED_BY(mutex_);
  std::deque<BoardInfo> changes_ ABSL_GUARDED_BY(mutex_);
  std::function<void(const BoardInfo&)> observer_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // An event has come that no look has begun after.
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  // The last look held a board back.
  bool holding_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration last_event_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  absl::Duration last_scan_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  std::thread thread_;  // of Start and Stop, which main calls on one thread
};

std::vector<BoardInfo> StationRegistry::List() const {
  absl::MutexLock lock(&mutex_);
  std::vector<BoardInfo> boards;
  boards.reserve(ports_.size());
  for (const auto& [name, port] : ports_) boards.push_back(port.info);
  return boards;
}

absl::StatusOr<BoardInfo> StationRegistry::Get(const std::string& port_or_alias) const {
  absl::MutexLock lock(&mutex_);
  if (auto it = ports_.find(port_or_alias); it != ports_.end()) return it->second.info;
  if (!port_or_alias.empty()) {
    for (const auto& [name, port] : ports_) {
      if (port.info.alias == port_or_alias) return port.info;
    }
  }
  return MakeError(ErrorCode::kPortNotFound,
                   absl::StrCat("no port is called \"", port_or_alias, "\""));
}

absl::StatusOr<ports::StreamOpener*> StationRegistry::OpenerOf(const std::string& port) {
  absl::MutexLock lock(&mutex_);
  const auto it = ports_.find(port);
  if (it == ports_.end()) {
    return MakeError(ErrorCode::kPortNotFound, absl::StrCat("no port is called \"", port, "\""));
  }
  return it->second.opener.get();
}

void StationRegistry::SetFacts(const std::string& port, uint64_t arrival, const std::string& chip,
                               const std::string& mac, uint32_t flash_size_bytes) {
  absl::MutexLock lock(&mutex_);
  const auto it = ports_.find(port);
  if (it == ports_.end()) return;
  BoardInfo& info = it->second.info;
  if (!info.present || info.arrival != arrival) return;
  if (info.chip == chip && info.mac == mac && info.flash_size_bytes == flash_size_bytes) return;
  info.chip = chip;
  info.mac = mac;
  info.flash_size_bytes = flash_size_bytes;
  changes_.push_back(info);  // wakes the thread, which delivers it
}

void StationRegistry::SetObserver(std::function<void(const BoardInfo&)> observer) {
  absl::MutexLock lock(&mutex_);
  observer_ = std::move(observer);
}

absl::Status StationRegistry::Start() {
  if (thread_.joinable()) return absl::FailedPreconditionError("the registry runs already");
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = false;
  }
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void StationRegistry::Stop() {
  if (!thread_.joinable()) return;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void StationRegistry::ScanNow() {
  absl::MutexLock work(&work_mutex_);
  FoundBy by = FoundBy::kScan;
  {
    // Before the look: an event that comes while it is under way needs another one.
    absl::MutexLock lock(&mutex_);
    last_scan_ = clock_.Monotonic();
    if (std::exchange(woken_, false)) last_event_ = last_scan_;
    // The looks that follow find what the event announced.
    const absl::Duration follow_ups =
        kScanInterval + (holding_ ? kUsbSettleTime : absl::Duration());
    if (last_scan_ - last_event_ < follow_ups) by = FoundBy::kEvent;
  }
  std::map<std::string, FoundPort> found = Collect();
  {
    absl::MutexLock lock(&mutex_);
    holding_ = hold_.holding();
    for (auto& [name, port] : ports_) {
      if (found.contains(name)) continue;
      port.opener->Attach(nullptr);
      if (port.info.present) Leave(port);
    }
    for (auto& [name, fresh] : found) {
      Port& port = ports_.try_emplace(name, name).first->second;
      port.opener->Attach(fresh.opener);
      Apply(port, fresh, by);
    }
  }
  Deliver();
}

void StationRegistry::Wake() {
  absl::MutexLock lock(&mutex_);
  woken_ = true;
}

std::map<std::string, FoundPort> StationRegistry::Collect() {
  std::map<std::string, FoundPort> merged;
  std::map<std::string, std::string> devices;  // to the port's name
  hold_.BeginLook();
  for (const std::unique_ptr<PortSource>& source : sources_) {
    for (FoundPort& found : source->Scan()) {
      if (found.name.empty()) continue;
      if (!found.present && !found.awaited.empty()) hold_.Await(found.awaited);
      // A tty that is configured by address is not also found by itself; what the bus says of it is
      // said of the configured port.
      const bool device_is_new =
          found.device.empty() || devices.try_emplace(found.device, found.name).second;
      if (device_is_new) {
        if (found.present && found.usb.has_value() && hold_.Holds(found)) continue;
      } else {
        hold_.Forget(found.name);
        const auto first = merged.find(devices[found.device]);
        if (first != merged.end() && !first->second.usb.has_value()) first->second.usb = found.usb;
      }
      const auto [it, name_is_new] = merged.try_emplace(found.name, found);
      if (name_is_new) {
        if (!device_is_new) merged.erase(it);
        continue;
      }
      FoundPort& known = it->second;
      const std::string alias = known.alias.empty() ? found.alias : known.alias;
      if (!known.present && found.present && device_is_new) known = std::move(found);
      known.alias = alias;
    }
  }
  return merged;
}

void StationRegistry::Apply(Port& port, const FoundPort& found, FoundBy by) {
  BoardInfo& info = port.info;
  // Gone and there again since the last look: both are told.
  const bool replugged = info.present && found.present && !port.instance.empty() &&
                         !found.instance.empty() && port.instance != found.instance;
  if (info.present && (!found.present || replugged)) Leave(port);

  const bool described_anew = info.alias != found.alias || info.address != found.address ||
                              info.adapter != found.adapter || info.usable != found.usable ||
                              (found.present && info.usb != found.usb);
  info.alias = found.alias;
  info.address = found.address;
  info.adapter = found.adapter;
  info.usable = found.usable;
  if (found.present) info.usb = found.usb;
  port.instance = found.instance;
  if (found.present && !info.present) {
    Arrive(port, by);
  } else if (described_anew) {
    changes_.push_back(info);
  }
}

void StationRegistry::Leave(Port& port) {
  BoardInfo& info = port.info;
  info.present = false;
  info.change_time = clock_.Now();
  info.chip.clear();
  info.mac.clear();
  info.flash_size_bytes = 0;
  info.usable = absl::OkStatus();
  port.instance.clear();
  changes_.push_back(info);
}

void StationRegistry::Arrive(Port& port, FoundBy by) {
  BoardInfo& info = port.info;
  info.found_by = by;
  info.present = true;
  ++info.arrival;
  info.change_time = clock_.Now();
  changes_.push_back(info);
}

void StationRegistry::Deliver() {
  for (;;) {
    std::function<void(const BoardInfo&)> observer;
    std::deque<BoardInfo> changes;
    {
      absl::MutexLock lock(&mutex_);
      changes.swap(changes_);
      observer = observer_;
    }
    if (changes.empty()) return;
    if (!observer) continue;
    for (const BoardInfo& change : changes) observer(change);
  }
}

absl::Duration StationRegistry::NextScan() const {
  if (woken_) return last_scan_ + kWakeInterval;
  if (holding_) return last_scan_ + kHoldInterval;
  for (const absl::Duration follow_up : {kFirstFollowUp, kSecondFollowUp}) {
    if (last_scan_ < last_event_ + follow_up) return last_event_ + follow_up;
  }
  return last_scan_ + kScanInterval;
}

void StationRegistry::Run() {
  for (;;) {
    bool due = false;
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) return;
      due = clock_.Monotonic() >= NextScan();
    }
    if (due) {
      ScanNow();
    } else {
      absl::MutexLock work(&work_mutex_);
      Deliver();
    }
    absl::MutexLock lock(&mutex_);
    const bool woken = woken_;
    const auto something_to_do = [this, woken]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return stopping_ || !changes_.empty() || woken_ != woken;
    };
    clock_.AwaitCondition(&mutex_, something_to_do, NextScan() - clock_.Monotonic());
  }
}

}  // namespace

std::unique_ptr<Registry> CreateRegistry(std::vector<std::unique_ptr<PortSource>> sources,
                                         base::Clock& clock) {
  return std::make_unique<StationRegistry>(std::move(sources), clock);
}

}  // namespace kiln::boards
