#include "daemon/pipeline/messages.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/safe_text.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/image/nvs_value.h"
#include "daemon/pipeline/details.pb.h"
#include "daemon/pipeline/step.h"
#include "errors/error.h"
#include "errors/failure_message.h"
#include "google/protobuf/timestamp.pb.h"

namespace kiln::pipeline {
namespace {

bool IsSet(absl::Time time) { return time > absl::UnixEpoch() && time < absl::InfiniteFuture(); }

v1::Deployment::State StateOf(storage::DeploymentState state) {
  switch (state) {
    case storage::DeploymentState::kPending:
      return v1::Deployment::STATE_PENDING;
    case storage::DeploymentState::kRunning:
      return v1::Deployment::STATE_RUNNING;
    case storage::DeploymentState::kSucceeded:
      return v1::Deployment::STATE_SUCCEEDED;
    case storage::DeploymentState::kFailed:
      return v1::Deployment::STATE_FAILED;
    case storage::DeploymentState::kCanceled:
      return v1::Deployment::STATE_CANCELED;
    case storage::DeploymentState::kNeedsAttention:
      return v1::Deployment::STATE_NEEDS_ATTENTION;
  }
  return v1::Deployment::STATE_UNSPECIFIED;
}

// Names as ESP-IDF's gen_esp32part.py has them (ESP-IDF Programming Guide, "Partition Tables").
std::string TypeName(uint8_t type) {
  if (type == 0) return "app";
  if (type == 1) return "data";
  return absl::StrFormat("0x%02x", type);
}

std::string SubtypeName(uint8_t type, uint8_t subtype) {
  if (type == 0) {
    if (subtype == 0) return "factory";
    if (subtype == 0x20) return "test";
    if (subtype >= 0x10 && subtype <= 0x1f) return absl::StrCat("ota_", subtype - 0x10);
  } else if (type == 1) {
    switch (subtype) {
      case 0x00:
        return "ota";
      case 0x01:
        return "phy";
      case 0x02:
        return "nvs";
      case 0x03:
        return "coredump";
      case 0x04:
        return "nvs_keys";
      case 0x05:
        return "efuse";
      case 0x81:
        return "fat";
      case 0x82:
        return "spiffs";
      case 0x83:
        return "littlefs";
      default:
        break;
    }
  }
  return absl::StrFormat("0x%02x", subtype);
}

}  // namespace

void SetTimestamp(google::protobuf::Timestamp* message, absl::Time time) {
  // Truncated towards the past, so that nanos are never negative.
  const int64_t micros = absl::ToUnixMicros(time);
  int64_t seconds = micros / 1'000'000;
  int64_t rest = micros % 1'000'000;
  if (rest < 0) {
    rest += 1'000'000;
    --seconds;
  }
  message->set_seconds(seconds);
  message->set_nanos(static_cast<int32_t>(rest * 1000));
}

v1::Failure ToMessage(errors::ErrorCode code, const std::string& detail) {
  return errors::FailureMessage(code, detail, kMaxDetailBytes);
}

v1::Deployment ToMessage(const storage::Deployment& deployment) {
  v1::Deployment message;
  if (!deployment.id.empty()) message.set_name(absl::StrCat("deployments/", deployment.id));
  message.set_request_id(deployment.request_id);
  v1::Customer* customer = message.mutable_customer();
  customer->set_organization(deployment.organization);
  customer->set_customer_id(deployment.customer_id);
  customer->set_application_name(deployment.application_name);
  customer->set_expiry_date(deployment.expiry_date);
  if (!deployment.bundle_id.empty()) {
    message.set_bundle(absl::StrCat("bundles/", deployment.bundle_id));
  }
  message.set_requested_port(deployment.requested_port);
  message.set_port(deployment.port);
  message.set_state(StateOf(deployment.state));
  if (v1::Step_IsValid(deployment.step)) message.set_step(static_cast<v1::Step>(deployment.step));
  DeploymentDetails details;
  if (details.ParseFromString(deployment.details)) {
    *message.mutable_steps() = details.steps();
    if (details.has_flash()) *message.mutable_flash() = details.flash();
  }
  message.set_progress_percent(deployment.progress_percent);
  message.set_attempt(deployment.attempt);
  message.set_cancel_requested(deployment.cancel_requested);
  message.set_chip(deployment.chip);
  message.set_mac(deployment.mac);
  message.set_flash_size_bytes(deployment.flash_size_bytes);
  message.set_wifi_ssid(deployment.wifi_ssid);
  message.set_has_wifi_password(deployment.has_wifi_password || !deployment.wifi_password.empty());
  if (!deployment.error_code.empty()) {
    // A name this version does not know (a ledger from a newer one) is still shown, as Internal.
    const auto code = errors::ParseErrorCode(deployment.error_code);
    *message.mutable_failure() =
        ToMessage(code.value_or(errors::ErrorCode::kInternal), deployment.error_detail);
    message.mutable_failure()->set_code(deployment.error_code);
  }
  message.set_record_path(deployment.record_path);
  if (IsSet(deployment.create_time)) {
    SetTimestamp(message.mutable_create_time(), deployment.create_time);
  }
  if (IsSet(deployment.update_time)) {
    SetTimestamp(message.mutable_update_time(), deployment.update_time);
  }
  if (IsSet(deployment.start_time)) {
    SetTimestamp(message.mutable_start_time(), deployment.start_time);
  }
  if (IsSet(deployment.end_time)) SetTimestamp(message.mutable_end_time(), deployment.end_time);
  message.set_sequence(deployment.sequence);
  if (!deployment.batch_id.empty()) {
    message.set_batch(absl::StrCat("batches/", deployment.batch_id));
    message.set_batch_slot(deployment.batch_slot);
  }
  return message;
}

v1::UsbConnection ToMessage(const boards::UsbFacts& usb) {
  v1::UsbConnection message;
  message.set_vendor_id(usb.vendor);
  message.set_product_id(usb.product);
  message.set_topology(usb.topology);
  message.set_hub(usb.hub);
  message.set_hub_port(static_cast<uint32_t>(usb.hub_port));
  message.set_hub_port_count(static_cast<uint32_t>(usb.hub_ports));
  message.set_depth(static_cast<uint32_t>(usb.depth));
  message.set_speed_mbps(usb.speed_mbit);
  message.set_max_power_ma(static_cast<uint32_t>(usb.max_power_ma));
  message.set_power_switch(usb.power_switch);
  message.set_driver(usb.own_driver ? v1::UsbConnection::DRIVER_KILN
                                    : v1::UsbConnection::DRIVER_KERNEL);
  message.set_kernel_driver(usb.kernel_driver);
  message.set_driver_reason(usb.driver_reason);
  return message;
}

v1::Board ToMessage(const boards::BoardInfo& board, const std::string& running) {
  v1::Board message;
  message.set_name(absl::StrCat("boards/", board.port));
  message.set_port(board.port);
  message.set_alias(board.alias);
  message.set_address(board.address);
  message.set_adapter(base::SafeText(board.adapter, kMaxDetailBytes));
  message.set_chip(board.chip);
  message.set_mac(board.mac);
  message.set_flash_size_bytes(board.flash_size_bytes);
  if (!running.empty()) message.set_deployment(absl::StrCat("deployments/", running));
  if (!board.present) {
    message.set_state(v1::Board::STATE_ABSENT);
  } else if (!running.empty()) {
    message.set_state(v1::Board::STATE_BUSY);
  } else if (!board.usable.ok()) {
    message.set_state(v1::Board::STATE_UNUSABLE);
    *message.mutable_failure() =
        ToMessage(errors::CodeOf(board.usable), std::string(board.usable.message()));
  } else {
    message.set_state(v1::Board::STATE_READY);
  }
  if (IsSet(board.change_time)) SetTimestamp(message.mutable_change_time(), board.change_time);
  if (board.usb.has_value()) *message.mutable_usb() = ToMessage(*board.usb);
  return message;
}

v1::Bundle ToMessage(const firmware::Bundle& bundle) {
  v1::Bundle message;
  message.set_name(absl::StrCat("bundles/", bundle.id));
  message.set_id(bundle.id);
  message.set_title(bundle.title);
  message.set_version(bundle.version);
  message.set_chip(std::string(esp::TraitsOf(bundle.chip).name));
  for (const firmware::BundleImage& image : bundle.images) {
    v1::Image* out = message.add_images();
    out->set_label(image.label);
    out->set_offset(image.offset);
    out->set_size(image.size);
    out->set_sha256(image.sha256);
  }
  for (const firmware::Partition& partition : bundle.partitions) {
    v1::Partition* out = message.add_partitions();
    out->set_label(partition.label);
    out->set_type(TypeName(partition.type));
    out->set_subtype(SubtypeName(partition.type, partition.subtype));
    out->set_offset(partition.offset);
    out->set_size(partition.size);
  }
  message.set_total_bytes(bundle.total_bytes());
  for (const esp::NvsValue& value : bundle.nvs_values) {
    v1::NvsValue* out = message.add_nvs_values();
    out->set_namespace_(value.nvs_namespace);
    out->set_key(value.key);
    out->set_type(std::string(esp::NvsTypeOf(value)));
    out->set_value(esp::NvsTextOf(value));
  }
  v1::Provenance* provenance = message.mutable_provenance();
  provenance->set_source_kind(bundle.provenance.source_kind);
  provenance->set_source_name(bundle.provenance.source_name);
  provenance->set_source_sha256(bundle.provenance.source_sha256);
  for (const auto& [key, value] : bundle.provenance.facts) {
    (*provenance->mutable_facts())[key] = value;
  }
  message.set_state(bundle.retired ? v1::Bundle::STATE_RETIRED : v1::Bundle::STATE_ACTIVE);
  if (IsSet(bundle.create_time)) SetTimestamp(message.mutable_create_time(), bundle.create_time);
  return message;
}

absl::StatusOr<v1::Event> ToMessage(const storage::EventRecord& record) {
  v1::Event event;
  // One bad row must not close the streams that pass it: its number, time and kind still stand.
  if (!event.ParseFromString(record.payload)) event.Clear();
  event.set_sequence(record.sequence);
  SetTimestamp(event.mutable_time(), record.time);
  if (v1::EventKind_IsValid(record.kind)) event.set_kind(static_cast<v1::EventKind>(record.kind));
  return event;
}

storage::EventDraft DraftOf(const v1::Event& event, const std::string& subject) {
  v1::Event stored = event;
  stored.clear_sequence();
  stored.clear_time();
  return {.kind = event.kind(), .subject = subject, .payload = stored.SerializeAsString()};
}

std::string DeploymentPayload(const storage::Deployment& deployment) {
  v1::Event event;
  event.set_kind(v1::EVENT_KIND_DEPLOYMENT);
  *event.mutable_deployment() = ToMessage(deployment);
  return event.SerializeAsString();
}

}  // namespace kiln::pipeline
