#include "simulator/usb/usbip_session.h"

#include <cerrno>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/little_endian.h"
#include "base/status_macros.h"

namespace kiln::simulator {
namespace {

UsbSetup DecodeSetup(const uint8_t* setup) {
  return {.type = setup[0],
          .request = setup[1],
          .value = base::LoadLe16(setup + 2),
          .index = base::LoadLe16(setup + 4),
          .length = base::LoadLe16(setup + 6)};
}

}  // namespace

absl::Status UsbIpSession::FromHost(absl::Duration now, absl::Span<const uint8_t> bytes) {
  decoder_.Append(bytes);
  while (true) {
    ASSIGN_OR_RETURN(std::optional<UsbIpCommand> command, decoder_.Next());
    if (!command.has_value()) break;
    if (command->unlinks.has_value()) {
      Unlink(now, *command);
    } else {
      Submit(now, *std::move(command));
    }
  }
  AnswerCompleted();
  return absl::OkStatus();
}

void UsbIpSession::Advance(absl::Duration now) {
  queue_.Advance(now);
  AnswerCompleted();
}

void UsbIpSession::Submit(absl::Duration now, UsbIpCommand command) {
  UsbTransfer transfer;
  transfer.id = command.sequence;
  transfer.endpoint = command.endpoint;
  if ((command.endpoint & 0x7F) == 0) {
    transfer.endpoint = 0;
    transfer.setup = DecodeSetup(command.setup);
  }
  transfer.length = command.to_host() ? command.length : 0;
  transfer.data = std::move(command.data);
  transfer.zero_packet = command.zero_packet;
  queue_.Submit(now, std::move(transfer));
}

void UsbIpSession::Unlink(absl::Duration now, const UsbIpCommand& command) {
  AnswerCompleted();
  int32_t status = 0;  // answered before
  if (queue_.Cancel(now, *command.unlinks, -ECONNRESET)) {
    const std::optional<UsbCompletion> taken_back = queue_.TakeCompleted();
    if (taken_back.has_value() && !taken_back->data.empty()) {
      // The answer to an unlink has no room for bytes, and what the device has given must not be
      // lost: the transfer ends with them, just before it would have been given up.
      Answer(EncodeUsbIpSubmitAnswer(*command.unlinks, 0, static_cast<uint32_t>(taken_back->actual),
                                     taken_back->data));
    } else {
      status = -ECONNRESET;
    }
  }
  Answer(EncodeUsbIpUnlinkAnswer(command.sequence, status));
}

void UsbIpSession::AnswerCompleted() {
  while (const std::optional<UsbCompletion> completed = queue_.TakeCompleted()) {
    Answer(EncodeUsbIpSubmitAnswer(static_cast<uint32_t>(completed->id), completed->status,
                                   static_cast<uint32_t>(completed->actual), completed->data));
  }
}

void UsbIpSession::Answer(const std::vector<uint8_t>& message) {
  output_.insert(output_.end(), message.begin(), message.end());
}

}  // namespace kiln::simulator
