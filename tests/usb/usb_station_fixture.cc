#include "tests/usb/usb_station_fixture.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/boards/create_registry.h"
#include "daemon/boards/usb_scan.h"
#include "daemon/ports/usb/usb_serial.h"
#include "daemon/usb_serial_number.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simulator/demo_image.h"
#include "simulator/usb/usb_models.h"

namespace kiln::pipeline {

using simulator::SimulatedBoard;
using simulator::UsbDeviceModel;
using ::testing::SizeIs;

void PrintTo(const Family& family, std::ostream* out) { *out << family.kind; }

std::string NameOf(const Family& family) {
  std::string name =
      absl::StrCat(family.kind, "_", std::string(esp::TraitsOf(family.chip).stub_name),
                   family.boot_held ? "_boot_held" : "");
  std::replace_if(name.begin(), name.end(), [](char c) { return !absl::ascii_isalnum(c); }, '_');
  return name;
}

UsbStationTest::UsbStationTest()
    : PipelineFixture(base::SystemClock()),
      context_(std::move(ports::UsbContext::Create()).value()) {
  boards::UsbDrivers drivers;
  drivers.own = [this](const ports::UsbPlace& place, const ports::UsbAdapter& adapter) {
    return ports::MakeUsbSerialOpener(*context_, base::SystemClock(), place, adapter);
  };
  std::vector<std::unique_ptr<boards::PortSource>> sources;
  boards::UsbScanOptions scan;
  scan.driver = boards::UsbDriverSetting::kUser;  // and no waiting for the kernel's terminals
  sources.push_back(boards::MakeUsbScan(std::move(scan), std::move(drivers), base::SystemClock()));
  usb_registry_ = boards::CreateRegistry(std::move(sources), base::SystemClock());
  known_boards_ = usb_registry_.get();
  context_->SetHotplugObserver([this] { usb_registry_->Wake(); });
  usb_mac_ = [](const std::string& topology) {
    return daemon::MacOfUsbSerialNumber("/sys", topology);
  };
  options_.replug_window = absl::Seconds(15);
  options_.timeouts.confirm = absl::Seconds(15);
}

UsbStationTest::~UsbStationTest() {
  Resume();
  context_->SetHotplugObserver(nullptr);
  usb_registry_->Stop();
  StopStation();
}

void UsbStationTest::Start() {
  StartStation();
  usb_registry_->SetObserver(
      [this](const boards::BoardInfo& board) { scheduler_->OnBoardChange(board); });
  usb_registry_->ScanNow();
  EXPECT_TRUE(usb_registry_->Start().ok());
}

std::unique_ptr<UsbDeviceModel> UsbStationTest::MakeBoard(const Family& family, uint8_t number) {
  simulator::BoardConfig config;
  config.chip = family.chip;
  config.mac = {0x7C, 0xDF, 0xA1, 0x00, 0x00, number};
  config.start_in_download_mode = family.boot_held;
  // Only a program on its own USB repeats its report: what it says once goes unheard.
  if (family.kind == "usb-otg") config.report_interval = absl::Milliseconds(100);
  auto model = simulator::MakeUsbModel(family.kind, config);
  EXPECT_TRUE(model.ok()) << model.status();
  if (!family.boot_held) {
    BoardOf(**model).flash_memory().Load(
        simulator::MergeDemoImage(simulator::MakeDemoImage(family.chip, 48 * 1024, /*seed=*/99)));
  }
  return *std::move(model);
}

void UsbStationTest::Plug(const Family& family, std::unique_ptr<UsbDeviceModel> model) {
  bus_.Plug(kPlace, std::move(model), {.kernel_driver = family.kernel_driver});
}

void UsbStationTest::WithBoard(const std::function<void(SimulatedBoard&)>& function) {
  bus_.With(kPlace, [&](UsbDeviceModel& model) { function(BoardOf(model)); });
}

void UsbStationTest::SetFaults(const simulator::Faults& faults) {
  WithBoard([&](SimulatedBoard& board) { board.SetFaults(faults); });
}

void UsbStationTest::ExpectSuccess(const storage::Deployment& end) {
  EXPECT_EQ(end.state, storage::DeploymentState::kSucceeded)
      << end.error_code << ": " << end.error_detail;
  EXPECT_EQ(end.attempt, 1);
  EXPECT_EQ(end.mac, MacOf(1));
  EXPECT_EQ(end.port, kPort);
  EXPECT_THAT(Records(), SizeIs(1));
}

}  // namespace kiln::pipeline
