#include "daemon/boards/configured_ports.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/fake_clock.h"
#include "base/unique_fd.h"
#include "daemon/boards/eventful_clock.h"
#include "daemon/boards/port_access.h"
#include "daemon/boards/settle_time.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::boards {
namespace {

namespace fs = std::filesystem;
using errors::ErrorCode;
using ::testing::HasSubstr;

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kiln-ports-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(ConfiguredPortsTest, SeesABoardComeGoAndComeAgain) {
  Folder folder;
  const std::string path = folder.path() + "/board";
  base::UniqueFd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_EQ(::unlockpt(master.get()), 0);
  char slave[64];
  ASSERT_EQ(::ptsname_r(master.get(), slave, sizeof(slave)), 0);
  base::FakeClock clock;
  auto source =
      MakeConfiguredPorts({{.name = "bench-1", .alias = "A1", .address = "pty://" + path}}, clock)
          .value();

  std::vector<FoundPort> found = source->Scan();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].name, "bench-1");
  EXPECT_EQ(found[0].alias, "A1");
  EXPECT_EQ(found[0].address, "pty://" + path);
  EXPECT_FALSE(found[0].present);

  ASSERT_EQ(::symlink(slave, path.c_str()), 0);
  found = source->Scan();
  EXPECT_TRUE(found[0].present);
  EXPECT_TRUE(found[0].usable.ok()) << found[0].usable;
  EXPECT_EQ(found[0].device, slave);
  const std::string instance = found[0].instance;

  ASSERT_EQ(::unlink(path.c_str()), 0);
  ASSERT_EQ(::symlink(slave, path.c_str()), 0);
  found = source->Scan();
  EXPECT_TRUE(found[0].present);
  EXPECT_NE(found[0].instance, instance) << "it was gone in between";
}

TEST(ConfiguredPortsTest, SocketsAreAlwaysThereAndNamesWithoutAddressNever) {
  base::FakeClock clock;
  auto source = MakeConfiguredPorts({{.name = "emulator", .address = "socket://localhost:5555"},
                                     {.name = "usb-1-2.3", .alias = "A1"}},
                                    clock)
                    .value();
  const std::vector<FoundPort> found = source->Scan();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_TRUE(found[0].present);
  EXPECT_FALSE(found[1].present);
  EXPECT_EQ(found[1].opener, nullptr);
}

TEST(ConfiguredPortsTest, AnEmptyPortSaysWhereItAwaitsABoardOfTheBus) {
  Folder folder;
  const std::string path = folder.path() + "/usb-Silicon_Labs_CP2102N-if00-port0";
  base::FakeClock clock;
  auto source = MakeConfiguredPorts({{.name = "bench-1", .address = path},
                                     {.name = "simulated", .address = "pty://" + path + "2"},
                                     {.name = "emulator", .address = "socket://localhost:5555"}},
                                    clock)
                    .value();
  ASSERT_EQ(::symlink("gone", path.c_str()), 0) << "a link that leads nowhere";
  std::vector<FoundPort> found = source->Scan();
  EXPECT_FALSE(found[0].present);
  EXPECT_EQ(found[0].awaited, path);
  EXPECT_EQ(found[1].awaited, "") << "a pseudo-terminal is not on the bus";
  EXPECT_EQ(found[2].awaited, "");
  ASSERT_EQ(::unlink(path.c_str()), 0);
  ASSERT_EQ(::symlink("/dev/null", path.c_str()), 0);
  found = source->Scan();
  EXPECT_TRUE(found[0].present);
  EXPECT_EQ(found[0].awaited, "");
}

// A terminal of the kernel, which a pseudo-terminal stands for, that udev has yet to open to us.
class SettlingTerminalTest : public ::testing::Test {
 protected:
  SettlingTerminalTest() {
    EXPECT_EQ(::unlockpt(master_.get()), 0);
    char terminal[64];
    EXPECT_EQ(::ptsname_r(master_.get(), terminal, sizeof(terminal)), 0);
    const fs::path sysfs = fs::path(folder_.path()) / "sys";
    const fs::path device = sysfs / "class/tty" / fs::path(terminal).filename() / "device";
    fs::create_directories(device);
    std::ofstream(device / "idVendor") << "10c4\n";
    std::ofstream(device / "idProduct") << "ea60\n";
    TerminalSystem system;
    system.check_access = [this](const std::string& path) {
      return open_ ? absl::OkStatus()
                   : errors::MakeError(ErrorCode::kPortPermission, "may not open " + path);
    };
    system.sysfs_root = sysfs.string();
    source_ =
        MakeConfiguredPorts({{.name = "bench-1", .address = terminal}}, clock_, system).value();
  }
  FoundPort Port() { return source_->Scan()[0]; }

