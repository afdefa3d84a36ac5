// Deployments through the real libusb and the station's own drivers, on a mocked bus: every family
// of adapter, boards that are pulled at every step, and a hub that is disturbed while eight of them
// are being written. Runs under umockdev-wrapper.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/flasher.h"
#include "daemon/esp/prepared_image.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/usb_context.h"
#include "daemon/ports/usb/usb_serial.h"
#include "errors/error.h"
#include "simulator/simulated_board.h"
#include "simulator/usb/mock/mocked_usb_bus.h"
#include "simulator/usb/usb_models.h"

namespace kiln {
namespace {

using errors::ErrorCode;
using simulator::MockedUsbBus;
using simulator::SimulatedBoard;
using simulator::UsbDeviceModel;

constexpr absl::Duration kPatience = absl::Seconds(60);

struct Adapter {
  std::string kind;
  std::string kernel_driver;
  esp::Chip chip = esp::Chip::kEsp32;
  uint8_t serial_port = 0;
};

void PrintTo(const Adapter& adapter, std::ostream* out) { *out << adapter.kind; }

// About as compressible as machine code, and different for each seed.
std::vector<uint8_t> CodeLike(size_t size, uint32_t seed) {
  std::vector<uint8_t> bytes(size);
  uint32_t state = seed * 2'654'435'761U + 1;
  for (uint8_t& byte : bytes) {
    state = state * 1'664'525 + 1'013'904'223;
    byte = (state >> 28) % 3 != 0 ? static_cast<uint8_t>(state >> 26) : 0x13;
  }
  return bytes;
}

esp::FlashPlan PlanOf(uint32_t seed) {
  return {{"bootloader", 0x1000, esp::PrepareImage(CodeLike(9'001, seed))},
          {"app", 0x10000, esp::PrepareImage(CodeLike(30'003, seed + 1000))}};
}

// One place on the bus with the board that hangs there.
class Bench {
 public:
  Bench(MockedUsbBus& bus, ports::UsbContext& context, std::string place, Adapter adapter,
        esp::MacAddress mac)
      : bus_(bus), place_(std::move(place)), adapter_(std::move(adapter)), mac_(mac) {
    simulator::BoardConfig config = {.chip = adapter_.chip, .mac = mac};
    // The boards of one adapter count on; the one wanted has `mac`.
    config.mac.back() = static_cast<uint8_t>(config.mac.back() - adapter_.serial_port);
    auto model = simulator::MakeUsbModel(adapter_.kind, config);
    EXPECT_TRUE(model.ok()) << model.status();
    ports::UsbPlace usb = {.bus = 1,
                           .serial_port = adapter_.serial_port,
                           .vendor = (*model)->vendor(),
                           .product = (*model)->product()};
    const simulator::UsbTopology topology(place_);
    for (int port : topology.ports) usb.hub_ports.push_back(static_cast<uint8_t>(port));
    const ports::UsbAdapter* const known = ports::FindUsbAdapter(usb.vendor, usb.product);
    EXPECT_NE(known, nullptr);
    bus_.Plug(place_, *std::move(model), {.kernel_driver = adapter_.kernel_driver});
    opener_ = ports::MakeUsbSerialOpener(context, base::SystemClock(), usb, *known);
  }

  // Connects, identifies, writes, verifies and starts the program. `at_step` is told of each step
  // before it begins.
  absl::Status Deploy(const esp::FlashPlan& plan,
                      const std::function<void(const std::string&)>& at_step = nullptr) {
    const auto begin = [&](const char* step) {
      if (at_step) at_step(step);
    };
    ASSIGN_OR_RETURN(const std::unique_ptr<ports::ByteStream> stream, opener_->Open());
    const base::Cancellation cancellation;
    const auto flasher =
        esp::Flasher::Create(*stream, base::SystemClock(), cancellation, esp::FlasherOptions());
    begin("connect");
    RETURN_IF_ERROR(flasher->Connect()) << "connect";
    begin("identify");
    ASSIGN_OR_RETURN(const esp::BoardFacts facts, flasher->Identify());
    if (facts.mac != mac_) {
      return absl::InternalError(
          absl::StrCat("the board of ", place_, " has become ", esp::FormatMac(facts.mac)));
    }
    begin("flash");
    RETURN_IF_ERROR(flasher->Flash(plan, nullptr).status()) << "flash";
    begin("verify");
    RETURN_IF_ERROR(flasher->Verify(plan, nullptr)) << "verify";
    begin("boot");
    return flasher->Boot();
  }

  // Again and again while the board is gone or has just come back.
  absl::Status DeployUntilDone(const esp::FlashPlan& plan,
                               const std::function<void(const std::string&)>& at_step = nullptr) {
    const absl::Duration end = base::SystemClock().Monotonic() + kPatience;
    while (true) {
      const absl::Status status = Deploy(plan, at_step);
      const bool gone = errors::Is(status, ErrorCode::kBoardUnplugged) ||
                        errors::Is(status, ErrorCode::kBoardNotFound);
      if (!gone || base::SystemClock().Monotonic() > end) return status;
      ++interruptions_;
      base::SystemClock().Sleep(absl::Milliseconds(10));
    }
  }

  bool Holds(const esp::FlashPlan& plan) {
    bool holds = true;
    WithBoard([&](SimulatedBoard& board) {
      for (const esp::FlashRegion& region : plan) {
        const auto image = region.image->padded();
        holds &= board.flash_memory().contents().subspan(region.offset, image.size()) == image;
      }
    });
    return holds;
  }

  void WithBoard(const std::function<void(SimulatedBoard&)>& function) {
    bus_.With(place_, [&](UsbDeviceModel& model) {
      function(*model.serial_port(adapter_.serial_port).peer().board());
    });
  }

  const std::string& place() const { return place_; }
  int interruptions() const { return interruptions_; }

 private:
  MockedUsbBus& bus_;
  const std::string place_;
  const Adapter adapter_;
  const esp::MacAddress mac_;
  std::unique_ptr<ports::StreamOpener> opener_;
  int interruptions_ = 0;
};

constexpr esp::MacAddress kMac = {0x7C, 0xDF, 0xA1, 0x00, 0x00, 0x10};

const std::vector<Adapter>& AllAdapters() {
  static const auto* const adapters = new std::vector<Adapter>{
      {"cp2102", "cp210x"},
      {"cp2102n", "cp210x"},
      {"ch340", "ch341"},
      {"ch9102", "cdc_acm"},
      {"ft232r", "ftdi_sio"},
      {"ft2232h", "ftdi_sio", esp::Chip::kEsp32, 0},
      {"ft2232h", "ftdi_sio", esp::Chip::kEsp32, 1},
      {"usb-serial-jtag", "cdc_acm", esp::Chip::kEsp32C3},
      {"usb-serial-jtag", "cdc_acm", esp::Chip::kEsp32S3},
  };
  return *adapters;
}

std::string Name(const ::testing::TestParamInfo<Adapter>& info) {
  std::string name =
      absl::StrCat(info.param.kind, "_", std::string(esp::TraitsOf(info.param.chip).stub_name), "_",
                   info.param.serial_port);
  std::replace_if(name.begin(), name.end(), [](char c) { return !absl::ascii_isalnum(c); }, '_');
  return name;
}

class UsbDeploymentsTest : public ::testing::Test {
 protected:
  UsbDeploymentsTest() : context_(std::move(ports::UsbContext::Create()).value()) {}

  MockedUsbBus bus_;  // before libusb looks at it
  std::unique_ptr<ports::UsbContext> context_;
};

class EveryAdapterTest : public UsbDeploymentsTest,
                         public ::testing::WithParamInterface<Adapter> {};

INSTANTIATE_TEST_SUITE_P(Adapters, EveryAdapterTest, ::testing::ValuesIn(AllAdapters()), Name);

TEST_P(EveryAdapterTest, CarriesADeploymentAndGivesTheDeviceBack) {
  Bench bench(bus_, *context_, "1-2.3", GetParam(), kMac);
  ASSERT_TRUE(bus_.KernelDriverBound("1-2.3"));
  const esp::FlashPlan plan = PlanOf(1);

  const absl::Status deployed = bench.Deploy(plan);

  EXPECT_TRUE(deployed.ok()) << deployed;
  EXPECT_TRUE(bench.Holds(plan));
  EXPECT_TRUE(bus_.AwaitClaimed("1-2.3", false));
  EXPECT_TRUE(bus_.KernelDriverBound("1-2.3"));
}

// One of each family is enough here: each of them takes some seconds.
class PulledAdapterTest : public EveryAdapterTest {};

INSTANTIATE_TEST_SUITE_P(Families, PulledAdapterTest,
                         ::testing::Values(AllAdapters()[0], AllAdapters()[2], AllAdapters()[3],
                                           AllAdapters()[6], AllAdapters()[7]),
                         Name);

TEST_P(PulledAdapterTest, IsPulledAtEveryStepAndFinishesAfterwards) {
  Bench bench(bus_, *context_, "1-2.3", GetParam(), kMac);
  const esp::FlashPlan plan = PlanOf(2);
  struct Moment {
    std::string step;
    uint64_t bytes;  // from the host, after the step has begun
  };
  for (const Moment& moment : {Moment{"connect", 1}, Moment{"identify", 1}, Moment{"flash", 1},
                               Moment{"flash", 5000}, Moment{"verify", 1}}) {
    SCOPED_TRACE(absl::StrCat(moment.step, " ", moment.bytes));
    bench.WithBoard([&](SimulatedBoard& board) {
      board.flash_memory().Load(std::vector<uint8_t>(board.flash_memory().size(), 0xFF));
    });

    const absl::Status pulled = bench.Deploy(plan, [&](const std::string& step) {
      if (step != moment.step) return;
      bench.WithBoard([&](SimulatedBoard& board) {
        board.SetFaults({.unplug_after_received_bytes = moment.bytes});
      });
    });

    EXPECT_TRUE(errors::Is(pulled, ErrorCode::kBoardUnplugged)) << pulled;
    EXPECT_FALSE(bus_.Occupied("1-2.3"));
    bus_.Replug("1-2.3");
    const absl::Status again = bench.DeployUntilDone(plan);
    ASSERT_TRUE(again.ok()) << again;
    EXPECT_TRUE(bench.Holds(plan));
  }
}

// Where workers wait for each other and for what happens to them then.
class Meeting {
 public:
  // Of a worker: says that it has come, and waits for Close. Returns at once after it.
  void Attend() {
    absl::MutexLock lock(&mutex_);
    ++present_;
    mutex_.AwaitWithTimeout(absl::Condition(&closed_), kPatience);
  }
  bool AwaitAll(int count) {
    absl::MutexLock lock(&mutex_);
    const auto all = [&] {
      mutex_.AssertReaderHeld();
      return present_ >= count;
    };
    return mutex_.AwaitWithTimeout(absl::Condition(&all), kPatience);
  }
  bool closed() const {
    absl::MutexLock lock(&mutex_);
    return closed_;
  }
  void Close() {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
  }

 private:
  mutable absl::Mutex mutex_;
  int present_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

TEST_F(UsbDeploymentsTest, DisturbedHubMixesUpNoBoards) {
  std::vector<std::unique_ptr<Bench>> benches;
  std::vector<esp::FlashPlan> plans;
  for (const Adapter& adapter : AllAdapters()) {
    if (adapter.serial_port != 0) continue;
    const auto i = static_cast<uint8_t>(benches.size());
    esp::MacAddress mac = kMac;
    mac[4] = i;
    benches.push_back(std::make_unique<Bench>(
        bus_, *context_, absl::StrCat("1-2.", i / 4 + 1, ".", i % 4 + 1), adapter, mac));
    plans.push_back(PlanOf(100 + i));
  }
  // The hub is disturbed when all of them begin to write, and again when all begin to verify.
  Meeting writing;
  Meeting verifying;
  const auto at_step = [&](const std::string& step) {
    if (step == "flash" && !writing.closed()) return writing.Attend();
    if (step == "verify" && writing.closed() && !verifying.closed()) return verifying.Attend();
  };
  std::vector<absl::Status> results(benches.size());
  std::vector<std::thread> workers;
  for (size_t i = 0; i < benches.size(); ++i) {
    workers.emplace_back([&, i] { results[i] = benches[i]->DeployUntilDone(plans[i], at_step); });
  }
  for (Meeting* meeting : {&writing, &verifying}) {
    EXPECT_TRUE(meeting->AwaitAll(static_cast<int>(benches.size())));
    bus_.ResetHub("1-2");
    meeting->Close();
  }

  for (std::thread& worker : workers) worker.join();
  for (size_t i = 0; i < benches.size(); ++i) {
    EXPECT_TRUE(results[i].ok()) << benches[i]->place() << ": " << results[i];
    EXPECT_TRUE(benches[i]->Holds(plans[i])) << benches[i]->place();
    EXPECT_GE(benches[i]->interruptions(), 2) << benches[i]->place();
  }
}

TEST_F(UsbDeploymentsTest, TellsWhyAPortCannotBeOpened) {
  Bench bench(bus_, *context_, "1-4", AllAdapters().front(), kMac);
  const esp::FlashPlan plan = PlanOf(3);
  bus_.SetFaults("1-4", {.permission_denied = true});
  EXPECT_TRUE(errors::Is(bench.Deploy(plan), ErrorCode::kPortPermission));
  bus_.SetFaults("1-4", {.claimed_by_other = true});
  EXPECT_TRUE(errors::Is(bench.Deploy(plan), ErrorCode::kPortBusy));
  bus_.SetFaults("1-4", {});
  const absl::Status deployed = bench.Deploy(plan);
  EXPECT_TRUE(deployed.ok()) << deployed;
}

TEST_F(UsbDeploymentsTest, OutlastsTheRaceAfterAnArrival) {
  Bench bench(bus_, *context_, "1-4", AllAdapters().front(), kMac);
  bus_.SetFaults("1-4", {.claim_race = absl::Milliseconds(300)});
  bus_.Reenumerate("1-4");
  const absl::Status deployed = bench.Deploy(PlanOf(4));
  EXPECT_TRUE(deployed.ok()) << deployed;
}

}  // namespace
}  // namespace kiln
