#include "tests/usb/model_usb_device.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_device_handle.h"
#include "errors/error.h"
#include "simulator/usb/usb_models.h"

namespace kiln {
namespace {

constexpr int kDisconnected = -ESHUTDOWN;
constexpr int kUnlinked = -ENOENT;

absl::Duration Now() { return base::SystemClock().Monotonic(); }

absl::Status Unplugged() {
  return errors::MakeError(errors::ErrorCode::kBoardUnplugged, "the model is unplugged");
}

ports::UsbOutcome OutcomeOf(int status) {
  switch (status) {
    case 0:
      return ports::UsbOutcome::kCompleted;
    case kUnlinked:
      return ports::UsbOutcome::kCancelled;
    case kDisconnected:
      return ports::UsbOutcome::kGone;
    case -EPIPE:
      return ports::UsbOutcome::kStalled;
    default:
      return ports::UsbOutcome::kFailed;
  }
}

simulator::UsbTransfer ControlTransfer(const ports::UsbSetup& setup, size_t length) {
  simulator::UsbTransfer transfer;
  transfer.setup = {.type = setup.type,
                    .request = setup.request,
                    .value = setup.value,
                    .index = setup.index,
                    .length = static_cast<uint16_t>(length)};
  return transfer;
}

}  // namespace

class ModelUsbDevice::Transfer final : public ports::UsbTransfer {
 public:
  Transfer(ModelUsbDevice& device, uint8_t endpoint, size_t capacity,
           ports::UsbDeviceHandle::Done done)
      : device_(device), endpoint_(endpoint), buffer_(capacity), done_(std::move(done)) {}

  absl::Span<uint8_t> buffer() override { return absl::MakeSpan(buffer_); }
  absl::Status Submit(size_t length) override {
    simulator::UsbTransfer wanted;
    wanted.endpoint = endpoint_;
    wanted.length = length;
    if ((endpoint_ & 0x80) == 0) {
      wanted.data.assign(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(length));
    }
    return device_.Submit(this, std::move(wanted));
  }
  void Cancel() override { device_.Cancel(this); }

  void Finish(const simulator::UsbCompletion& completion) {
    std::copy_n(completion.data.begin(), std::min(completion.data.size(), buffer_.size()),
                buffer_.begin());
    done_(OutcomeOf(completion.status), completion.actual);
  }

 private:
  ModelUsbDevice& device_;
  const uint8_t endpoint_;
  std::vector<uint8_t> buffer_;
  const ports::UsbDeviceHandle::Done done_;
};

class ModelUsbDevice::Handle final : public ports::UsbDeviceHandle {
 public:
  explicit Handle(ModelUsbDevice& device) : device_(device) {}

  absl::Status ControlOut(const ports::UsbSetup& setup, absl::Span<const uint8_t> data) override {
    simulator::UsbTransfer transfer = ControlTransfer(setup, data.size());
    transfer.data.assign(data.begin(), data.end());
    return device_.Control(transfer).status();
  }
  absl::StatusOr<std::vector<uint8_t>> ControlIn(const ports::UsbSetup& setup,
                                                 uint16_t length) override {
    return device_.Control(ControlTransfer(setup, length));
  }
  absl::Status ClearHalt(uint8_t /*endpoint*/) override { return absl::OkStatus(); }
  void Gather(absl::Duration /*time*/) override {}
  std::unique_ptr<ports::UsbTransfer> MakeBulk(uint8_t endpoint, size_t capacity,
                                               Done done) override {
    return std::make_unique<Transfer>(device_, endpoint, capacity, std::move(done));
  }