  Folder folder_;
  base::UniqueFd master_{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
  EventfulClock clock_;
  bool open_ = false;
  std::unique_ptr<PortSource> source_;
};

TEST_F(SettlingTerminalTest, LatePermissionsDoNotMakeANewBoardUnusable) {
  EXPECT_TRUE(Port().usable.ok());
  clock_.Sleep(kUsbSettleTime - absl::Milliseconds(1));
  EXPECT_TRUE(Port().usable.ok());
  clock_.Sleep(absl::Milliseconds(1));
  const absl::Status usable = Port().usable;
  EXPECT_TRUE(errors::Is(usable, ErrorCode::kPortPermission)) << usable;
  EXPECT_THAT(std::string(usable.message()), HasSubstr("90-kiln.rules"));
  EXPECT_THAT(std::string(usable.message()), HasSubstr("ATTRS{idProduct}==\"ea60\""));
  open_ = true;
  EXPECT_TRUE(Port().usable.ok());
}

TEST_F(SettlingTerminalTest, WhoeverOpensABoardThatHasJustComeWaitsForItsPermissions) {
  const FoundPort port = Port();
  int sleeps = 0;
  clock_.on_sleep = [&] { open_ = ++sleeps == 3; };
  const auto stream = port.opener->Open();
  EXPECT_TRUE(stream.ok()) << stream.status();
  EXPECT_EQ(sleeps, 3);
}

TEST_F(SettlingTerminalTest, WhoeverOpensABoardIsToldOnceItHasSettled) {
  const FoundPort port = Port();
  const absl::Duration start = clock_.Monotonic();
  const absl::Status status = port.opener->Open().status();
  EXPECT_TRUE(errors::Is(status, ErrorCode::kPortPermission)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("90-kiln.rules"));
  EXPECT_EQ(clock_.Monotonic() - start, kUsbSettleTime);
  EXPECT_FALSE(Port().opener->Open().ok());
  EXPECT_EQ(clock_.Monotonic() - start, kUsbSettleTime) << "it had its time";
}

struct BadCase {
  std::vector<PortConfig> configs;
  std::string why;
};

TEST(ConfiguredPortsTest, SaysWhichPortIsWrongAndWhy) {
  const std::string address = "/dev/ttyUSB0";
  base::FakeClock clock;
  for (const BadCase& test : {
           BadCase{{{"", "", address}}, "a name has"},
           BadCase{{{"พอร์ต", "", address}}, "a name has"},
           BadCase{{{"a/b", "", address}}, "a name has"},
           BadCase{{{"-a", "", address}}, "a name has"},
           BadCase{{{std::string(65, 'a'), "", address}}, "a name has"},
           BadCase{{{"a", "b c", address}}, "port \"a\": an alias has"},
           BadCase{{{"a", "", "COM3"}}, "port \"a\": address \"COM3\""},
           BadCase{{{"a", "", address}, {"a", "", "/dev/ttyUSB1"}}, "this name is used twice"},
           BadCase{{{"a", "a", address}}, "alias \"a\" is used twice"},
           BadCase{{{"a", "x", address}, {"b", "x", "/dev/ttyUSB1"}}, "port \"b\": the alias"},
           BadCase{{{"a", "", address}, {"b", "", address}}, "same address"},
       }) {
    const absl::Status status = MakeConfiguredPorts(test.configs, clock).status();
    EXPECT_TRUE(errors::Is(status, ErrorCode::kRequestInvalid)) << test.why << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(test.why));
  }
}

TEST(PortAccessTest, TellsWhatThisUserMayNotOpen) {
  Folder folder;
  const std::string path = folder.path() + "/device";
  base::UniqueFd file(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  ASSERT_TRUE(file.valid());
  EXPECT_TRUE(CheckAccess("").ok());
  EXPECT_TRUE(CheckAccess(path).ok());
  EXPECT_TRUE(CheckAccess(folder.path() + "/gone").ok());
  if (::geteuid() == 0) GTEST_SKIP() << "root may open anything";
  ASSERT_EQ(::fchmod(file.get(), 0400), 0);
  EXPECT_TRUE(errors::Is(CheckAccess(path), ErrorCode::kPortPermission));
}

}  // namespace
}  // namespace kiln::boards
