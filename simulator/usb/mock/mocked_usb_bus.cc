#include "simulator/usb/mock/mocked_usb_bus.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/internal/raw_logging.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "simulator/usb/mock/mocked_attachment.h"
#include "simulator/usb/mock/mocked_sysfs.h"
#include "simulator/usb/mock/mocked_testbed.h"
#include "simulator/usb/mock/usbfs_node.h"
#include "simulator/usb/usb_device_model.h"

namespace kiln::simulator {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kLongWait = absl::Seconds(10);
// For what a whole step of a deployment has to lead to.
constexpr absl::Duration kStepWait = absl::Seconds(30);

// Whether `place` is below `hub` ("1-2", or "usb1" for the root hub).
bool IsBelow(const UsbTopology& place, absl::string_view hub) {
  if (hub == absl::StrCat("usb", place.bus)) return true;
  const char next =
      hub.find('.') == absl::string_view::npos && hub.find('-') == absl::string_view::npos ? '-'
                                                                                           : '.';
  return absl::StartsWith(place.name, absl::StrCat(hub, std::string(1, next)));
}

}  // namespace

MockedUsbBus::MockedUsbBus() : clock_(base::SystemClock()) {
  {
    absl::MutexLock lock(&plug_mutex_);
    hubs_.AddFor(UsbTopology("1-1"), testbed_);
  }
  thread_ = std::thread([this] { Run(); });
}

MockedUsbBus::~MockedUsbBus() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = changed_ = true;
  }
  thread_.join();
  absl::MutexLock plug_lock(&plug_mutex_);
  std::vector<Slot*> slots;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [place, slot] : slots_) slots.push_back(slot.get());
  }
  for (Slot* slot : slots) Detach(*slot);
  {
    absl::MutexLock lock(&mutex_);
    clock_.AwaitCondition(
        &mutex_,
        [this] {
          plug_mutex_.AssertReaderHeld();
          return std::all_of(departed_.begin(), departed_.end(), [](const auto& attachment) {
            return attachment->node().clients() == 0;
          });
        },
        kLongWait);
  }
  DropDeparted();
  // umockdev still calls for those that the test has left open.
  for (std::unique_ptr<MockedAttachment>& attachment : departed_) {
    [[maybe_unused]] auto* lost = attachment.release();
  }
}

// --- What happens on the bus ---

void MockedUsbBus::Plug(absl::string_view place, std::unique_ptr<UsbDeviceModel> model,
                        MockedDeviceOptions options) {
  absl::MutexLock plug_lock(&plug_mutex_);
  DropDeparted();
  const UsbTopology topology(place);
  hubs_.AddFor(topology, testbed_);
  Slot* slot = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    std::unique_ptr<Slot>& entry = slots_[topology.name];
    ABSL_RAW_CHECK(entry == nullptr, "the place is occupied");
    entry = std::make_unique<Slot>(Slot{topology, std::move(model), std::move(options)});
    slot = entry.get();
    slot->model->Plug(clock_.Monotonic());
    slot->times_left = slot->model->times_left();
  }
  Attach(*slot);
}

std::unique_ptr<UsbDeviceModel> MockedUsbBus::Unplug(absl::string_view place) {
  absl::MutexLock plug_lock(&plug_mutex_);
  Slot* slot = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    slot = &SlotAt(place);
  }
  Detach(*slot);
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<UsbDeviceModel> model = std::move(slot->model);
  model->Unplug();
  slots_.erase(std::string(place));
  return model;
}

void MockedUsbBus::CutOff(absl::string_view place) {
  absl::MutexLock lock(&mutex_);
  Slot& slot = SlotAt(place);
  ABSL_RAW_CHECK(slot.attachment != nullptr, "it is not on the bus");
  slot.attachment->node().CutOff();
}

void MockedUsbBus::Disturb(absl::string_view place) {
  absl::MutexLock lock(&mutex_);
  Slot& slot = SlotAt(place);
  ABSL_RAW_CHECK(slot.attachment != nullptr, "it is not on the bus");
  slot.attachment->node().Disturb();
  Notice(slot);
}