 private:
  ModelUsbDevice& device_;
};

ModelUsbDevice::ModelUsbDevice(absl::string_view kind, const simulator::BoardConfig& board)
    : model_(*simulator::MakeUsbModel(kind, board)), queue_(*model_) {
  absl::MutexLock lock(&mutex_);
  model_->Plug(Now());
  // As the kernel configures a device on arrival.
  simulator::UsbTransfer configure = ControlTransfer({0x00, 0x09, 1, 0}, 0);
  queue_.Submit(Now(), configure);
  queue_.TakeCompleted();
  thread_ = std::thread([this] { Run(); });
}

ModelUsbDevice::~ModelUsbDevice() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

absl::StatusOr<std::unique_ptr<ports::UsbSerialStream>> ModelUsbDevice::Open(uint8_t serial_port) {
  std::vector<uint8_t> bytes;
  WithModel([&bytes](simulator::UsbDeviceModel& model) {
    bytes = model.device_descriptor();
    const auto& configuration = model.configuration_descriptor();
    bytes.insert(bytes.end(), configuration.begin(), configuration.end());
  });
  ASSIGN_OR_RETURN(const ports::UsbDescriptors descriptors, ports::ParseUsbDescriptors(bytes));
  const ports::UsbAdapter* adapter =
      ports::FindUsbAdapter(descriptors.vendor, descriptors.product, true);
  if (adapter == nullptr) return absl::NotFoundError("the station does not know the adapter");
  const ports::UsbConfiguration& configuration = *descriptors.Active(1);
  ASSIGN_OR_RETURN(const ports::UsbSerialLayout layout,
                   adapter->driver == ports::UsbDriver::kCdcAcm
                       ? ports::FindCdcLayout(configuration, serial_port)
                       : ports::FindVendorLayout(configuration, serial_port));
  return ports::UsbSerialStream::Start(std::make_unique<Handle>(*this), *adapter, layout,
                                       descriptors.release, "model", base::SystemClock());
}

void ModelUsbDevice::Unplug() {
  absl::MutexLock lock(&mutex_);
  queue_.CancelAll(Now(), kDisconnected);
  model_->Unplug();
  Collect();
}

void ModelUsbDevice::WithModel(absl::FunctionRef<void(simulator::UsbDeviceModel&)> visit) {
  absl::MutexLock lock(&mutex_);
  visit(*model_);
}

simulator::SerialState ModelUsbDevice::State(uint8_t serial_port) {
  absl::MutexLock lock(&mutex_);
  return model_->serial_port(serial_port).state();
}

absl::StatusOr<std::vector<uint8_t>> ModelUsbDevice::Control(
    const simulator::UsbTransfer& transfer) {
  absl::MutexLock lock(&mutex_);
  if (!model_->on_bus()) return Unplugged();
  simulator::UsbTransfer wanted = transfer;
  wanted.id = next_id_++;
  queue_.Submit(Now(), wanted);
  Collect();
  const auto completed = controls_.extract(wanted.id);
  if (completed.empty() || completed.mapped().status != 0) {
    return errors::MakeError(errors::ErrorCode::kPortFailed, "the model stalls the request");
  }
  return completed.mapped().data;
}

absl::Status ModelUsbDevice::Submit(Transfer* transfer, simulator::UsbTransfer wanted) {
  absl::MutexLock lock(&mutex_);
  if (!model_->on_bus()) return Unplugged();
  wanted.id = next_id_++;
  in_flight_[wanted.id] = transfer;
  queue_.Submit(Now(), std::move(wanted));
  Collect();
  return absl::OkStatus();
}

void ModelUsbDevice::Cancel(Transfer* transfer) {
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, pending] : in_flight_) {
    if (pending != transfer) continue;
    queue_.Cancel(Now(), id, kUnlinked);
    break;
  }
  Collect();
}

void ModelUsbDevice::Collect() {
  changed_ = true;  // the time of the next event may be another
  while (auto completion = queue_.TakeCompleted()) {
    const auto transfer = in_flight_.extract(completion->id);
    if (transfer.empty()) {
      controls_[completion->id] = *std::move(completion);
      continue;
    }
    callbacks_.push_back(
        [done = transfer.mapped(), result = *std::move(completion)] { done->Finish(result); });
  }
}

void ModelUsbDevice::Run() {
  const auto wake = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return changed_ || stopping_ || !callbacks_.empty();
  };
  for (;;) {
    std::vector<std::function<void()>> callbacks;
    {
      absl::MutexLock lock(&mutex_);
      if (model_->on_bus()) queue_.Advance(Now());
      Collect();
      changed_ = false;
      const auto next = model_->on_bus() ? queue_.NextEvent() : std::nullopt;
      const absl::Duration wait = next.has_value() ? *next - Now() : absl::InfiniteDuration();
      mutex_.AwaitWithTimeout(absl::Condition(&wake), wait);
      if (stopping_ && callbacks_.empty()) return;
      callbacks.swap(callbacks_);
    }
    for (const auto& callback : callbacks) callback();
  }
}

}  // namespace kiln
