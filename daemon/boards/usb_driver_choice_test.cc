#include "daemon/boards/usb_driver_choice.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "errors/error.h"
#include "gtest/gtest.h"

namespace kiln::boards {
namespace {

using errors::ErrorCode;
using Use = UsbDriverChoice::Use;

constexpr auto kAuto = UsbDriverSetting::kAuto;
constexpr auto kUser = UsbDriverSetting::kUser;
constexpr auto kKernel = UsbDriverSetting::kKernel;

// How a file in /dev looks: usable, not there, or closed to us.
enum class File { kOpen, kMissing, kClosed };

absl::Status StatusOf(File file, const std::string& path) {
  if (file == File::kOpen) return absl::OkStatus();
  if (file == File::kMissing) return absl::NotFoundError(absl::StrCat("no ", path));
  return errors::MakeError(ErrorCode::kPortPermission, path);
}

std::string Say(const UsbDriverChoice& choice) {
  switch (choice.use) {
    case Use::kTerminal:
      return "terminal";
    case Use::kOwnDriver:
      return "own";
    case Use::kWait:
      return "wait";
    case Use::kNothing:
      return std::string(errors::Lookup(errors::CodeOf(choice.why)).name);
  }
  return "";
}

struct Case {
  const char* what;
  UsbDriverSetting setting;
  bool own_driver;
  bool libusb;
  bool terminal;
  File terminal_file;
  File bus_file;
  const char* settling;
  const char* settled;
};

TEST(UsbDriverChoiceTest, DecidesByWhatIsThere) {
  const Case cases[] = {
      {"desktop", kAuto, true, true, true, File::kOpen, File::kOpen, "terminal", "terminal"},
      {"desktop, own driver wanted", kUser, true, true, true, File::kOpen, File::kOpen, "own",
       "own"},
      {"no terminal (WSL)", kAuto, true, true, false, File::kMissing, File::kOpen, "wait", "own"},
      {"terminal without its file (container)", kAuto, true, true, true, File::kMissing,
       File::kOpen, "own", "own"},
      {"terminal closed to us", kAuto, true, true, true, File::kClosed, File::kOpen, "wait", "own"},
      {"both closed to us", kAuto, true, true, true, File::kClosed, File::kClosed, "wait",
       "PORT_PERMISSION"},
      {"no terminal, bus closed to us", kAuto, true, true, false, File::kMissing, File::kClosed,
       "wait", "PORT_PERMISSION"},
      {"container without /dev/bus/usb", kAuto, true, true, true, File::kMissing, File::kMissing,
       "wait", "PORT_FAILED"},
      {"no libusb, but a terminal", kAuto, true, false, true, File::kOpen, File::kOpen, "terminal",
       "terminal"},
      {"no libusb, no terminal", kAuto, true, false, false, File::kMissing, File::kOpen, "wait",
       "USB_UNAVAILABLE"},
      {"no libusb, own driver wanted", kUser, true, false, true, File::kOpen, File::kOpen,
       "USB_UNAVAILABLE", "USB_UNAVAILABLE"},
      {"kernel wanted", kKernel, true, true, true, File::kOpen, File::kOpen, "terminal",
       "terminal"},
      {"kernel wanted, not there", kKernel, true, true, false, File::kMissing, File::kOpen, "wait",
       "PORT_FAILED"},
      {"kernel wanted, closed to us", kKernel, true, true, true, File::kClosed, File::kOpen, "wait",
       "PORT_PERMISSION"},
      {"no own driver", kAuto, false, true, true, File::kOpen, File::kOpen, "terminal", "terminal"},
      {"no own driver, but wanted", kUser, false, true, true, File::kOpen, File::kOpen, "terminal",
       "terminal"},
      {"no own driver, no terminal", kAuto, false, true, false, File::kMissing, File::kOpen, "wait",
       "PORT_FAILED"},
      {"own driver wanted, bus closed to us", kUser, true, true, true, File::kOpen, File::kClosed,
       "wait", "PORT_PERMISSION"},
  };
  for (const Case& c : cases) {
    UsbDriverSituation situation;
    situation.setting = c.setting;
    situation.own_driver = c.own_driver;
    situation.libusb =
        c.libusb ? absl::OkStatus() : errors::MakeError(ErrorCode::kUsbUnavailable, "no libusb");
    situation.kernel_terminal = c.terminal;
    situation.terminal_access = StatusOf(c.terminal_file, "ttyUSB0");
    situation.bus_access = StatusOf(c.bus_file, "001/004");
    situation.settling = true;
    EXPECT_EQ(Say(ChooseUsbDriver(situation)), c.settling) << c.what << ", settling";
    situation.settling = false;
    const UsbDriverChoice choice = ChooseUsbDriver(situation);
    EXPECT_EQ(Say(choice), c.settled) << c.what;
    EXPECT_EQ(choice.reason.empty(), choice.use == Use::kNothing) << c.what;
  }
}

TEST(UsbDriverChoiceTest, TakesTheBetterDriverThatCanBeUsed) {
  struct BetterCase {
    const char* what;
    UsbDriverSetting setting;
    bool libusb;
    File bus_file;
    const char* chosen;
  };
  const BetterCase cases[] = {
      {"both can be used", kAuto, true, File::kOpen, "own"},
      {"the bus is closed to us", kAuto, true, File::kClosed, "terminal"},
      {"no bus file", kAuto, true, File::kMissing, "terminal"},
      {"no libusb", kAuto, false, File::kOpen, "terminal"},
      {"the kernel's is wanted", kKernel, true, File::kOpen, "terminal"},
  };
  for (const BetterCase& c : cases) {
    UsbDriverSituation situation;
    situation.setting = c.setting;
    situation.own_driver = situation.own_driver_better = true;
    situation.libusb =
        c.libusb ? absl::OkStatus() : errors::MakeError(ErrorCode::kUsbUnavailable, "no libusb");
    situation.kernel_terminal = true;
    situation.bus_access = StatusOf(c.bus_file, "001/004");
    EXPECT_EQ(Say(ChooseUsbDriver(situation)), c.chosen) << c.what;
    EXPECT_FALSE(ChooseUsbDriver(situation).reason.empty()) << c.what;
  }
}

}  // namespace
}  // namespace kiln::boards
