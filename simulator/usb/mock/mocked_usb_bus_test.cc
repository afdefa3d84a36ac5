// The mocked bus seen by the real libusb: what a program finds, what it is told, and what it gets
// when it does something wrong or the device goes away.
#include "simulator/usb/mock/mocked_usb_bus.h"

#include <libusb-1.0/libusb.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simulator/demo_image.h"
#include "simulator/usb/cdc_acm_model.h"
#include "simulator/usb/ch340_model.h"
#include "simulator/usb/cp210x_model.h"
#include "simulator/usb/ftdi_model.h"
#include "simulator/usb/mock/mocked_usb_bus_fixture.h"
#include "simulator/usb/native_usb_models.h"
#include "simulator/usb/serial_peer.h"

namespace kiln::simulator {
namespace {

using Bytes = std::vector<uint8_t>;

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

TEST_F(MockedUsbBusTest, DeviceThatIsCutOffStaysAndFailsEverything) {
  bus_.Plug("1-1", Cp2102());
  ASSERT_TRUE(usb_.AwaitCounts(1, 0));
  libusb_device_handle* const handle = OpenAndClaim("1-1");
  ASSERT_NE(handle, nullptr);

  bus_.CutOff("1-1");

  std::array<uint8_t, 64> buffer = {};
  int moved = 0;
  for (uint8_t endpoint : {0x81, 0x01}) {
    EXPECT_EQ(libusb_bulk_transfer(handle, endpoint, buffer.data(), buffer.size(), &moved,
                                   kTransferTimeout),
              LIBUSB_ERROR_IO);
  }
  EXPECT_EQ(libusb_control_transfer(handle, 0x41, 0, 1, 0, nullptr, 0, kTransferTimeout),
            LIBUSB_ERROR_IO);
  EXPECT_TRUE(bus_.Claimed("1-1"));
  libusb_close(handle);
  bus_.Unplug("1-1");
  EXPECT_TRUE(usb_.AwaitCounts(1, 1));
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
