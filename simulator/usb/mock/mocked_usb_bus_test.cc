// The mocked bus seen by the real libusb: what a program finds, what it is told, and what it gets
// when it does something wrong or the device goes away.
#include "simulator/usb/mock/mocked_usb_bus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libusb-1.0/libusb.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "simulator/demo_image.h"
#include "simulator/usb/cdc_acm_model.h"
#include "simulator/usb/ch340_model.h"
#include "simulator/usb/cp210x_model.h"
#include "simulator/usb/ftdi_model.h"
#include "simulator/usb/native_usb_models.h"
#include "simulator/usb/serial_peer.h"

namespace kiln::simulator {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr absl::Duration kDeadline = absl::Seconds(30);
constexpr unsigned int kTransferTimeout = 20'000;  // milliseconds

std::unique_ptr<SerialPeer> Loopback() { return std::make_unique<LoopbackPeer>(); }

std::unique_ptr<UsbDeviceModel> Cp2102() {
  return std::make_unique<Cp210xModel>(Cp210xModel::Part::kCp2102, Loopback());
}

// libusb with a thread for its events; counts who comes and goes.
class LibUsb {
 public:
  LibUsb() {
    EXPECT_EQ(libusb_init(&context_), 0);
    constexpr int kBoth = LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED | LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT;
    EXPECT_EQ(libusb_hotplug_register_callback(context_, static_cast<libusb_hotplug_event>(kBoth),
                                               static_cast<libusb_hotplug_flag>(0),
                                               LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY,
                                               LIBUSB_HOTPLUG_MATCH_ANY, OnHotplug, this, nullptr),
              0);
    thread_ = std::thread([this] {
      while (!stop_) {
        timeval wait = {.tv_sec = 60, .tv_usec = 0};
        libusb_handle_events_timeout_completed(context_, &wait, nullptr);
      }
    });
  }
  ~LibUsb() {
    stop_ = true;
    libusb_interrupt_event_handler(context_);
    thread_.join();
    libusb_exit(context_);
  }

  bool AwaitCounts(int arrived, int left) {
    absl::MutexLock lock(&mutex_);
    const auto reached = [&] {
      mutex_.AssertReaderHeld();
      return arrived_ >= arrived && left_ >= left;
    };
    return mutex_.AwaitWithTimeout(absl::Condition(&reached), kDeadline);
  }

  // The device at a place ("1-2.3"), open; null with `error` set otherwise.
  libusb_device_handle* Open(const std::string& place, int* error = nullptr) {
    libusb_device** list = nullptr;
    const ssize_t count = libusb_get_device_list(context_, &list);
    libusb_device_handle* handle = nullptr;
    int result = LIBUSB_ERROR_NO_DEVICE;
    for (ssize_t i = 0; i < count; ++i) {
      if (PlaceOf(list[i]) == place) result = libusb_open(list[i], &handle);
    }
    libusb_free_device_list(list, 1);
    if (error != nullptr) *error = result;
    return result == 0 ? handle : nullptr;
  }

  std::vector<std::string> Places() {
    libusb_device** list = nullptr;
    const ssize_t count = libusb_get_device_list(context_, &list);
    std::vector<std::string> places;
    for (ssize_t i = 0; i < count; ++i) {
      libusb_device_descriptor descriptor;
      libusb_get_device_descriptor(list[i], &descriptor);
      if (descriptor.bDeviceClass != LIBUSB_CLASS_HUB) places.push_back(PlaceOf(list[i]));
    }
    libusb_free_device_list(list, 1);
    return places;
  }

 private:
  static std::string PlaceOf(libusb_device* device) {
    std::array<uint8_t, 8> ports;
    const int count = libusb_get_port_numbers(device, ports.data(), ports.size());
    std::string place = absl::StrCat(libusb_get_bus_number(device));
    for (int i = 0; i < count; ++i) absl::StrAppend(&place, i == 0 ? "-" : ".", ports[i]);
    return place;
  }
  static int LIBUSB_CALL OnHotplug(libusb_context*, libusb_device*, libusb_hotplug_event event,
                                   void* user_data) {
    auto* const self = static_cast<LibUsb*>(user_data);
    absl::MutexLock lock(&self->mutex_);
    ++(event == LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED ? self->arrived_ : self->left_);
    return 0;
  }

