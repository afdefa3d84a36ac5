#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "daemon/boards/create_registry.h"
#include "daemon/boards/fake_usb_tree.h"
#include "daemon/boards/usb_scan.h"
#include "daemon/pipeline/pipeline_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {
namespace {

using storage::Deployment;
using storage::DeploymentState;
using ::testing::SizeIs;

// An ESP32-S3's own USB: the loader's product id, and one of a program's choice.
constexpr char kLoader[] = "0009";
constexpr char kProgram[] = "4001";

// What a terminal leads to: the board that is at the place now.
class TerminalOfBoard final : public ports::StreamOpener {
 public:
  explicit TerminalOfBoard(simulator::SimulatedOpener& board) : board_(board) {}
  absl::StatusOr<std::unique_ptr<ports::ByteStream>> Open() override { return board_.Open(); }
  std::string address() const override { return board_.address(); }
  bool Present() override { return board_.Present(); }

 private:
  simulator::SimulatedOpener& board_;
};

// Deployments to boards on a USB bus that sysfs shows: the registry and its USB source are the
// station's own, the bus is a folder, the boards behind it are simulated.
class UsbStationFixture : public PipelineFixture {
 protected:
  UsbStationFixture() {
    boards::UsbDrivers drivers;
    drivers.sysfs_root = tree_.sysfs();
    drivers.dev_root = tree_.dev();
    drivers.proc_root = tree_.proc();
    drivers.libusb = absl::UnavailableError("none here");
    drivers.terminal = [this](const std::string& path) {
      absl::MutexLock lock(&terminals_mutex_);
      return std::make_unique<TerminalOfBoard>(BoardAt(terminals_.at(path)));
    };
    std::vector<std::unique_ptr<boards::PortSource>> sources;
    sources.push_back(boards::MakeUsbScan({}, std::move(drivers), clock_));
    usb_registry_ = boards::CreateRegistry(std::move(sources), base::SystemClock());
    known_boards_ = usb_registry_.get();
  }
  ~UsbStationFixture() override {
    Resume();
    usb_registry_->Stop();
    StopStation();
  }

  // With what is plugged in by now.
  void StartUsbStation() {
    StartStation();
    usb_registry_->SetObserver(
        [this](const boards::BoardInfo& board) { scheduler_->OnBoardChange(board); });
    usb_registry_->ScanNow();
    EXPECT_TRUE(usb_registry_->Start().ok());
  }
  // The simulated board `name` appears at `topology`, as `adapter` with one terminal.
  void Enumerate(const std::string& name, const std::string& topology,
                 const boards::FakeUsbTree::Adapter& adapter) {
    {
      absl::MutexLock lock(&terminals_mutex_);
      terminals_[absl::StrCat(tree_.dev(), "/", adapter.interfaces[0].tty)] = name;
    }
    tree_.Plug(topology, adapter);
  }

  boards::FakeUsbTree tree_;
  std::unique_ptr<boards::Registry> usb_registry_;

 private:
  absl::Mutex terminals_mutex_;
  std::map<std::string, std::string> terminals_ ABSL_GUARDED_BY(terminals_mutex_);
};

// One board, whose own USB leaves the bus at each point of a deployment.
class UsbReplugTest : public UsbStationFixture, public ::testing::WithParamInterface<const char*> {
 protected:
  UsbReplugTest() {
    PlugBoard("board", 1);
    Enumerate(kLoader, "ttyACM0");
    StartUsbStation();
  }

