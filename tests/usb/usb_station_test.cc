// A station's whole way from the order to the record, on a mocked bus: registry, USB source, libusb
// with its events, Kiln's own drivers, scheduler and pipeline are the daemon's, only bus and boards
// are made of software. Boards of every family are pulled before they are opened and at every step,
// come back, or do not; another one comes in their place. Runs under umockdev-wrapper.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/boards/create_registry.h"
#include "daemon/boards/usb_scan.h"
#include "daemon/esp/chip.h"
#include "daemon/pipeline/pipeline_fixture.h"
#include "daemon/ports/usb/usb_context.h"
#include "daemon/ports/usb/usb_serial.h"
#include "simulator/demo_image.h"
#include "simulator/simulated_board.h"
#include "simulator/usb/mock/mocked_usb_bus.h"
#include "simulator/usb/native_usb_models.h"
#include "simulator/usb/usb_models.h"

namespace kiln::pipeline {
namespace {

using simulator::SimulatedBoard;
using simulator::UsbDeviceModel;
using storage::Deployment;
using storage::DeploymentState;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kPlace[] = "1-2.3";
constexpr char kPort[] = "usb-1-2.3";

struct Family {
  std::string kind;
  std::string kernel_driver;
  esp::Chip chip = esp::Chip::kEsp32;
  // Of a chip on its own USB: a person holds BOOT whenever it is plugged in, as a blank one needs.
  bool boot_held = false;
};

void PrintTo(const Family& family, std::ostream* out) { *out << family.kind; }

const Family kBridge = {"cp2102", "cp210x"};
const Family kJtag = {"usb-serial-jtag", "cdc_acm", esp::Chip::kEsp32C3};
// Of a used product, whose program serves USB.
const Family kOtg = {"usb-otg", "cdc_acm", esp::Chip::kEsp32S3};
const Family kBlankOtg = {"usb-otg", "cdc_acm", esp::Chip::kEsp32S3, true};

std::string Printable(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return !absl::ascii_isalnum(c); }, '_');
  return text;
}

std::string NameOf(const Family& family) {
  return Printable(absl::StrCat(family.kind, "_", std::string(esp::TraitsOf(family.chip).stub_name),
                                family.boot_held ? "_boot_held" : ""));
}

class UsbStationTest : public PipelineFixture {
 protected:
  UsbStationTest()
      : PipelineFixture(base::SystemClock()),
        context_(std::move(ports::UsbContext::Create()).value()) {
    boards::UsbDrivers drivers;
    drivers.own = [this](const ports::UsbPlace& place, const ports::UsbAdapter& adapter) {
      return ports::MakeUsbSerialOpener(*context_, base::SystemClock(), place, adapter);
    };
    std::vector<std::unique_ptr<boards::PortSource>> sources;
    boards::UsbScanOptions scan;
    scan.driver = boards::UsbDriverSetting::kUser;  // and no waiting for the kernel's terminals
    sources.push_back(
        boards::MakeUsbScan(std::move(scan), std::move(drivers), base::SystemClock()));
    usb_registry_ = boards::CreateRegistry(std::move(sources), base::SystemClock());
    known_boards_ = usb_registry_.get();
    context_->SetHotplugObserver([this] { usb_registry_->Wake(); });
    options_.replug_window = absl::Seconds(15);
    options_.timeouts.confirm = absl::Seconds(15);
  }
  ~UsbStationTest() override {
    Resume();
    context_->SetHotplugObserver(nullptr);
    usb_registry_->Stop();
    StopStation();
  }

  void Start() {
    StartStation();
    usb_registry_->SetObserver(
        [this](const boards::BoardInfo& board) { scheduler_->OnBoardChange(board); });
    usb_registry_->ScanNow();
    EXPECT_TRUE(usb_registry_->Start().ok());
  }