void MockedUsbBus::Replug(absl::string_view place) {
  absl::MutexLock plug_lock(&plug_mutex_);
  DropDeparted();
  Slot* slot = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    slot = &SlotAt(place);
    ABSL_RAW_CHECK(slot->pulled, "it is still plugged in");
    slot->pulled = false;
    slot->model->Plug(clock_.Monotonic());
    slot->times_left = slot->model->times_left();
  }
  Attach(*slot);
}

void MockedUsbBus::ResetHub(absl::string_view hub) {
  absl::MutexLock plug_lock(&plug_mutex_);
  std::vector<Slot*> below;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [place, slot] : slots_) {
      if (IsBelow(slot->place, hub) && slot->attachment != nullptr) below.push_back(slot.get());
    }
  }
  for (Slot* slot : below) Detach(*slot);
  {
    absl::MutexLock lock(&mutex_);
    for (Slot* slot : below) slot->model->ResetBus(clock_.Monotonic());
  }
  for (Slot* slot : below) Attach(*slot);
  DropDeparted();
}

void MockedUsbBus::Reenumerate(absl::string_view place) {
  absl::MutexLock plug_lock(&plug_mutex_);
  Slot* slot = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    slot = &SlotAt(place);
  }
  Detach(*slot);
  {
    absl::MutexLock lock(&mutex_);
    slot->model->ResetBus(clock_.Monotonic());
  }
  Attach(*slot);
}

void MockedUsbBus::LoseEvents(bool lose) {
  absl::MutexLock plug_lock(&plug_mutex_);
  testbed_.LoseEvents(lose);
}

void MockedUsbBus::SetFaults(absl::string_view place, const MockedDeviceFaults& faults) {
  absl::MutexLock plug_lock(&plug_mutex_);
  const MockedAttachment* attachment = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    Slot& slot = SlotAt(place);
    slot.options.faults = faults;
    attachment = slot.attachment.get();
    if (attachment != nullptr) attachment->node().SetFaults(faults);
  }
  if (attachment != nullptr) {
    testbed_.SetOpenable(attachment->node_path(), !faults.permission_denied);
  }
}

// --- What tests look at ---

void MockedUsbBus::With(absl::string_view place,
                        const std::function<void(UsbDeviceModel&)>& function) {
  absl::MutexLock lock(&mutex_);
  Slot& slot = SlotAt(place);
  function(*slot.model);
  if (slot.attachment != nullptr) slot.attachment->node().Advance();
  Notice(slot);
}

SerialState MockedUsbBus::State(absl::string_view place, size_t port) {
  absl::MutexLock lock(&mutex_);
  return SlotAt(place).model->serial_port(port).state();
}

bool MockedUsbBus::AwaitState(absl::string_view place,
                              const std::function<bool(const SerialState&)>& condition,
                              size_t port) {
  absl::MutexLock lock(&mutex_);
  return clock_.AwaitCondition(
      &mutex_,
      [this, place, &condition, port] {
        mutex_.AssertReaderHeld();
        return condition(SlotAt(place).model->serial_port(port).state());
      },
      kLongWait);
}

bool MockedUsbBus::Occupied(absl::string_view place) {
  absl::MutexLock lock(&mutex_);
  const auto found = slots_.find(std::string(place));
  return found != slots_.end() && !found->second->pulled;
}

bool MockedUsbBus::AwaitOccupied(absl::string_view place, bool occupied) {
  absl::MutexLock lock(&mutex_);
  return clock_.AwaitCondition(
      &mutex_,
      [this, place, occupied] {
        mutex_.AssertReaderHeld();
        const auto found = slots_.find(place);
        return (found != slots_.end() && !found->second->pulled) == occupied;
      },
      kStepWait);
}

std::optional<int> MockedUsbBus::DeviceNumber(absl::string_view place) {
  absl::MutexLock lock(&mutex_);
  const Slot& slot = SlotAt(place);
  if (slot.attachment == nullptr) return std::nullopt;
  return slot.attachment->number();
}

