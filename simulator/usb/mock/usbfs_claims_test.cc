// Who may have a device on the mocked bus, as the real libusb is told: the kernel's driver, one
// program, another.
#include <libusb-1.0/libusb.h>

#include <filesystem>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "simulator/usb/mock/mocked_usb_bus.h"
#include "simulator/usb/mock/mocked_usb_bus_fixture.h"

namespace kiln::simulator {
namespace {

class UsbfsClaimsTest : public MockedUsbBusTest {};

TEST_F(UsbfsClaimsTest, KernelsDriverMustLetGoFirst) {
  bus_.Plug("1-1", Cp2102(), {.kernel_driver = "cp210x"});
  ASSERT_TRUE(usb_.AwaitCounts(1, 0));
  libusb_device_handle* const handle = usb_.Open("1-1");
  ASSERT_NE(handle, nullptr);
  EXPECT_EQ(libusb_kernel_driver_active(handle, 0), 1);
  EXPECT_EQ(libusb_claim_interface(handle, 0), LIBUSB_ERROR_BUSY);

  libusb_set_auto_detach_kernel_driver(handle, 1);
  EXPECT_EQ(libusb_claim_interface(handle, 0), 0);
  EXPECT_FALSE(bus_.KernelDriverBound("1-1"));
  EXPECT_TRUE(bus_.Claimed("1-1"));
  EXPECT_EQ(libusb_release_interface(handle, 0), 0);
  EXPECT_TRUE(bus_.KernelDriverBound("1-1"));
  libusb_close(handle);
}

TEST_F(UsbfsClaimsTest, TerminalComesAndGoesWithTheKernelsDriver) {
  const std::filesystem::path device = "/sys/class/tty/ttyUSB0/device";
  const auto await = [&](bool there) {
    const absl::Time end = absl::Now() + kDeadline;
    while (std::filesystem::exists(device) != there) {
      if (absl::Now() > end) return false;
      absl::SleepFor(absl::Milliseconds(1));
    }
    return true;
  };
  bus_.Plug("1-1", Cp2102(), {.kernel_driver = "cp210x", .tty = "ttyUSB0"});
  ASSERT_TRUE(usb_.AwaitCounts(1, 0));
  EXPECT_EQ(std::filesystem::canonical(device).parent_path().filename(), "1-1:1.0");
  libusb_device_handle* const handle = usb_.Open("1-1");
  ASSERT_NE(handle, nullptr);
  libusb_set_auto_detach_kernel_driver(handle, 1);

  EXPECT_EQ(libusb_claim_interface(handle, 0), 0);
  EXPECT_TRUE(await(false));
  EXPECT_EQ(libusb_release_interface(handle, 0), 0);
  EXPECT_TRUE(await(true));

  libusb_close(handle);
  bus_.Unplug("1-1");
  EXPECT_TRUE(await(false));
}

TEST_F(UsbfsClaimsTest, SecondClaimIsBusyUntilTheFirstIsClosed) {
  bus_.Plug("1-1", Cp2102());
  ASSERT_TRUE(usb_.AwaitCounts(1, 0));
  libusb_device_handle* const first = OpenAndClaim("1-1");
  libusb_device_handle* const second = usb_.Open("1-1");
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(libusb_claim_interface(second, 0), LIBUSB_ERROR_BUSY);
  libusb_close(first);
  ASSERT_TRUE(bus_.AwaitClaimed("1-1", false));
  EXPECT_EQ(libusb_claim_interface(second, 0), 0);
  EXPECT_TRUE(bus_.Claimed("1-1"));
  libusb_close(second);
}

TEST_F(UsbfsClaimsTest, OtherProgramHoldsIt) {
  bus_.Plug("1-1", Cp2102(), {.faults = {.claimed_by_other = true}});
  ASSERT_TRUE(usb_.AwaitCounts(1, 0));
  libusb_device_handle* const handle = usb_.Open("1-1");
  ASSERT_NE(handle, nullptr);
  libusb_set_auto_detach_kernel_driver(handle, 1);
  EXPECT_EQ(libusb_claim_interface(handle, 0), LIBUSB_ERROR_BUSY);
  bus_.SetFaults("1-1", {});
  EXPECT_EQ(libusb_claim_interface(handle, 0), 0);
  libusb_close(handle);
}

TEST_F(UsbfsClaimsTest, RefusesToOpenWithoutPermission) {
  bus_.Plug("1-1", Cp2102(), {.faults = {.permission_denied = true}});
  ASSERT_TRUE(usb_.AwaitCounts(1, 0));
  int error = 0;
  EXPECT_EQ(usb_.Open("1-1", &error), nullptr);
  EXPECT_EQ(error, LIBUSB_ERROR_ACCESS);
  bus_.SetFaults("1-1", {});
  libusb_device_handle* const handle = usb_.Open("1-1", &error);
  ASSERT_NE(handle, nullptr) << libusb_error_name(error);
  libusb_close(handle);
}

TEST_F(UsbfsClaimsTest, ClaimingTooEarlyFailsAsOnRealKernels) {
  bus_.Plug("1-1", Cp2102(), {.faults = {.claim_race = absl::Hours(1)}});
  ASSERT_TRUE(usb_.AwaitCounts(1, 0));
  libusb_device_handle* const handle = usb_.Open("1-1");
  ASSERT_NE(handle, nullptr);
  libusb_set_auto_detach_kernel_driver(handle, 1);
  EXPECT_EQ(libusb_claim_interface(handle, 0), LIBUSB_ERROR_INVALID_PARAM);
  bus_.SetFaults("1-1", {});
  EXPECT_EQ(libusb_claim_interface(handle, 0), 0);
  libusb_close(handle);
}

}  // namespace
}  // namespace kiln::simulator
