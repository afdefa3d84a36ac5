// Deployments of every family of boards, from the order to the record, with the board left plugged
// in.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "daemon/esp/chip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simulator/faults.h"
#include "simulator/simulated_board.h"
#include "simulator/usb/native_usb_models.h"
#include "simulator/usb/usb_device_model.h"
#include "storage/ledger.h"
#include "tests/usb/usb_station_fixture.h"

namespace kiln::pipeline {
namespace {

using simulator::SimulatedBoard;
using simulator::UsbDeviceModel;
using storage::Deployment;
using storage::DeploymentState;
using ::testing::HasSubstr;

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

// What becomes of a chip on its own USB-OTG that is told to start its program.
class OtgStartTest : public UsbStationTest {
 protected:
  // For a board that does not come back, however long it is waited for.
  static constexpr absl::Duration kVainReturn = absl::Milliseconds(500);

  OtgStartTest() {
    bundle_ = Import(esp::Chip::kEsp32S3);
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

// Without a report, a program may show which board it runs on by its USB serial number, or not.
class SilentOtgStartTest : public OtgStartTest {
 protected:
  // A deployment whose board has been told to start its program. Into `resets`: how often it has
  // been reset until then.
  Deployment DeployUntilStarted(uint64_t& resets, bool dead_loader = false) {
    options_.confirm.serial = false;
    const Deployment row = DeployTo("boot:enter", MakeBoard(kBlankOtg, 1));
    WithBoard([&](SimulatedBoard& board) {
      simulator::Faults faults;
      faults.no_identity_line = true;
      board.SetFaults(faults);
      resets = board.statistics().resets;
    });
    HoldAt("confirm:enter");
    AwaitStep(row.id, v1::STEP_CONFIRM);  // it is held there, and not where it was before
    AwaitHeld();
    if (dead_loader) {
      simulator::Faults faults;
      faults.no_identity_line = faults.dead_loader = true;
      SetFaults(faults);
    }
    Resume();
    return row;
  }
  uint64_t Resets() {
    uint64_t resets = 0;
    WithBoard([&](SimulatedBoard& board) {
      resets = board.statistics().resets;
      EXPECT_TRUE(board.application_running());
    });
    return resets;
  }
};

TEST_F(SilentOtgStartTest, IsKnownByItsUsbSerialNumberWithoutAReset) {
  uint64_t resets = 0;
  const Deployment row = DeployUntilStarted(resets);
  ExpectSuccess(AwaitEnd(row.id));
  EXPECT_EQ(Resets(), resets + 1);
}

TEST_F(SilentOtgStartTest, IsIdentifiedByItsLoaderAndStartedAgainWhereItShowsNoMac) {
  usb_mac_ = nullptr;
  options_.max_replugs = 0;
  uint64_t resets = 0;
  const Deployment row = DeployUntilStarted(resets);
  ExpectSuccess(AwaitEnd(row.id));
  EXPECT_GT(Resets(), resets + 1);
}

TEST_F(SilentOtgStartTest, IsNotConfirmedWhereItsLoaderCannotBeAsked) {
  usb_mac_ = nullptr;
  uint64_t resets = 0;
  const Deployment row = DeployUntilStarted(resets, /*dead_loader=*/true);
  ExpectFailure(AwaitEnd(row.id), "BOARD_NOT_CONFIRMED", "USB serial number");
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
  options_.replug_window = kVainReturn;
  const Deployment row = DeployTo("boot:enter", MakeBoardWithoutUsb());
  Resume();
  ExpectFailure(AwaitEnd(row.id), "BOARD_DID_NOT_BOOT", "did not come back");
}

TEST_F(OtgStartTest, AProgramWithoutUsbCannotReport) {
  options_.replug_window = kVainReturn;
  const Deployment row = DeployTo("boot:enter", MakeBoardWithoutUsb());
  Resume();
  ExpectFailure(AwaitEnd(row.id), "BOARD_DID_NOT_BOOT", "did not come back");
}

TEST_F(OtgStartTest, AProgramWithoutUsbIsConfirmedByNetworkAlone) {
  options_.confirm.serial = false;
  options_.confirm.http = true;
  http_.Answer({absl::StrCat(R"({"mac_address":")", MacOf(1), R"(","customer_id":"BGK001"})")});
  options_.replug_window = kVainReturn;
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
  options_.timeouts.confirm = absl::Seconds(2);
  const Deployment row = DeployTo("boot:enter", MakeBoard(kBlankOtg, 1));
  simulator::Faults faults;
  faults.no_identity_line = true;
  SetFaults(faults);
  Resume();
  ExpectFailure(AwaitEnd(row.id), "BOARD_NOT_CONFIRMED", "");
}

}  // namespace
}  // namespace kiln::pipeline
