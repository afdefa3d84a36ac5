#ifndef KILN_SIMULATOR_USB_MOCK_MOCKED_USB_BUS_FIXTURE_H_
#define KILN_SIMULATOR_USB_MOCK_MOCKED_USB_BUS_FIXTURE_H_

#include <libusb-1.0/libusb.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "simulator/usb/cp210x_model.h"
#include "simulator/usb/mock/mocked_usb_bus.h"
#include "simulator/usb/serial_peer.h"
#include "simulator/usb/usb_device_model.h"

namespace kiln::simulator {

inline constexpr absl::Duration kDeadline = absl::Seconds(30);
inline constexpr unsigned int kTransferTimeout = 20'000;  // milliseconds

inline std::unique_ptr<SerialPeer> Loopback() { return std::make_unique<LoopbackPeer>(); }

inline std::unique_ptr<UsbDeviceModel> Cp2102() {
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

// A mocked bus and a program that looks at it.
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

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_MOCK_MOCKED_USB_BUS_FIXTURE_H_
