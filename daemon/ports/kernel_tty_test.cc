#include "daemon/ports/kernel_tty.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "daemon/ports/port_holder.h"
#include "daemon/ports/test_terminal.h"
#include "daemon/ports/usb_node_lock.h"
#include "daemon/ports/usb_sysfs.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::ports {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

void WriteFile(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << content;
}

// A sysfs with one USB device, in the folder of a test terminal.
class UsbSysfsTest : public ::testing::Test {
 protected:
  // As the kernel lays it out: ttyACM directly below its interface, ttyUSB
  // below a port of the same name.
  void AddTty(const std::string& tty, const std::string& vendor, const std::string& product,
              bool has_port) {
    const fs::path usb = root_ / "devices/pci0000:00/usb1/1-2/1-2.3";
    WriteFile(usb / "idVendor", vendor + "\n");
    WriteFile(usb / "idProduct", product + "\n");
    WriteFile(usb / "busnum", "1\n");
    WriteFile(usb / "devnum", "23\n");
    WriteFile(usb / "manufacturer", "Silicon Labs\n");
    WriteFile(usb / "product", "CP2102\x1b[31m UART\n");
    WriteFile(usb / "1-2.3:1.1/bInterfaceNumber", "01\n");
    const fs::path device = has_port ? usb / "1-2.3:1.1" / tty : usb / "1-2.3:1.1";
    fs::create_directories(device / "tty" / tty);
    fs::create_directories(root_ / "class/tty");
    fs::create_symlink(device, device / "tty" / tty / "device");
    fs::create_symlink(device / "tty" / tty, root_ / "class/tty" / tty);
  }

  TestTerminal terminal_;
  const fs::path root_ = fs::path(terminal_.folder()) / "sys";
};

TEST_F(UsbSysfsTest, FindsTheDeviceBehindEitherKindOfTty) {
  AddTty("ttyUSB0", "10c4", "ea60", true);
  AddTty("ttyACM0", "10c4", "ea60", false);
  for (const char* tty : {"ttyUSB0", "ttyACM0"}) {
    const std::optional<UsbDevice> device = UsbDeviceOfTty(tty, root_);
    ASSERT_TRUE(device.has_value()) << tty;
    EXPECT_EQ(device->vendor, 0x10c4);
    EXPECT_EQ(device->product, 0xea60);
    EXPECT_EQ(device->topology, "1-2.3");
    EXPECT_EQ(device->interface_number, 1);
    EXPECT_EQ(device->bus, 1);
    EXPECT_EQ(device->device_number, 23);
    EXPECT_EQ(device->manufacturer, "Silicon Labs");
    EXPECT_EQ(device->description, "CP2102?[31m UART") << "no control characters";
  }
}

TEST_F(UsbSysfsTest, NothingForOtherTtysAndDamagedEntries) {
  EXPECT_FALSE(UsbDeviceOfTty("ttyUSB0", root_).has_value());
  AddTty("ttyUSB0", "10c4x", "ea60", true);
  EXPECT_FALSE(UsbDeviceOfTty("ttyUSB0", root_).has_value());
  fs::create_directories(root_ / "devices/platform/serial8250/tty/ttyS0");
  fs::create_symlink(root_ / "devices/platform/serial8250/tty/ttyS0", root_ / "class/tty/ttyS0");
  EXPECT_FALSE(UsbDeviceOfTty("ttyS0", root_).has_value());
}

struct KindCase {
  const char* vendor;
  const char* product;
  LinkKind kind;
};

TEST_F(UsbSysfsTest, TraitsTellHowTheChipIsReached) {
  const std::string name = fs::path(terminal_.slave_path()).filename();
  for (const KindCase& test : {KindCase{"303a", "1001", LinkKind::kUsbSerialJtag},
                               KindCase{"303a", "0009", LinkKind::kUsbOtg},
                               KindCase{"10c4", "ea60", LinkKind::kUartBridge},
                               KindCase{"1a86", "1001", LinkKind::kUartBridge}}) {
    fs::remove_all(root_);
    AddTty(name, test.vendor, test.product, false);
    auto stream = KernelTtyOpener(terminal_.path(), root_).Open();
    ASSERT_TRUE(stream.ok()) << stream.status();
    EXPECT_EQ((*stream)->traits().kind, test.kind) << test.vendor << ":" << test.product;
  }
}