  // A board with a product's older firmware in it, unless it is blank.
  std::unique_ptr<UsbDeviceModel> MakeBoard(const Family& family, uint8_t number) {
    simulator::BoardConfig config;
    config.chip = family.chip;
    config.mac = {0x7C, 0xDF, 0xA1, 0x00, 0x00, number};
    config.start_in_download_mode = family.boot_held;
    auto model = simulator::MakeUsbModel(family.kind, config);
    EXPECT_TRUE(model.ok()) << model.status();
    if (!family.boot_held) {
      BoardOf(**model).flash_memory().Load(
          simulator::MergeDemoImage(simulator::MakeDemoImage(family.chip, 48 * 1024, /*seed=*/99)));
    }
    return *std::move(model);
  }
  static SimulatedBoard& BoardOf(UsbDeviceModel& model) {
    return *model.serial_port(0).peer().board();
  }
  void Plug(const Family& family, std::unique_ptr<UsbDeviceModel> model,
            const std::string& place = kPlace) {
    bus_.Plug(place, std::move(model), {.kernel_driver = family.kernel_driver});
  }
  void WithBoard(const std::function<void(SimulatedBoard&)>& function) {
    bus_.With(kPlace, [&](UsbDeviceModel& model) { function(BoardOf(model)); });
  }
  void SetFaults(const simulator::Faults& faults) {
    WithBoard([&](SimulatedBoard& board) { board.SetFaults(faults); });
  }
  void ExpectSuccess(const Deployment& end, uint8_t number = 1) {
    EXPECT_EQ(end.state, DeploymentState::kSucceeded) << end.error_code << ": " << end.error_detail;
    EXPECT_EQ(end.attempt, 1);
    EXPECT_EQ(end.mac, MacOf(number));
    EXPECT_EQ(end.port, kPort);
    EXPECT_THAT(Records(), SizeIs(1));
  }

  simulator::MockedUsbBus bus_;  // before libusb looks at it
  std::unique_ptr<ports::UsbContext> context_;
  std::unique_ptr<boards::Registry> usb_registry_;
};

class EveryFamilyTest : public UsbStationTest, public ::testing::WithParamInterface<Family> {};

TEST_P(EveryFamilyTest, DeploysWithTheBoardsOwnReport) {
  bundle_ = Import(GetParam().chip);
  Plug(GetParam(), MakeBoard(GetParam(), 1));
  Start();

  const Deployment end = AwaitEnd(Deploy(kPort).id);

  ExpectSuccess(end);
  EXPECT_TRUE(bus_.AwaitClaimed(kPlace, false));
}

INSTANTIATE_TEST_SUITE_P(
    Families, EveryFamilyTest,
    ::testing::Values(kBridge, Family{"cp2102n", "cp210x", esp::Chip::kEsp32S3},
                      Family{"ch340", "ch341", esp::Chip::kEsp32C3},
                      Family{"ch9102", "cdc_acm", esp::Chip::kEsp32C6},
                      Family{"ft232r", "ftdi_sio", esp::Chip::kEsp32}, kJtag,
                      Family{"usb-serial-jtag", "cdc_acm", esp::Chip::kEsp32S3}, kOtg, kBlankOtg,
                      Family{"usb-otg", "cdc_acm", esp::Chip::kEsp32S2},
                      Family{"usb-otg", "cdc_acm", esp::Chip::kEsp32S2, true},
                      Family{"usb-otg", "cdc_acm", esp::Chip::kEsp32P4, true}),
    [](const auto& info) { return NameOf(info.param); });

// When a board is pulled: where the deployment is held, or what happens from there on until it is.
struct Moment {
  std::string name;
  std::string point;
  uint64_t after_heard_bytes = 0;
  uint64_t after_flash_bytes = 0;

  bool is_later() const { return after_heard_bytes != 0 || after_flash_bytes != 0; }
};