bool MockedUsbBus::Claimed(absl::string_view place) {
  absl::MutexLock lock(&mutex_);
  const Slot& slot = SlotAt(place);
  return slot.attachment != nullptr && slot.attachment->node().claimed();
}

bool MockedUsbBus::AwaitClaimed(absl::string_view place, bool claimed) {
  absl::MutexLock lock(&mutex_);
  return clock_.AwaitCondition(
      &mutex_,
      [this, place, claimed] {
        mutex_.AssertReaderHeld();
        const Slot& slot = SlotAt(place);
        return (slot.attachment != nullptr && slot.attachment->node().claimed()) == claimed;
      },
      kLongWait);
}

bool MockedUsbBus::KernelDriverBound(absl::string_view place) {
  absl::MutexLock lock(&mutex_);
  const Slot& slot = SlotAt(place);
  return slot.attachment != nullptr && slot.attachment->node().kernel_driver_bound();
}

UsbfsStatistics MockedUsbBus::statistics() {
  absl::MutexLock plug_lock(&plug_mutex_);
  absl::MutexLock lock(&mutex_);
  UsbfsStatistics all = past_statistics_;
  const auto add = [&all](const MockedAttachment& attachment) {
    all.ioctls += attachment.node().statistics().ioctls;
    all.useless_reaps += attachment.node().statistics().useless_reaps;
  };
  for (const auto& [place, slot] : slots_) {
    if (slot->attachment != nullptr) add(*slot->attachment);
  }
  for (const std::unique_ptr<MockedAttachment>& attachment : departed_) add(*attachment);
  return all;
}

// --- How it is done ---

MockedUsbBus::Slot& MockedUsbBus::SlotAt(absl::string_view place) {
  const auto found = slots_.find(std::string(place));
  ABSL_RAW_CHECK(found != slots_.end(), "nothing is plugged in there");
  return *found->second;
}

void MockedUsbBus::Attach(Slot& slot) {
  {
    absl::MutexLock lock(&mutex_);
    if (!slot.model->on_bus()) return;
  }
  const int bus = slot.place.bus;
  const int number = hubs_.TakeNumber(bus);
  const std::string path = testbed_.PathOf(UsbNodePath(bus, number));
  fs::create_directories(fs::path(path).parent_path());
  const std::string& driver = slot.options.kernel_driver;
  std::unique_ptr<MockedAttachment> attachment;
  std::string description;
  {
    absl::MutexLock lock(&mutex_);
    auto node = std::make_unique<UsbfsNode>(path, *slot.model, clock_, driver, slot.options.faults);
    attachment =
        std::make_unique<MockedAttachment>(mutex_, bus, number, std::move(node), [this, &slot] {
          mutex_.AssertHeld();
          Notice(slot);
        });
    description = DescribeUsbDevice(slot.place, number, *slot.model, driver);
  }
  testbed_.SetOpenable(attachment->node_path(), !slot.options.faults.permission_denied);
  testbed_.AttachIoctl(attachment->node_path(), attachment->handler());
  {
    absl::MutexLock lock(&mutex_);
    slot.attachment = std::move(attachment);
    Notice(slot);
  }
  testbed_.Add(description);
  UpdateTty(slot);
}

void MockedUsbBus::Detach(Slot& slot) {
  std::unique_ptr<MockedAttachment> attachment;
  {
    absl::MutexLock lock(&mutex_);
    attachment = std::move(slot.attachment);
    if (attachment == nullptr) return;
    attachment->Disconnect();
  }
  UpdateTty(slot);
  for (int interface : attachment->node().interfaces()) {
    testbed_.Remove(absl::StrCat(slot.place.devpath(), "/", slot.place.name, ":1.", interface));
  }
  testbed_.Remove(slot.place.devpath());
  std::error_code error;
  fs::remove(testbed_.PathOf(attachment->node_path()), error);
  departed_.push_back(std::move(attachment));
}