// The node of the adapter behind a test terminal, in a /dev of the test's own.
class UsbNodeLockTest : public UsbSysfsTest {
 protected:
  UsbNodeLockTest() {
    AddTty(fs::path(terminal_.slave_path()).filename(), "10c4", "ea60", true);
    WriteFile(node_, "");
  }

  base::UniqueFd OpenNode(int flags = O_RDWR) const {
    base::UniqueFd file(::open(node_.c_str(), flags | O_CLOEXEC));
    EXPECT_TRUE(file.valid());
    return file;
  }

  static bool Locks(const base::UniqueFd& node, uint8_t interface, UsbNodeUse use) {
    const auto locked = LockUsbNode(node.get(), interface, use);
    EXPECT_TRUE(locked.ok()) << locked.status();
    return locked.ok() && *locked;
  }

  const fs::path dev_ = fs::path(terminal_.folder()) / "dev";
  const fs::path node_ = dev_ / "bus/usb/001/023";
  KernelTtyOpener opener_{terminal_.path(), root_, dev_};
};

TEST_F(UsbNodeLockTest, AnOpenTerminalKeepsOwnDriversOffItsInterface) {
  const base::UniqueFd other = OpenNode();
  auto stream = opener_.Open();
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_FALSE(Locks(other, 1, UsbNodeUse::kOwnDriver));
  EXPECT_TRUE(Locks(other, 0, UsbNodeUse::kOwnDriver));
  stream->reset();
  EXPECT_TRUE(Locks(other, 1, UsbNodeUse::kOwnDriver));
}

TEST_F(UsbNodeLockTest, AnOwnDriverKeepsTheTerminalClosed) {
  const base::UniqueFd other = OpenNode();
  ASSERT_TRUE(Locks(other, 1, UsbNodeUse::kOwnDriver));
  const absl::Status opened = opener_.Open().status();
  EXPECT_TRUE(errors::Is(opened, errors::ErrorCode::kPortBusy)) << opened;
  EXPECT_THAT(std::string(opened.message()), HasSubstr(node_.string()));
}

TEST_F(UsbNodeLockTest, ATerminalOpensWithoutANodeAndBesideItsSiblings) {
  const base::UniqueFd sibling = OpenNode(O_RDONLY);
  ASSERT_TRUE(Locks(sibling, 1, UsbNodeUse::kTerminal));
  EXPECT_TRUE(opener_.Open().ok());
  fs::remove(node_);
  EXPECT_TRUE(opener_.Open().ok());
}

TEST_F(UsbNodeLockTest, ALockThatCannotBeHadIsAnErrorAndNoLicence) {
  const base::UniqueFd reading = OpenNode(O_RDONLY);
  const absl::Status locked = LockUsbNode(reading.get(), 1, UsbNodeUse::kOwnDriver).status();
  EXPECT_TRUE(errors::Is(locked, errors::ErrorCode::kPortFailed)) << locked;
}

TEST(KernelTtyTest, OrdinaryTtyIsAUartBridge) {
  TestTerminal terminal;
  KernelTtyOpener opener(terminal.path(), "/nonexistent");
  auto stream = opener.Open();
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_EQ((*stream)->traits().kind, LinkKind::kUartBridge);
  EXPECT_EQ(opener.address(), terminal.path());
}

TEST(KernelTtyTest, SetLinesCanBeTheFirstToSeeTheUnplug) {
  TestTerminal terminal;
  auto stream = KernelTtyOpener(terminal.path(), "/nonexistent").Open();
  ASSERT_TRUE(stream.ok()) << stream.status();
  terminal.Unplug();
  const absl::Status first = (*stream)->SetLines(true, false);
  EXPECT_TRUE(errors::Is(first, errors::ErrorCode::kBoardUnplugged)) << first;
  EXPECT_EQ((*stream)->Write(std::vector<uint8_t>{1}, absl::ZeroDuration()), first);
}

