#include "simulator/usb/mock/usbfs_node.h"

#include <linux/usbdevice_fs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"

namespace kiln::simulator {
namespace {

constexpr uint32_t kCapabilities =
    USBDEVFS_CAP_ZERO_PACKET | USBDEVFS_CAP_BULK_CONTINUATION | USBDEVFS_CAP_NO_PACKET_SIZE_LIM |
    USBDEVFS_CAP_BULK_SCATTER_GATHER | USBDEVFS_CAP_REAP_AFTER_DISCONNECT;
constexpr size_t kSetupSize = 8;
constexpr uint64_t kNoUrb = 0;
// usbfs refuses larger transfers than its memory limit of 16 MB.
constexpr int kMaxTransfer = 16 * 1024 * 1024;

// bmRequestType (USB 2.0, table 9-2).
constexpr uint8_t kRecipientMask = 0x1F;
constexpr uint8_t kRecipientInterface = 0x01;
constexpr uint8_t kTypeMask = 0x60;
constexpr uint8_t kTypeVendor = 0x40;

template <typename T>
T& As(UMockdevIoctlData* data) {
  return *reinterpret_cast<T*>(data->data);
}

UsbSetup SetupFrom(const uint8_t* bytes) {
  const auto word = [bytes](size_t at) {
    return static_cast<uint16_t>(bytes[at] | bytes[at + 1] << 8);
  };
  return {bytes[0], bytes[1], word(2), word(4), word(6)};
}

}  // namespace

UsbfsNode::UsbfsNode(const std::string& path, UsbDeviceModel& model, base::Clock& clock,
                     const std::string& kernel_driver, const MockedDeviceFaults& faults)
    : model_(model),
      clock_(clock),
      claims_(model.configuration_descriptor(), clock, kernel_driver, faults),
      pipe_(path),
      queue_(model) {
  // The kernel configures each device that arrives.
  model_.Control(clock.Monotonic(), {.request = 9, .value = 1}, {});
}

UsbfsNode::~UsbfsNode() {
  for (auto& [id, urb] : pending_) Forget(urb);
  for (Reapable& reapable : reapable_) Forget(reapable.urb);
}

void UsbfsNode::Forget(Urb& urb) {
  g_clear_object(&urb.urb);
  g_clear_object(&urb.buffer);
}

void UsbfsNode::Vanished(UMockdevIoctlClient* client) {
  clients_.erase(client);
  for (int interface : claims_.ClaimedBy(client)) Release(client, interface);
  std::vector<uint64_t> left;
  for (const auto& [id, urb] : pending_) {
    if (urb.client == client) left.push_back(id);
  }
  if (!gone_) {
    for (uint64_t id : left) queue_.Cancel(clock_.Monotonic(), id, -ENOENT);
    CollectCompleted();
  }
  const auto of_client = [this, client](Reapable& reapable) {
    if (reapable.urb.client != client) return false;
    Forget(reapable.urb);
    return true;
  };
  reapable_.erase(std::remove_if(reapable_.begin(), reapable_.end(), of_client), reapable_.end());
}

void UsbfsNode::CutOff() {
  if (gone_) return;
  queue_.CutOff(clock_.Monotonic());
  CollectCompleted();
}

void UsbfsNode::Disturb() {
  if (gone_) return;
  queue_.CancelAll(clock_.Monotonic(), -EPROTO);
  CollectCompleted();
}

void UsbfsNode::Disconnect() {
  if (gone_) return;
  queue_.CancelAll(clock_.Monotonic(), -ESHUTDOWN);
  CollectCompleted();
  gone_ = true;
}

void UsbfsNode::Advance() {
  if (gone_) return;
  queue_.Advance(clock_.Monotonic());
  CollectCompleted();
}

std::optional<absl::Duration> UsbfsNode::NextEvent() const {
  return gone_ ? std::nullopt : queue_.NextEvent();
}

std::optional<UsbCompletion> UsbfsNode::CollectCompleted() {
  std::optional<UsbCompletion> without_urb;
  while (std::optional<UsbCompletion> completion = queue_.TakeCompleted()) {
    const auto found = pending_.find(completion->id);
    if (found == pending_.end()) {
      without_urb = *std::move(completion);
      continue;
    }
    reapable_.push_back({found->second, *std::move(completion)});
    pending_.erase(found);
  }
  pipe_.SetWritable(!reapable_.empty());
  return without_urb;
}

void UsbfsNode::Handle(UMockdevIoctlClient* client) {
  ++statistics_.ioctls;
  const unsigned long request = umockdev_ioctl_client_get_request(client);
  const Answer answer = Dispatch(client, request, umockdev_ioctl_client_get_arg(client));
  umockdev_ioctl_client_complete(client, answer.result, answer.error);
}

UsbfsNode::Answer UsbfsNode::Dispatch(UMockdevIoctlClient* client, unsigned long request,
                                      UMockdevIoctlData* argument) {
  if (request == USBDEVFS_REAPURB || request == USBDEVFS_REAPURBNDELAY) {
    return Reap(client, argument);
  }
  if (gone_) return Answer::Fail(ENODEV);
  if (request == USBDEVFS_DISCARDURB) {
    // The argument itself is the client's pointer.
    return Discard(client, As<unsigned long>(argument));
  }
  const size_t size = request == USBDEVFS_SUBMITURB ? sizeof(usbdevfs_urb) : _IOC_SIZE(request);
  g_autoptr(GObject) resolved =
      size == 0 ? nullptr : G_OBJECT(umockdev_ioctl_data_resolve(argument, 0, size, nullptr));
  if (size != 0 && resolved == nullptr) return Answer::Fail(EFAULT);
  auto* const data = reinterpret_cast<UMockdevIoctlData*>(resolved);
  switch (request) {
    case USBDEVFS_GET_CAPABILITIES:
      As<uint32_t>(data) = kCapabilities;
      return {};
    case USBDEVFS_GETDRIVER:
      return claims_.GetDriver(As<usbdevfs_getdriver>(data));
    case USBDEVFS_IOCTL:
      return claims_.ConnectOrDisconnect(As<usbdevfs_ioctl>(data));
    case USBDEVFS_DISCONNECT_CLAIM:
      return claims_.DisconnectAndClaim(client, As<usbdevfs_disconnect_claim>(data));
    case USBDEVFS_CLAIMINTERFACE:
      return claims_.Claim(client, static_cast<int>(As<unsigned int>(data)));
    case USBDEVFS_RELEASEINTERFACE:
      return Release(client, static_cast<int>(As<unsigned int>(data)));
    case USBDEVFS_SETCONFIGURATION:
      return SetConfiguration(As<int>(data));
    case USBDEVFS_SETINTERFACE:
      return claims_.Use(client, static_cast<int>(As<usbdevfs_setinterface>(data).interface));
    case USBDEVFS_CLEAR_HALT:
    case USBDEVFS_RESETEP:
      return {};
    case USBDEVFS_RESET:
      return Reset();
    case USBDEVFS_CONTROL:
      return Control(client, data);
    case USBDEVFS_SUBMITURB:
      return Submit(client, data);
    default:
      std::fprintf(stderr, "mocked usbfs: ioctl 0x%lx is not known\n", request);
      return Answer::Fail(ENOTTY);
  }
}

UsbfsNode::Answer UsbfsNode::Release(UMockdevIoctlClient* client, int interface) {
  const Answer released = claims_.Release(client, interface);
  if (released.result < 0 || gone_) return released;
  // The kernel ends what is under way at the interface's endpoints.
  std::vector<uint64_t> ended;
  for (const auto& [id, urb] : pending_) {
    const uint8_t endpoint = As<usbdevfs_urb>(urb.urb).endpoint;
    if (claims_.InterfaceOfEndpoint(endpoint) == interface) ended.push_back(id);
  }
  for (uint64_t id : ended) queue_.Cancel(clock_.Monotonic(), id, -ENOENT);
  CollectCompleted();
  return {};
}

UsbfsNode::Answer UsbfsNode::SetConfiguration(int configuration) {
  if (claims_.claimed() || claims_.kernel_driver_bound()) return Answer::Fail(EBUSY);
  const UsbSetup setup = {.request = 9, .value = static_cast<uint16_t>(configuration)};
  return model_.Control(clock_.Monotonic(), setup, {}).has_value() ? Answer{}
                                                                   : Answer::Fail(EINVAL);
}

UsbfsNode::Answer UsbfsNode::Reset() {
  const absl::Duration now = clock_.Monotonic();
  queue_.CancelAll(now, -EPROTO);
  model_.ResetBus(now);
  model_.Control(now, {.request = 9, .value = 1}, {});
  CollectCompleted();
  return {};
}

UsbfsNode::Answer UsbfsNode::Control(UMockdevIoctlClient* client, UMockdevIoctlData* data) {
  const auto& transfer = As<usbdevfs_ctrltransfer>(data);
  const UsbSetup setup = {transfer.bRequestType, transfer.bRequest, transfer.wValue,
                          transfer.wIndex, transfer.wLength};
  if ((setup.type & kRecipientMask) == kRecipientInterface &&
      (setup.type & kTypeMask) != kTypeVendor) {
    const Answer use = claims_.Use(client, setup.index & 0xFF);
    if (use.result < 0) return use;
  }
  g_autoptr(GObject) resolved =
      setup.length == 0 ? nullptr
                        : G_OBJECT(umockdev_ioctl_data_resolve(
                              data, offsetof(usbdevfs_ctrltransfer, data), setup.length, nullptr));
  if (setup.length != 0 && resolved == nullptr) return Answer::Fail(EFAULT);
  auto* const buffer = reinterpret_cast<UMockdevIoctlData*>(resolved);
  const absl::Span<const uint8_t> out = setup.to_host() || buffer == nullptr
                                            ? absl::Span<const uint8_t>()
                                            : absl::MakeConstSpan(buffer->data, setup.length);
  queue_.Submit(clock_.Monotonic(),
                {.id = kNoUrb, .setup = setup, .data = {out.begin(), out.end()}});
  // Control transfers are complete at once, and this is the only one without a URB.
  const std::optional<UsbCompletion> own = CollectCompleted();
  if (own->status != 0) return Answer::Fail(-own->status);
  if (buffer != nullptr) std::copy(own->data.begin(), own->data.end(), buffer->data);
  return {static_cast<long>(own->actual), 0};
}

UsbfsNode::Answer UsbfsNode::Submit(UMockdevIoctlClient* client, UMockdevIoctlData* data) {
  const auto& urb = As<usbdevfs_urb>(data);
  if (urb.buffer_length < 0 || urb.buffer_length > kMaxTransfer) return Answer::Fail(EINVAL);
  const size_t size = static_cast<size_t>(urb.buffer_length);
  g_autoptr(GObject) resolved = size == 0
                                    ? nullptr
                                    : G_OBJECT(umockdev_ioctl_data_resolve(
                                          data, offsetof(usbdevfs_urb, buffer), size, nullptr));
  if (size != 0 && resolved == nullptr) return Answer::Fail(EFAULT);
  auto* const buffer = reinterpret_cast<UMockdevIoctlData*>(resolved);
  UsbTransfer transfer = {.id = next_id_++};
  if (urb.type == USBDEVFS_URB_TYPE_CONTROL) {
    if (size < kSetupSize) return Answer::Fail(EINVAL);
    transfer.setup = SetupFrom(buffer->data);
    if (transfer.setup.length > size - kSetupSize) return Answer::Fail(EINVAL);
    if ((transfer.setup.type & kRecipientMask) == kRecipientInterface &&
        (transfer.setup.type & kTypeMask) != kTypeVendor) {
      const Answer use = claims_.Use(client, transfer.setup.index & 0xFF);
      if (use.result < 0) return use;
    }
    if (!transfer.setup.to_host()) {
      const uint8_t* const begin = buffer->data + kSetupSize;
      transfer.data.assign(begin, begin + transfer.setup.length);
    }
  } else if (urb.type == USBDEVFS_URB_TYPE_BULK || urb.type == USBDEVFS_URB_TYPE_INTERRUPT) {
    const std::optional<int> interface = claims_.InterfaceOfEndpoint(urb.endpoint);
    if (!interface.has_value()) return Answer::Fail(ENOENT);
    const Answer use = claims_.Use(client, *interface);
    if (use.result < 0) return use;
    transfer.endpoint = urb.endpoint;
    transfer.zero_packet = (urb.flags & USBDEVFS_URB_ZERO_PACKET) != 0;
    transfer.length = size;
    if ((urb.endpoint & 0x80) == 0 && size != 0) {
      transfer.data.assign(buffer->data, buffer->data + size);
    }
  } else {
    return Answer::Fail(EINVAL);
  }
  pending_[transfer.id] = {
      client, static_cast<UMockdevIoctlData*>(g_object_ref(data)),
      buffer == nullptr ? nullptr : static_cast<UMockdevIoctlData*>(g_object_ref(buffer))};
  queue_.Submit(clock_.Monotonic(), std::move(transfer));
  CollectCompleted();
  return {};
}

UsbfsNode::Answer UsbfsNode::Discard(UMockdevIoctlClient* client, unsigned long address) {
  for (const auto& [id, urb] : pending_) {
    if (urb.client != client || urb.urb->client_addr != address) continue;
    queue_.Cancel(clock_.Monotonic(), id, -ENOENT);
    CollectCompleted();
    return {};
  }
  return Answer::Fail(EINVAL);
}

UsbfsNode::Answer UsbfsNode::Reap(UMockdevIoctlClient* client, UMockdevIoctlData* argument) {
  const auto found =
      std::find_if(reapable_.begin(), reapable_.end(),
                   [client](const Reapable& reapable) { return reapable.urb.client == client; });
  if (found == reapable_.end()) {
    ++statistics_.useless_reaps;
    return Answer::Fail(gone_ ? ENODEV : EAGAIN);
  }
  g_autoptr(GObject) resolved =
      G_OBJECT(umockdev_ioctl_data_resolve(argument, 0, sizeof(void*), nullptr));
  if (resolved == nullptr) return Answer::Fail(EFAULT);
  Reapable reaped = std::move(*found);
  reapable_.erase(found);
  auto& urb = As<usbdevfs_urb>(reaped.urb.urb);
  urb.status = reaped.completion.status;
  urb.actual_length = static_cast<int>(reaped.completion.actual);
  if (!reaped.completion.data.empty() && reaped.urb.buffer != nullptr) {
    const size_t offset = urb.type == USBDEVFS_URB_TYPE_CONTROL ? kSetupSize : 0;
    std::copy(reaped.completion.data.begin(), reaped.completion.data.end(),
              reaped.urb.buffer->data + offset);
  }
  umockdev_ioctl_data_set_ptr(reinterpret_cast<UMockdevIoctlData*>(resolved), 0, reaped.urb.urb);
  Forget(reaped.urb);
  pipe_.SetWritable(!reapable_.empty());
  return {};
}

}  // namespace kiln::simulator
