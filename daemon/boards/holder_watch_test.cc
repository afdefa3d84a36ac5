#include "daemon/boards/holder_watch.h"

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/fake_clock.h"
#include "daemon/boards/fake_usb_tree.h"
#include "errors/error.h"
#include "gtest/gtest.h"

namespace kiln::boards {
namespace {

class HolderWatchTest : public ::testing::Test {
 protected:
  HolderWatchTest() {
    FakeUsbTree::Write(first_, "");
    FakeUsbTree::Write(second_, "");
  }
  bool Held(const std::string& path) {
    const absl::Status status = watch_.Check(path, /*claimed=*/false, [] { return false; });
    return errors::Is(status, errors::ErrorCode::kPortBusy);
  }

  FakeUsbTree tree_;
  base::FakeClock clock_;
  HolderWatch watch_{tree_.proc(), clock_};
  const std::string first_ = tree_.dev() + "/ttyUSB0";
  const std::string second_ = tree_.dev() + "/ttyUSB1";
};

TEST_F(HolderWatchTest, LooksOftenWhileABoardIsNewAndSeldomLater) {
  watch_.Look({first_});
  tree_.AddProcess(5, "minicom", first_);
  clock_.Advance(absl::Seconds(1));
  watch_.Look({first_});
  EXPECT_FALSE(Held(first_)) << "two seconds are not over";
  clock_.Advance(absl::Seconds(1));
  watch_.Look({first_});
  EXPECT_TRUE(Held(first_));
  EXPECT_FALSE(Held(second_));

  tree_.EndProcess(5);
  clock_.Advance(absl::Minutes(2));
  watch_.Look({first_});
  EXPECT_FALSE(Held(first_));
  tree_.AddProcess(6, "minicom", first_);
  clock_.Advance(absl::Seconds(9));
  watch_.Look({first_});
  EXPECT_FALSE(Held(first_)) << "ten seconds are not over";
  clock_.Advance(absl::Seconds(1));
  watch_.Look({first_});
  EXPECT_TRUE(Held(first_));
}

TEST_F(HolderWatchTest, ANewBoardBringsTheNextLookForward) {
  watch_.Look({first_});
  clock_.Advance(absl::Minutes(2));
  watch_.Look({first_});
  watch_.Look({first_, second_});
  tree_.AddProcess(5, "ModemManager", second_);
  clock_.Advance(absl::Seconds(2));
  watch_.Look({first_, second_});
  EXPECT_TRUE(Held(second_));
}

TEST_F(HolderWatchTest, AClaimIsAnotherProgramsOnlyWhileThisOneHasNoFileOpen) {
  const auto open_file = [this] {
    std::filesystem::create_symlink(first_, tree_.root() / "proc/self/fd/9");
  };
  EXPECT_TRUE(
      errors::Is(watch_.Check(first_, true, [] { return true; }), errors::ErrorCode::kPortBusy));
  EXPECT_TRUE(watch_.Check(first_, true, [] { return false; }).ok()) << "it has just ended";
  const auto begins_anew = [&] {
    open_file();
    return true;
  };
  EXPECT_TRUE(watch_.Check(first_, true, begins_anew).ok());
  EXPECT_TRUE(watch_.Check(first_, true, [] { return true; }).ok());
}

}  // namespace
}  // namespace kiln::boards