TEST(PortHolderTest, NamesTheProcessThatHasTheDeviceOpen) {
  TestTerminal terminal;
  const fs::path proc = fs::path(terminal.folder()) / "proc";
  WriteFile(proc / "77/comm", "idle\n");
  fs::create_directories(proc / "77/fd");
  fs::create_symlink("/dev/null", proc / "77/fd/0");
  EXPECT_EQ(FindHolder(terminal.path(), proc), "");
  WriteFile(proc / "78/comm",
            "mini\x07"
            "com\n");
  fs::create_directories(proc / "78/fd");
  fs::create_symlink(terminal.slave_path(), proc / "78/fd/3");
  WriteFile(proc / "version", "no process\n");
  EXPECT_EQ(FindHolder(terminal.path(), proc), "mini?com (pid 78)");
  EXPECT_EQ(FindHolder("/nonexistent", proc), "");
  EXPECT_EQ(FindHolder(terminal.path(), "/nonexistent"), "");
}

TEST(PortHolderTest, TellsWhoUsesADeviceOrWhoIsLikelyTo) {
  TestTerminal terminal;
  const fs::path proc = fs::path(terminal.folder()) / "proc";
  WriteFile(proc / "77/comm", "idle\n");
  EXPECT_EQ(DescribeUse("/dev/ttyUSB0", "", proc), "/dev/ttyUSB0 is in use");
  EXPECT_EQ(DescribeUse("/dev/ttyUSB0", "screen (pid 5)", proc),
            "/dev/ttyUSB0 is held by screen (pid 5)");
  WriteFile(proc / "78/comm", "ModemManager\n");  // of another user: there are no files to be seen
  EXPECT_EQ(
      DescribeUse("/dev/ttyUSB0", "", proc),
      "/dev/ttyUSB0 is in use, perhaps by ModemManager (pid 78), which tries out new adapters; "
      "Kiln's udev rules keep it away");
  EXPECT_EQ(
      DescribeUse("/dev/ttyUSB0", "brltty (pid 9)", proc),
      "/dev/ttyUSB0 is held by brltty (pid 9), which tries out new adapters; Kiln's udev rules "
      "keep it away");
  EXPECT_EQ(DescribeUse("/dev/ttyUSB0", "screen (pid 5)", proc),
            "/dev/ttyUSB0 is held by screen (pid 5)");
}

// In a child process with mounts of its own, as a container has: opens /dev/null where it bears the
// name of `path`, says so over `ready`, and keeps it open until `end` closes.
[[noreturn]] void HoldNamesake(const char* path, int ready, int end) {
  const int own_mounts = ::geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS;
  if (::unshare(own_mounts) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("/dev/null", path, nullptr, MS_BIND, nullptr) != 0 || ::open(path, O_RDWR) < 0) {
    ::_exit(1);
  }
  char byte = 0;
  if (::write(ready, &byte, 1) != 1 || ::read(end, &byte, 1) != 0) ::_exit(2);
  ::_exit(0);
}

TEST(PortHolderTest, AContainersFileOfTheSameNameHoldsNothing) {
  TestTerminal terminal;
  int ready[2];
  int end[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(end, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::close(end[1]);
    HoldNamesake(terminal.slave_path().c_str(), ready[1], end[0]);
  }
  ::close(ready[1]);
  ::close(end[0]);
  char byte = 0;
  const bool holds = ::read(ready[0], &byte, 1) == 1;
  const std::string holder = FindHolder(terminal.path());
  ::close(end[1]);
  ::close(ready[0]);
  int result = 0;
  ASSERT_EQ(::waitpid(child, &result, 0), child);
  if (!holds) GTEST_SKIP() << "this system gives its processes no mounts of their own";
  EXPECT_EQ(result, 0);
  EXPECT_EQ(holder, "");
}

}  // namespace
}  // namespace kiln::ports
