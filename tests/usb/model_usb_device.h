#ifndef KILN_TESTS_USB_MODEL_USB_DEVICE_H_
#define KILN_TESTS_USB_MODEL_USB_DEVICE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/ports/usb/usb_device_handle.h"
#include "daemon/ports/usb/usb_serial_stream.h"
#include "simulator/simulated_board.h"
#include "simulator/usb/usb_device_model.h"
#include "simulator/usb/usb_transfer_queue.h"

namespace kiln {

// The simulator's model of an adapter with a board behind it, joined to the station's drivers
// without any operating system between: drivers and models share nothing and judge each other. A
// thread plays bus and time. Outlives its streams. Thread-safe.
class ModelUsbDevice {
 public:
  // `kind` as simulator::MakeUsbModel names it.
  ModelUsbDevice(absl::string_view kind, const simulator::BoardConfig& board);
  ~ModelUsbDevice();

  // A stream by the driver that the station's table names for the device.
  absl::StatusOr<std::unique_ptr<ports::UsbSerialStream>> Open(uint8_t serial_port = 0);
  void Unplug();

  // Calls `visit` with the model, held still.
  void WithModel(absl::FunctionRef<void(simulator::UsbDeviceModel&)> visit);
  simulator::SerialState State(uint8_t serial_port = 0);

 private:
  class Handle;
  class Transfer;

  absl::StatusOr<std::vector<uint8_t>> Control(const simulator::UsbTransfer& transfer);
  absl::Status Submit(Transfer* transfer, simulator::UsbTransfer wanted);
  void Cancel(Transfer* transfer);
  void Run();
  // Hands finished transfers out.
  void Collect() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  std::unique_ptr<simulator::UsbDeviceModel> model_ ABSL_GUARDED_BY(mutex_);
  simulator::UsbTransferQueue queue_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<uint64_t, Transfer*> in_flight_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, simulator::UsbCompletion> controls_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::function<void()>> callbacks_ ABSL_GUARDED_BY(mutex_);
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace kiln

#endif  // KILN_TESTS_USB_MODEL_USB_DEVICE_H_