  libusb_context* context_ = nullptr;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
  absl::Mutex mutex_;
  int arrived_ ABSL_GUARDED_BY(mutex_) = 0;
  int left_ ABSL_GUARDED_BY(mutex_) = 0;
};

class MockedUsbBusTest : public ::testing::Test {
 protected:
  // An open and claimed device; the test fails when that does not work.
  libusb_device_handle* OpenAndClaim(const std::string& place, int interface = 0) {
    int error = 0;
    libusb_device_handle* const handle = usb_.Open(place, &error);
    EXPECT_NE(handle, nullptr) << libusb_error_name(error);
    if (handle == nullptr) return nullptr;
    EXPECT_EQ(libusb_claim_interface(handle, interface), 0);
    return handle;
  }

  MockedUsbBus bus_;
  LibUsb usb_;
};

TEST_F(MockedUsbBusTest, FindsWhatIsPluggedInByItsPlace) {
  bus_.Plug("1-1", Cp2102());
  bus_.Plug("1-2.3", std::make_unique<Ch340Model>(Loopback()));
  bus_.Plug("1-2.4.1", std::make_unique<CdcAcmModel>(Loopback()));
  // Two hubs came with them.
  ASSERT_TRUE(usb_.AwaitCounts(5, 0));

  EXPECT_THAT(usb_.Places(), ::testing::UnorderedElementsAre("1-1", "1-2.3", "1-2.4.1"));
}

TEST_F(MockedUsbBusTest, FindsWhatWasThereBefore) {
  bus_.Plug("1-2.3", Cp2102());
  LibUsb late;
  EXPECT_THAT(late.Places(), ::testing::ElementsAre("1-2.3"));
}

TEST_F(MockedUsbBusTest, ReadsStrings) {
  bus_.Plug("1-1", Cp2102());
  ASSERT_TRUE(usb_.AwaitCounts(1, 0));
  libusb_device_handle* const handle = usb_.Open("1-1");
  ASSERT_NE(handle, nullptr);
  std::array<unsigned char, 128> text;
  const int size = libusb_get_string_descriptor_ascii(handle, 2, text.data(), text.size());
  ASSERT_GT(size, 0) << libusb_error_name(size);
  EXPECT_EQ(std::string(text.begin(), text.begin() + size), "CP2102 USB to UART Bridge Controller");
  libusb_close(handle);
}

struct EchoCase {
  std::string name;
  std::unique_ptr<UsbDeviceModel> (*make)();
  int interface;
  uint8_t in;
  uint8_t out;
  std::vector<UsbSetup> setups;
  size_t status_bytes;  // in each packet of 64 bytes
};
void PrintTo(const EchoCase& test, std::ostream* out) { *out << test.name; }

class EchoTest : public MockedUsbBusTest, public ::testing::WithParamInterface<EchoCase> {};

TEST_P(EchoTest, GivesBackWhatIsSent) {
  bus_.Plug("1-1", GetParam().make());
  ASSERT_TRUE(usb_.AwaitCounts(1, 0));
  libusb_device_handle* const handle = OpenAndClaim("1-1", GetParam().interface);
  ASSERT_NE(handle, nullptr);
  for (const UsbSetup& setup : GetParam().setups) {
    ASSERT_EQ(libusb_control_transfer(handle, setup.type, setup.request, setup.value, setup.index,
                                      nullptr, 0, kTransferTimeout),
              0);
  }
  Bytes sent(2'000);
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<uint8_t>(i * 7 + (i >> 8));
  // No more at a time than every family keeps while nobody reads.
  constexpr size_t kChunk = 100;
  Bytes received;
  for (size_t at = 0; at < sent.size(); at += kChunk) {
    int moved = 0;
    ASSERT_EQ(libusb_bulk_transfer(handle, GetParam().out, sent.data() + at, kChunk, &moved,
                                   kTransferTimeout),
              0);
    while (received.size() < at + kChunk) {
      std::array<uint8_t, 4096> buffer;
      ASSERT_EQ(libusb_bulk_transfer(handle, GetParam().in, buffer.data(), buffer.size(), &moved,
                                     kTransferTimeout),
                0);
      for (int i = 0; i < moved; ++i) {
        if (static_cast<size_t>(i % 64) >= GetParam().status_bytes) received.push_back(buffer[i]);
      }
    }
  }

  EXPECT_EQ(received, sent);
  EXPECT_EQ(bus_.State("1-1").bytes_from_host, sent.size());
  libusb_close(handle);
}

INSTANTIATE_TEST_SUITE_P(
    Families, EchoTest,
    ::testing::Values(
        EchoCase{"cp2102", Cp2102, 0, 0x81, 0x01, {{0x41, 0, 1, 0}}, 0},
        EchoCase{"ch340",
                 [] { return std::unique_ptr<UsbDeviceModel>(new Ch340Model(Loopback())); },
                 0,
                 0x82,
                 0x02,
                 {{0x40, 0x9A, 0x1312, 0xCC83}},
                 0},
        EchoCase{"ft232r",
                 [] { return std::unique_ptr<UsbDeviceModel>(new FtdiModel(Loopback())); },
                 0,
                 0x81,
                 0x02,
                 {{0x40, 9, 1, 0}},
                 2},
        EchoCase{"ch9102",
                 [] { return std::unique_ptr<UsbDeviceModel>(new CdcAcmModel(Loopback())); },
                 1,
                 0x82,
                 0x02,
                 {},
                 0}),
    [](const auto& info) { return info.param.name; });

TEST_F(MockedUsbBusTest, StalledRequestIsAPipeError) {
  bus_.Plug("1-1", Cp2102());
  ASSERT_TRUE(usb_.AwaitCounts(1, 0));
  libusb_device_handle* const handle = OpenAndClaim("1-1");
  ASSERT_NE(handle, nullptr);
  EXPECT_EQ(libusb_control_transfer(handle, 0x41, 0x77, 0, 0, nullptr, 0, kTransferTimeout),
            LIBUSB_ERROR_PIPE);
  libusb_close(handle);
}

TEST_F(MockedUsbBusTest, ReadTimesOutAndAnotherSucceeds) {
  bus_.Plug("1-1", std::make_unique<CdcAcmModel>(Loopback()));
  ASSERT_TRUE(usb_.AwaitCounts(1, 0));
  libusb_device_handle* const handle = OpenAndClaim("1-1", 1);
  ASSERT_NE(handle, nullptr);
  std::array<uint8_t, 64> buffer;
  int moved = 0;
  EXPECT_EQ(libusb_bulk_transfer(handle, 0x82, buffer.data(), buffer.size(), &moved, 1),
            LIBUSB_ERROR_TIMEOUT);

  Bytes sent = {1, 2, 3};
  ASSERT_EQ(libusb_bulk_transfer(handle, 0x02, sent.data(), 3, &moved, kTransferTimeout), 0);
  ASSERT_EQ(
      libusb_bulk_transfer(handle, 0x82, buffer.data(), buffer.size(), &moved, kTransferTimeout),
      0);
  EXPECT_EQ(moved, 3);
  libusb_close(handle);
}

TEST_F(MockedUsbBusTest, WaitingCostsNothing) {
  bus_.Plug("1-1", Cp2102());
  ASSERT_TRUE(usb_.AwaitCounts(1, 0));
  libusb_device_handle* const handle = OpenAndClaim("1-1");
  ASSERT_NE(handle, nullptr);
  std::array<uint8_t, 64> buffer;
  int moved = 0;
  libusb_bulk_transfer(handle, 0x81, buffer.data(), buffer.size(), &moved, 300);
  EXPECT_LT(bus_.statistics().useless_reaps, 10u);
  libusb_close(handle);
}

// --- Who may have the device ---

TEST_F(MockedUsbBusTest, KernelsDriverMustLetGoFirst) {
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

TEST_F(MockedUsbBusTest, TerminalComesAndGoesWithTheKernelsDriver) {
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

TEST_F(MockedUsbBusTest, SecondClaimIsBusyUntilTheFirstIsClosed) {
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

TEST_F(MockedUsbBusTest, OtherProgramHoldsIt) {
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

TEST_F(MockedUsbBusTest, RefusesToOpenWithoutPermission) {
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

TEST_F(MockedUsbBusTest, ClaimingTooEarlyFailsAsOnRealKernels) {
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

// --- Coming and going ---

void LIBUSB_CALL StoreStatus(libusb_transfer* transfer) {
  static_cast<std::atomic<int>*>(transfer->user_data)->store(transfer->status);
}

TEST_F(MockedUsbBusTest, UnplugEndsWhatIsUnderWay) {
  bus_.Plug("1-1", Cp2102());
  ASSERT_TRUE(usb_.AwaitCounts(1, 0));
  libusb_device_handle* const handle = OpenAndClaim("1-1");
  ASSERT_NE(handle, nullptr);
  std::array<uint8_t, 64> buffer;
  std::atomic<int> status = -1;
  libusb_transfer* const transfer = libusb_alloc_transfer(0);
  libusb_fill_bulk_transfer(transfer, handle, 0x81, buffer.data(), buffer.size(), StoreStatus,
                            &status, 0);
  ASSERT_EQ(libusb_submit_transfer(transfer), 0);

  const std::unique_ptr<UsbDeviceModel> model = bus_.Unplug("1-1");

  ASSERT_TRUE(usb_.AwaitCounts(1, 1));
  for (int i = 0; i < 10'000 && status == -1; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(status, LIBUSB_TRANSFER_NO_DEVICE);
  EXPECT_EQ(libusb_control_transfer(handle, 0x41, 0, 1, 0, nullptr, 0, kTransferTimeout),
            LIBUSB_ERROR_NO_DEVICE);
  EXPECT_NE(model, nullptr);
  libusb_free_transfer(transfer);
  libusb_close(handle);
  EXPECT_FALSE(bus_.Occupied("1-1"));
}

TEST_F(MockedUsbBusTest, StormOfAHubLosesNobody) {
  constexpr int kBoards = 32;
  std::vector<std::string> places;
  for (int i = 0; i < kBoards; ++i) {
    places.push_back(absl::StrCat("1-3.", i / 8 + 1, ".", i % 8 + 1));
    bus_.Plug(places.back(), Cp2102());
  }
  constexpr int kHubs = 5;
  ASSERT_TRUE(usb_.AwaitCounts(kBoards + kHubs, 0));
  std::map<std::string, std::optional<int>> numbers;
  for (const std::string& place : places) numbers[place] = bus_.DeviceNumber(place);

  bus_.ResetHub("1-3");

  ASSERT_TRUE(usb_.AwaitCounts(2 * kBoards + kHubs, kBoards));

  EXPECT_THAT(usb_.Places(), ::testing::UnorderedElementsAreArray(places));
  for (const std::string& place : places) EXPECT_NE(bus_.DeviceNumber(place), numbers[place]);
}

TEST_F(MockedUsbBusTest, TellsEachArrivalAndDeparture) {
  std::unique_ptr<UsbDeviceModel> model = Cp2102();
  for (int i = 1; i <= 20; ++i) {
    bus_.Plug("1-1", std::move(model));
    ASSERT_TRUE(usb_.AwaitCounts(i, i - 1)) << i;
    model = bus_.Unplug("1-1");
    ASSERT_TRUE(usb_.AwaitCounts(i, i)) << i;
  }
}

TEST_F(MockedUsbBusTest, ChipWithUsbOfItsOwnReturnsAsAnotherDevice) {
  auto model = std::make_unique<UsbOtgModel>(BoardConfig{.chip = esp::Chip::kEsp32S2});
  model->serial_port(0).peer().board()->flash_memory().Load(
      MergeDemoImage(MakeDemoImage(esp::Chip::kEsp32S2, 64 * 1024, 1)));
  bus_.Plug("1-1", std::move(model));
  ASSERT_TRUE(usb_.AwaitCounts(1, 0));
  const std::optional<int> number = bus_.DeviceNumber("1-1");
  libusb_device_handle* handle = OpenAndClaim("1-1");
  ASSERT_NE(handle, nullptr);

  for (uint16_t lines : {2, 1}) {
    ASSERT_EQ(libusb_control_transfer(handle, 0x21, 0x22, lines, 0, nullptr, 0, kTransferTimeout),
              0);
  }

  ASSERT_TRUE(usb_.AwaitCounts(2, 1));
  libusb_close(handle);
  EXPECT_NE(bus_.DeviceNumber("1-1"), number);
  handle = usb_.Open("1-1");
  ASSERT_NE(handle, nullptr);
  libusb_device_descriptor descriptor;
  libusb_get_device_descriptor(libusb_get_device(handle), &descriptor);
  EXPECT_EQ(descriptor.idProduct, 0x0002);
  libusb_close(handle);
}

TEST_F(MockedUsbBusTest, FaultOfABoardPullsTheDevice) {
  BoardConfig config;
  config.faults.unplug_after_received_bytes = 100;
  bus_.Plug("1-1", std::make_unique<CdcAcmModel>(std::make_unique<BoardPeer>(config)));
  ASSERT_TRUE(usb_.AwaitCounts(1, 0));
  libusb_device_handle* const handle = OpenAndClaim("1-1", 1);
  ASSERT_NE(handle, nullptr);
  Bytes sent(200);
  int moved = 0;
  libusb_bulk_transfer(handle, 0x02, sent.data(), 200, &moved, kTransferTimeout);

  EXPECT_TRUE(usb_.AwaitCounts(1, 1));
  EXPECT_FALSE(bus_.Occupied("1-1"));
  libusb_close(handle);
  bus_.Replug("1-1");
  EXPECT_TRUE(usb_.AwaitCounts(2, 1));
}

}  // namespace
}  // namespace kiln::simulator