void MockedUsbBus::DropDeparted() {
  std::vector<std::unique_ptr<MockedAttachment>> closed;
  {
    absl::MutexLock lock(&mutex_);
    for (std::unique_ptr<MockedAttachment>& attachment : departed_) {
      if (attachment->node().clients() != 0) continue;
      past_statistics_.ioctls += attachment->node().statistics().ioctls;
      past_statistics_.useless_reaps += attachment->node().statistics().useless_reaps;
      closed.push_back(std::move(attachment));
    }
    departed_.erase(std::remove(departed_.begin(), departed_.end(), nullptr), departed_.end());
  }
  for (const std::unique_ptr<MockedAttachment>& attachment : closed) {
    testbed_.DetachIoctl(attachment->node_path());
    hubs_.FreeNumber(attachment->bus(), attachment->number());
  }
}

bool MockedUsbBus::TtyWanted(const Slot& slot) {
  return !slot.options.tty.empty() && slot.attachment != nullptr &&
         slot.attachment->node().kernel_driver_bound();
}

void MockedUsbBus::UpdateTty(Slot& slot) {
  constexpr int kInterface = 0;
  bool wanted = false;
  {
    absl::MutexLock lock(&mutex_);
    wanted = TtyWanted(slot);
    if (std::exchange(slot.tty_shown, wanted) == wanted) return;
  }
  if (wanted) {
    testbed_.Add(DescribeTty(slot.place, kInterface, slot.options.tty));
    return;
  }
  for (const std::string& devpath : TtyDevpaths(slot.place, kInterface, slot.options.tty)) {
    testbed_.Remove(devpath);
  }
}

bool MockedUsbBus::Stale(const Slot& slot) {
  if (slot.pulled) return false;
  return TtyWanted(slot) != slot.tty_shown || slot.pull_requested ||
         slot.model->times_left() != slot.times_left ||
         slot.model->on_bus() != (slot.attachment != nullptr);
}

void MockedUsbBus::Notice(Slot& slot) {
  if (slot.model == nullptr || slot.pulled) return;
  slot.pull_requested |= slot.model->TakeUnplugRequest();
  const std::optional<absl::Duration> next = slot.model->NextEvent();
  if (Stale(slot) || (next.has_value() && *next < wakes_at_)) changed_ = true;
}

void MockedUsbBus::Run() {
  while (true) {
    bool stale = false;
    {
      absl::MutexLock lock(&mutex_);
      if (stop_) return;
      changed_ = false;
      const absl::Duration now = clock_.Monotonic();
      wakes_at_ = now + kLongWait;
      for (const auto& [place, slot] : slots_) {
        if (slot->pulled || slot->model == nullptr) continue;
        if (slot->attachment != nullptr) {
          slot->attachment->node().Advance();
        } else {
          slot->model->Advance(clock_.Monotonic());
        }
        slot->pull_requested |= slot->model->TakeUnplugRequest();
        stale |= Stale(*slot);
        const std::optional<absl::Duration> next = slot->model->NextEvent();
        if (next.has_value()) wakes_at_ = std::min(wakes_at_, *next);
      }
      if (!stale) {
        clock_.AwaitCondition(
            &mutex_,
            [this] {
              mutex_.AssertReaderHeld();
              return changed_;
            },
            wakes_at_ - now);
      }
    }
    if (stale) RefreshStale();
  }
}

void MockedUsbBus::RefreshStale() {
  absl::MutexLock plug_lock(&plug_mutex_);
  std::vector<Slot*> stale;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [place, slot] : slots_) {
      if (Stale(*slot)) stale.push_back(slot.get());
    }
  }
  for (Slot* slot : stale) {
    UpdateTty(*slot);
    bool pulled = false;
    {
      absl::MutexLock lock(&mutex_);
      if (!Stale(*slot)) continue;
      pulled = slot->pulled = std::exchange(slot->pull_requested, false);
      if (pulled) slot->model->Unplug();
      slot->times_left = slot->model->times_left();
    }
    Detach(*slot);
    if (!pulled) Attach(*slot);
  }
  DropDeparted();
}

}  // namespace kiln::simulator
