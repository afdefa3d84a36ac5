#include "daemon/boards/tty_scan.h"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::boards {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class TtyScanTest : public ::testing::Test {
 protected:
  TtyScanTest() {
    std::string pattern = (fs::temp_directory_path() / "kiln-scan-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    fs::create_directories(root_ / "dev");
    fs::create_directories(root_ / "sys/class/tty");
  }
  ~TtyScanTest() override { fs::remove_all(root_); }

  static void WriteFile(const fs::path& path, const std::string& content) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << content << "\n";
  }

  // Plugs in an adapter with a terminal, as sysfs and /dev show it.
  void Plug(const std::string& tty, const std::string& topology, const std::string& vendor,
            const std::string& interface_number = "00") {
    const fs::path usb = root_ / "sys/devices/usb1" / topology;
    const fs::path interface = usb / absl::StrCat(topology, ":1.", interface_number);
    WriteFile(usb / "idVendor", vendor);
    WriteFile(usb / "idProduct", "6010");
    WriteFile(usb / "product", "Dual UART");
    WriteFile(interface / "bInterfaceNumber", interface_number);
    fs::create_directories(interface / "tty" / tty);
    fs::create_symlink(interface, interface / "tty" / tty / "device");
    fs::create_symlink(interface / "tty" / tty, root_ / "sys/class/tty" / tty);
    // Any character device will do: nothing opens it.
    fs::create_symlink("/dev/null", root_ / "dev" / tty);
  }
  void Unplug(const std::string& tty) {
    fs::remove(root_ / "dev" / tty);
    fs::remove(root_ / "sys/class/tty" / tty);
  }

  std::vector<std::string> Scan() {
    std::vector<std::string> lines;
    for (const FoundPort& port : source()->Scan()) {
      lines.push_back(absl::StrCat(port.name, " ", fs::path(port.address).filename().string(),
                                   port.present ? "" : " absent"));
    }
    return lines;
  }
  std::unique_ptr<PortSource> source() {
    return MakeTtyScan((root_ / "dev").string(), (root_ / "sys").string());
  }

  fs::path root_;
};

TEST_F(TtyScanTest, NamesBoardsByTheirPlaceOnTheBus) {
  Plug("ttyUSB1", "1-2.3", "10c4");
  Plug("ttyUSB0", "1-4", "1a86");
  Plug("ttyACM0", "2-1", "303a");
  EXPECT_THAT(Scan(), ElementsAre("usb-1-2.3 ttyUSB1", "usb-1-4 ttyUSB0", "usb-2-1 ttyACM0"));
  EXPECT_EQ(source()->Scan()[0].adapter, "Dual UART (10c4:6010)");
  EXPECT_TRUE(source()->Scan()[0].usable.ok());
}

TEST_F(TtyScanTest, NameStaysWhenTheKernelsNameChanges) {
  Plug("ttyUSB0", "1-2.3", "0403");
  Unplug("ttyUSB0");
  EXPECT_THAT(Scan(), IsEmpty());
  Plug("ttyUSB5", "1-2.3", "0403");
  EXPECT_THAT(Scan(), ElementsAre("usb-1-2.3 ttyUSB5"));
}

TEST_F(TtyScanTest, TellsTheTerminalsOfOneAdapterApart) {
  Plug("ttyUSB1", "1-2", "0403", "01");
  Plug("ttyUSB0", "1-2", "0403", "00");
  EXPECT_THAT(Scan(), ElementsAre("usb-1-2 ttyUSB0", "usb-1-2-if1 ttyUSB1"));
}

TEST_F(TtyScanTest, OnlyTerminalHasThePlainNameWhateverItsInterface) {
  Plug("ttyACM0", "1-2", "303a", "02");
  EXPECT_THAT(Scan(), ElementsAre("usb-1-2 ttyACM0"));
}

TEST_F(TtyScanTest, LeavesForeignDevicesAlone) {
  Plug("ttyACM0", "1-2", "2341");  // some other maker's board
  Plug("ttyS0", "1-3", "10c4");
  fs::create_symlink("/dev/null", root_ / "dev/ttyUSB9");  // nothing in sysfs
  EXPECT_THAT(Scan(), IsEmpty());
}

TEST_F(TtyScanTest, NoFoldersNoBoards) {
  fs::remove_all(root_ / "dev");
  EXPECT_THAT(Scan(), IsEmpty());
}

}  // namespace
}  // namespace kiln::boards
