// Boards of every family are pulled before they are opened and at every step, come back, or do not;
// another one comes in their place.
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "daemon/esp/chip.h"
#include "gtest/gtest.h"
#include "simulator/faults.h"
#include "simulator/simulated_board.h"
#include "simulator/usb/usb_device_model.h"
#include "storage/ledger.h"
#include "tests/usb/usb_station_fixture.h"

namespace kiln::pipeline {
namespace {

using simulator::SimulatedBoard;
using simulator::UsbDeviceModel;
using storage::Deployment;
using storage::DeploymentState;

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

// Deployments that are held at a moment at which something happens to their board.
class HeldBoardTest : public UsbStationTest, public ::testing::WithParamInterface<FamilyAndMoment> {
 protected:
  const Family& family() const { return std::get<0>(GetParam()); }
  const Moment& moment() const { return std::get<1>(GetParam()); }

  // A deployment that waits at the moment's point. Its board does not report, or it might be
  // confirmed by what it had said before.
  Deployment DeployUntilHeld() {
    bundle_ = Import(family().chip);
    Plug(family(), MakeBoard(family(), 1));
    simulator::Faults faults;
    faults.no_identity_line = true;
    SetFaults(faults);
    Start();
    HoldAt(moment().point);
    const Deployment row = Deploy(kPort);
    AwaitHeld();
    return row;
  }
  // The board as it is in the hand, from then on without faults.
  std::unique_ptr<UsbDeviceModel> Unplug() {
    std::unique_ptr<UsbDeviceModel> board = bus_.Unplug(kPlace);
    BoardOf(*board).SetFaults({});
    return board;
  }
};

class PulledBoardTest : public HeldBoardTest {
 protected:
  // A deployment whose board has been pulled at the moment: `pulled_`.
  Deployment DeployUntilPulled() {
    const Deployment row = DeployUntilHeld();
    known_ = !Get(row.id).mac.empty();
    if (moment().is_later()) {
      simulator::Faults faults;
      faults.no_identity_line = true;
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
    pulled_ = Unplug();
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

// Until its hub has noticed, a pulled board is still there, and all that is tried with it fails.
class LateHubTest : public HeldBoardTest {};

TEST_P(LateHubTest, KeepsNoReturningBoardFromBeingFinished) {
  const Deployment row = DeployUntilHeld();
  bus_.CutOff(kPlace);
  Resume();
  EXPECT_TRUE(bus_.AwaitClaimed(kPlace, false)) << "the deployment has not noticed";
  Plug(family(), Unplug());
  ExpectSuccess(AwaitEnd(row.id));
}

INSTANTIATE_TEST_SUITE_P(Steps, LateHubTest,
                         ::testing::Combine(::testing::Values(kBridge, kJtag, kBlankOtg),
                                            ::testing::Values(kBeforeFlash, kBeforeBoot)),
                         NameOfBoth);

// A disturbance on the cable fails transfers as a pulled board does; the board never leaves.
class DisturbedBoardTest : public HeldBoardTest {};

TEST_P(DisturbedBoardTest, IsFinished) {
  const Deployment row = DeployUntilHeld();
  SetFaults({});
  bus_.Disturb(kPlace);
  Resume();
  ExpectSuccess(AwaitEnd(row.id));
}

INSTANTIATE_TEST_SUITE_P(Steps, DisturbedBoardTest,
                         ::testing::Combine(::testing::Values(kBridge, kJtag, kBlankOtg),
                                            ::testing::Values(kBeforeIdentify, kBeforeFlash,
                                                              kBeforeVerify, kBeforeBoot)),
                         NameOfBoth);
INSTANTIATE_TEST_SUITE_P(Program, DisturbedBoardTest,
                         ::testing::Combine(::testing::Values(kBridge, kJtag),
                                            ::testing::Values(kBeforeConfirm)),
                         NameOfBoth);

class SwappedBoardTest : public PulledBoardTest {
 protected:
  // Plugs board 2 in where board 1 has been pulled.
  void ExpectStopBySwap(const Deployment& row, const Family& other_family,
                        const simulator::Faults& faults) {
    std::unique_ptr<UsbDeviceModel> other = MakeBoard(other_family, 2);
    BoardOf(*other).SetFaults(faults);
    const uint64_t programmed = BoardOf(*other).statistics().programmed_bytes;
    Plug(other_family, std::move(other));
    const Deployment end = AwaitEnd(row.id);
    ASSERT_TRUE(known_);
    EXPECT_EQ(end.state, DeploymentState::kNeedsAttention) << end.error_detail;
    EXPECT_EQ(end.error_code, "BOARD_SWAPPED") << end.error_detail;
    EXPECT_EQ(end.mac, MacOf(1));
    WithBoard([programmed](SimulatedBoard& board) {
      EXPECT_EQ(board.statistics().programmed_bytes, programmed);
    });
  }
};

TEST_P(SwappedBoardTest, StopsTheDeploymentAndIsNotTouched) {
  const Deployment row = DeployUntilPulled();
  simulator::Faults faults;
  faults.identity_customer = "XYZ999";  // a product of somebody else's, where it is one
  ExpectStopBySwap(row, family(), faults);
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

// Where no report is required, another product that starts cleanly is no clean start of the
// deployment's board.
class SwappedBoardWithoutReportTest : public SwappedBoardTest {
 protected:
  SwappedBoardWithoutReportTest() {
    options_.confirm.serial = false;
    options_.confirm.clean_boot_window = absl::Milliseconds(300);
  }
};

TEST_P(SwappedBoardWithoutReportTest, StopsTheDeploymentWhereItIsSilent) {
  const Deployment row = DeployUntilPulled();
  simulator::Faults faults;
  faults.no_identity_line = true;
  ExpectStopBySwap(row, kOtg, faults);
}

TEST_P(SwappedBoardWithoutReportTest, StopsTheDeploymentWhereNobodyKnowsSerialNumbers) {
  usb_mac_ = nullptr;
  const Deployment row = DeployUntilPulled();
  simulator::Faults faults;
  faults.no_identity_line = true;
  ExpectStopBySwap(row, kOtg, faults);
}

TEST_P(SwappedBoardWithoutReportTest, StopsTheDeploymentWhereItReportsItselfUnasked) {
  const Deployment row = DeployUntilPulled();
  ExpectStopBySwap(row, kOtg, {});
}

INSTANTIATE_TEST_SUITE_P(Steps, SwappedBoardWithoutReportTest,
                         ::testing::Combine(::testing::Values(kBlankOtg),
                                            ::testing::Values(kBeforeConfirm)),
                         NameOfBoth);

}  // namespace
}  // namespace kiln::pipeline