const Moment kBeforeOpen = {"before_open", "connect:enter"};
const Moment kDuringConnect = {"during_connect", "connect:enter", 1};
const Moment kBeforeIdentify = {"before_identify", "identify:enter"};
const Moment kDuringIdentify = {"during_identify", "identify:enter", 100};
const Moment kBeforeFlash = {"before_flash", "flash:enter"};
const Moment kDuringFlash = {"during_flash", "flash:enter", 0, 20'000};
const Moment kBeforeVerify = {"before_verify", "verify:enter"};
const Moment kDuringVerify = {"during_verify", "verify:enter", 1};
const Moment kBeforeBoot = {"before_boot", "boot:enter"};
const Moment kBeforeConfirm = {"before_confirm", "confirm:enter"};

using FamilyAndMoment = std::tuple<Family, Moment>;

std::string NameOfBoth(const ::testing::TestParamInfo<FamilyAndMoment>& info) {
  return absl::StrCat(NameOf(std::get<0>(info.param)), "_", std::get<1>(info.param).name);
}

class PulledBoardTest : public UsbStationTest,
                        public ::testing::WithParamInterface<FamilyAndMoment> {
 protected:
  const Family& family() const { return std::get<0>(GetParam()); }
  const Moment& moment() const { return std::get<1>(GetParam()); }

  // A deployment whose board has been pulled at the moment and is in the hand: `pulled_`.
  Deployment DeployUntilPulled() {
    bundle_ = Import(family().chip);
    Plug(family(), MakeBoard(family(), 1));
    simulator::Faults faults;
    faults.no_identity_line = true;  // or it might have been confirmed by what it had said before
    SetFaults(faults);
    Start();
    HoldAt(moment().point);
    const Deployment row = Deploy(kPort);
    AwaitHeld();
    known_ = !Get(row.id).mac.empty();
    if (moment().is_later()) {
      if (moment().after_heard_bytes != 0) {
        faults.unplug_after_received_bytes = moment().after_heard_bytes;
      }
      if (moment().after_flash_bytes != 0) {
        faults.unplug_after_flash_bytes = moment().after_flash_bytes;
      }
      SetFaults(faults);
      Resume();
      EXPECT_TRUE(bus_.AwaitOccupied(kPlace, false)) << "nothing pulled the board";
    }
    pulled_ = bus_.Unplug(kPlace);
    BoardOf(*pulled_).SetFaults({});
    Resume();
    return row;
  }

  std::unique_ptr<UsbDeviceModel> pulled_;
  bool known_ = false;  // the ledger has the deployment's board
};

class ReturningBoardTest : public PulledBoardTest {};

TEST_P(ReturningBoardTest, IsFinished) {
  const Deployment row = DeployUntilPulled();
  Plug(family(), std::move(pulled_));
  ExpectSuccess(AwaitEnd(row.id));
}

INSTANTIATE_TEST_SUITE_P(
    EveryStep, ReturningBoardTest,
    ::testing::Combine(::testing::Values(kBridge, kBlankOtg),
                       ::testing::Values(kBeforeOpen, kDuringConnect, kBeforeIdentify,
                                         kDuringIdentify, kBeforeFlash, kDuringFlash, kBeforeVerify,
                                         kDuringVerify, kBeforeBoot, kBeforeConfirm)),
    NameOfBoth);

INSTANTIATE_TEST_SUITE_P(
    EveryFamily, ReturningBoardTest,
    ::testing::Combine(::testing::Values(Family{"ch340", "ch341", esp::Chip::kEsp32C3},
                                         Family{"ch9102", "cdc_acm", esp::Chip::kEsp32C6},
                                         Family{"ft232r", "ftdi_sio", esp::Chip::kEsp32}, kJtag),
                       ::testing::Values(kBeforeOpen, kDuringConnect, kDuringFlash,
                                         kBeforeConfirm)),
    NameOfBoth);

// A used product on its own USB, plugged in again without BOOT: only while its program is whole can
// it be on the bus.
INSTANTIATE_TEST_SUITE_P(Program, ReturningBoardTest,
                         ::testing::Combine(::testing::Values(kOtg),
                                            ::testing::Values(kBeforeOpen, kBeforeIdentify,
                                                              kBeforeBoot, kBeforeConfirm)),
                         NameOfBoth);

class SwappedBoardTest : public PulledBoardTest {};

TEST_P(SwappedBoardTest, StopsTheDeploymentAndIsNotTouched) {
  const Deployment row = DeployUntilPulled();
  std::unique_ptr<UsbDeviceModel> other = MakeBoard(family(), 2);
  simulator::Faults faults;
  faults.identity_customer = "XYZ999";  // a product of somebody else's, where it is one
  BoardOf(*other).SetFaults(faults);
  const uint64_t programmed = BoardOf(*other).statistics().programmed_bytes;
  Plug(family(), std::move(other));
  const Deployment end = AwaitEnd(row.id);
  ASSERT_TRUE(known_);
  EXPECT_EQ(end.state, DeploymentState::kNeedsAttention) << end.error_detail;
  EXPECT_EQ(end.error_code, "BOARD_SWAPPED") << end.error_detail;
  EXPECT_EQ(end.mac, MacOf(1));
  WithBoard([programmed](SimulatedBoard& board) {
    EXPECT_EQ(board.statistics().programmed_bytes, programmed);
  });
}

INSTANTIATE_TEST_SUITE_P(Steps, SwappedBoardTest,
                         ::testing::Combine(::testing::Values(kBridge, kJtag, kBlankOtg),
                                            ::testing::Values(kBeforeFlash, kDuringFlash,
                                                              kBeforeBoot, kBeforeConfirm)),
                         NameOfBoth);
INSTANTIATE_TEST_SUITE_P(Program, SwappedBoardTest,
                         ::testing::Combine(::testing::Values(kOtg),
                                            ::testing::Values(kBeforeFlash, kBeforeConfirm)),
                         NameOfBoth);

// What becomes of a chip on its own USB-OTG that is told to start its program.
class OtgStartTest : public UsbStationTest {
 protected:
  OtgStartTest() {
    bundle_ = Import(esp::Chip::kEsp32S3);
    options_.timeouts.confirm = absl::Seconds(6);
    options_.confirm.clean_boot_window = absl::Milliseconds(300);
  }
  // A deployment that has come to `point`.
  Deployment DeployTo(const std::string& point, std::unique_ptr<UsbDeviceModel> model) {
    Plug(kBlankOtg, std::move(model));
    Start();
    HoldAt(point);
    const Deployment row = Deploy(kPort);
    AwaitHeld();
    return row;
  }
  static void ExpectFailure(const Deployment& end, const std::string& code,
                            const std::string& words) {
    EXPECT_EQ(end.state, DeploymentState::kFailed);
    EXPECT_EQ(end.error_code, code) << end.error_detail;
    EXPECT_THAT(end.error_detail, HasSubstr(words));
  }
  // In its loader it has USB.
  static std::unique_ptr<UsbDeviceModel> MakeBoardWithoutUsb() {
    simulator::BoardConfig config;
    config.chip = esp::Chip::kEsp32S3;
    config.mac = {0x7C, 0xDF, 0xA1, 0x00, 0x00, 1};
    config.start_in_download_mode = true;
    return std::make_unique<simulator::UsbOtgModel>(config, /*program_has_usb=*/false);
  }
};

TEST_F(OtgStartTest, WithoutAReportTheReturnOfItsProgramIsACleanBoot) {
  options_.confirm.serial = false;
  const Deployment row = DeployTo("boot:enter", MakeBoard(kBlankOtg, 1));
  Resume();
  ExpectSuccess(AwaitEnd(row.id));
  WithBoard([](SimulatedBoard& board) { EXPECT_TRUE(board.application_running()); });
}

TEST_F(OtgStartTest, ComingBackInItsLoaderIsNoCleanBoot) {
  options_.confirm.serial = false;
  const Deployment row = DeployTo("boot:enter", MakeBoard(kBlankOtg, 1));
  simulator::Faults faults;
  faults.boot_held = true;
  SetFaults(faults);
  Resume();
  ExpectFailure(AwaitEnd(row.id), "BOARD_DID_NOT_BOOT", "starts its loader");
}

TEST_F(OtgStartTest, ComingBackInItsLoaderIsToldAlsoWhereAReportIsRequired) {
  const Deployment row = DeployTo("boot:enter", MakeBoard(kBlankOtg, 1));
  simulator::Faults faults;
  faults.boot_held = true;
  SetFaults(faults);
  Resume();
  ExpectFailure(AwaitEnd(row.id), "BOARD_DID_NOT_BOOT", "starts its loader");
}

TEST_F(OtgStartTest, StayingInItsLoaderIsNoCleanBoot) {
  options_.confirm.serial = false;
  const Deployment row = DeployTo("boot:enter", MakeBoard(kBlankOtg, 1));
  simulator::Faults faults;
  faults.dead_watchdog = true;
  SetFaults(faults);
  Resume();
  ExpectFailure(AwaitEnd(row.id), "BOARD_DID_NOT_BOOT", "has not left its loader");
}

TEST_F(OtgStartTest, AProgramWithoutUsbIsNoCleanBoot) {
  options_.confirm.serial = false;
  options_.replug_window = absl::Seconds(2);
  const Deployment row = DeployTo("boot:enter", MakeBoardWithoutUsb());
  Resume();
  ExpectFailure(AwaitEnd(row.id), "BOARD_DID_NOT_BOOT", "did not come back");
}

TEST_F(OtgStartTest, AProgramWithoutUsbCannotReport) {
  options_.replug_window = absl::Seconds(2);
  const Deployment row = DeployTo("boot:enter", MakeBoardWithoutUsb());
  Resume();
  ExpectFailure(AwaitEnd(row.id), "BOARD_DID_NOT_BOOT", "did not come back");
}

TEST_F(OtgStartTest, AProgramWithoutUsbIsConfirmedByNetworkAlone) {
  options_.confirm.serial = false;
  options_.confirm.http = true;
  http_.Answer({absl::StrCat(R"({"mac_address":")", MacOf(1), R"(","customer_id":"BGK001"})")});
  options_.replug_window = absl::Seconds(2);
  const Deployment row = DeployTo("boot:enter", MakeBoardWithoutUsb());
  Resume();
  ExpectSuccess(AwaitEnd(row.id));
}

TEST_F(OtgStartTest, AReportOfAnotherBoardIsASwap) {
  const Deployment row = DeployTo("boot:enter", MakeBoard(kBlankOtg, 1));
  simulator::Faults faults;
  faults.identity_mac = MacOf(2);
  SetFaults(faults);
  Resume();
  const Deployment end = AwaitEnd(row.id);
  EXPECT_EQ(end.state, DeploymentState::kNeedsAttention);
  EXPECT_EQ(end.error_code, "BOARD_SWAPPED") << end.error_detail;
}

TEST_F(OtgStartTest, ABridgeThatComesInItsPlaceIsIdentifiedAnew) {
  const Deployment row = DeployTo("confirm:enter", MakeBoard(kBlankOtg, 1));
  bus_.Unplug(kPlace);
  Plug(kBridge, MakeBoard({"cp2102", "cp210x", esp::Chip::kEsp32S3}, 2));
  Resume();
  const Deployment end = AwaitEnd(row.id);
  EXPECT_EQ(end.state, DeploymentState::kNeedsAttention);
  EXPECT_EQ(end.error_code, "BOARD_SWAPPED") << end.error_detail;
}

TEST_F(OtgStartTest, ASilentProgramIsNotConfirmed) {
  const Deployment row = DeployTo("boot:enter", MakeBoard(kBlankOtg, 1));
  simulator::Faults faults;
  faults.no_identity_line = true;
  SetFaults(faults);
  Resume();
  ExpectFailure(AwaitEnd(row.id), "BOARD_NOT_CONFIRMED", "");
}

}  // namespace
}  // namespace kiln::pipeline