  // The board appears on the bus under a product id and a terminal.
  void Enumerate(const std::string& product, const std::string& tty) {
    boards::FakeUsbTree::Adapter adapter;
    adapter.vendor = "303a";
    adapter.product = product;
    adapter.interfaces[0] = {.class_code = "02", .subclass = "02", .driver = "cdc_acm", .tty = tty};
    UsbStationFixture::Enumerate("board", "1-2.3", adapter);
  }
  // A deployment that has come to the parameter's point, whose board then falls off the bus.
  Deployment UnplugAtPoint() {
    HoldAt(GetParam());
    const Deployment row = Deploy("usb-1-2.3");
    AwaitHeld();
    BoardAt("board").Unplug();
    tree_.Unplug("1-2.3");
    usb_registry_->Wake();
    return row;
  }
};

TEST_P(UsbReplugTest, GoesOnWhenTheSameBoardComesBackAsAnotherProduct) {
  const Deployment row = UnplugAtPoint();
  Resume();
  BoardAt("board").Replug();
  Enumerate(kProgram, "ttyACM7");
  usb_registry_->Wake();
  const Deployment end = AwaitEnd(row.id);
  EXPECT_EQ(end.state, DeploymentState::kSucceeded) << end.error_code << ": " << end.error_detail;
  EXPECT_EQ(end.attempt, 1);
  EXPECT_EQ(end.mac, MacOf(1));
  EXPECT_EQ(end.port, "usb-1-2.3");
  EXPECT_EQ(usb_registry_->Get("usb-1-2.3")->usb->product, 0x4001);
  EXPECT_THAT(Records(), SizeIs(1));
}

TEST_P(UsbReplugTest, StopsWhenAnotherBoardComesAtThePlace) {
  const Deployment row = UnplugAtPoint();
  const bool known = !Get(row.id).mac.empty();
  simulator::BoardConfig other;
  other.chip = esp::Chip::kEsp32C3;
  other.mac = {0x7C, 0xDF, 0xA1, 0x00, 0x00, 2};
  BoardAt("board").ReplaceBoard(other);
  Enumerate(kProgram, "ttyACM7");
  usb_registry_->Wake();
  Resume();
  const Deployment end = AwaitEnd(row.id);
  if (!known) {
    // Nobody knew yet which board it would be.
    EXPECT_EQ(end.state, DeploymentState::kSucceeded) << end.error_detail;
    EXPECT_EQ(end.mac, MacOf(2));
    return;
  }
  EXPECT_EQ(end.state, DeploymentState::kNeedsAttention) << end.error_detail;
  EXPECT_EQ(end.error_code, "BOARD_SWAPPED");
  EXPECT_EQ(end.mac, MacOf(1));
  EXPECT_EQ(BoardAt("board").statistics().programmed_bytes, 0u);
}

INSTANTIATE_TEST_SUITE_P(Points, UsbReplugTest,
                         ::testing::Values("connect:enter", "identify:enter", "flash:enter",
                                           "flash:half", "verify:enter", "boot:enter",
                                           "confirm:enter"));

TEST_F(UsbStationFixture, NoJobCrossesOverWhenAHubWith32BoardsIsReset) {
  constexpr int kBoards = 32;
  const auto name = [](int board) { return absl::StrCat("board-", board); };
  const auto topology = [](int board) { return absl::StrCat("1-2.", board); };
  const auto terminal = [](int number) { return absl::StrCat("ttyUSB", number); };
  for (int board = 1; board <= kBoards; ++board) {
    PlugBoard(name(board), static_cast<uint8_t>(board));
    Enumerate(name(board), topology(board), boards::FakeUsbTree::Cp2102(terminal(board)));
  }
  // A busy machine serves so many threads late, on a clock that is ten times as fast.
  options_.timeouts.connect = absl::Minutes(5);
  options_.timeouts.identify = absl::Minutes(5);
  options_.timeouts.confirm = absl::Minutes(5);
  options_.timeouts.boot = absl::Minutes(5);
  options_.replug_window = absl::Minutes(5);
  StartUsbStation();
  HoldAt("flash:half");
  std::vector<Deployment> rows;
  for (int board = 1; board <= kBoards; ++board) {
    rows.push_back(Deploy(absl::StrCat("usb-", topology(board))));
  }
  for (const Deployment& row : rows) AwaitStep(row.id, v1::STEP_FLASH);

  for (int board = 1; board <= kBoards; ++board) {
    BoardAt(name(board)).Unplug();
    tree_.Unplug(topology(board));
  }
  usb_registry_->ScanNow();
  Resume();
  // They come back in the opposite order, and the kernel gives each the terminal of another.
  for (int board = kBoards; board >= 1; --board) {
    BoardAt(name(board)).Replug();
    Enumerate(name(board), topology(board),
              boards::FakeUsbTree::Cp2102(terminal(board % kBoards + 1)));
  }
  usb_registry_->Wake();

  for (int board = 1; board <= kBoards; ++board) {
    const Deployment end = AwaitEnd(rows[static_cast<size_t>(board - 1)].id);
    EXPECT_EQ(end.state, DeploymentState::kSucceeded) << end.error_code << ": " << end.error_detail;
    EXPECT_EQ(end.attempt, 1);
    EXPECT_EQ(end.mac, MacOf(static_cast<uint8_t>(board)));
    EXPECT_EQ(end.port, absl::StrCat("usb-", topology(board)));
  }
  EXPECT_THAT(Records(), SizeIs(kBoards));
}

}  // namespace
}  // namespace kiln::pipeline
