#include "simulator/usb/usbip_wire.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"

namespace kiln::simulator {
namespace {

constexpr uint32_t kSubmit = 1;
constexpr uint32_t kUnlink = 2;
constexpr uint32_t kSubmitAnswer = 3;
constexpr uint32_t kUnlinkAnswer = 4;

// Offsets in the header. The first five words are common to all messages.
constexpr size_t kCommandAt = 0;
constexpr size_t kSequenceAt = 4;
constexpr size_t kDirectionAt = 12;
constexpr size_t kEndpointAt = 16;
// Of a submit.
constexpr size_t kFlagsAt = 20;
constexpr size_t kLengthAt = 24;
constexpr size_t kPacketsAt = 32;
constexpr size_t kSetupAt = 40;
// Of an unlink.
constexpr size_t kVictimAt = 20;
// Of the answers.
constexpr size_t kStatusAt = 20;
constexpr size_t kActualAt = 24;
constexpr size_t kAnswerPacketsAt = 32;

constexpr uint32_t kMaxEndpoint = 15;
// Of the flags: URB_ZERO_PACKET.
constexpr uint32_t kZeroPacket = 0x40;
// "No isochronous packets", beside 0.
constexpr uint32_t kNoPackets = 0xFFFFFFFF;

uint32_t LoadBe32(const uint8_t* bytes) {
  return (uint32_t{bytes[0]} << 24) | (uint32_t{bytes[1]} << 16) | (uint32_t{bytes[2]} << 8) |
         bytes[3];
}

void StoreBe32(uint8_t* bytes, uint32_t value) {
  bytes[0] = static_cast<uint8_t>(value >> 24);
  bytes[1] = static_cast<uint8_t>(value >> 16);
  bytes[2] = static_cast<uint8_t>(value >> 8);
  bytes[3] = static_cast<uint8_t>(value);
}

// The header of a submit, checked; its data is not in it.
absl::StatusOr<UsbIpCommand> DecodeSubmit(const uint8_t* header) {
  const uint32_t direction = LoadBe32(header + kDirectionAt);
  const uint32_t endpoint = LoadBe32(header + kEndpointAt);
  const uint32_t length = LoadBe32(header + kLengthAt);
  const uint32_t packets = LoadBe32(header + kPacketsAt);
  if (direction > 1) return absl::InvalidArgumentError(absl::StrCat("direction ", direction));
  if (endpoint > kMaxEndpoint)
    return absl::InvalidArgumentError(absl::StrCat("endpoint ", endpoint));
  if (length > UsbIpDecoder::kMaxTransfer) {
    return absl::InvalidArgumentError(absl::StrCat("a transfer of ", length, " bytes"));
  }
  if (packets != 0 && packets != kNoPackets) {
    return absl::InvalidArgumentError("an isochronous transfer");
  }
  UsbIpCommand command;
  command.sequence = LoadBe32(header + kSequenceAt);
  command.endpoint = static_cast<uint8_t>(endpoint | (direction << 7));
  command.length = length;
  command.zero_packet = (LoadBe32(header + kFlagsAt) & kZeroPacket) != 0;
  std::copy_n(header + kSetupAt, sizeof(command.setup), command.setup);
  return command;
}

std::vector<uint8_t> AnswerHeader(uint32_t kind, uint32_t sequence, int32_t status) {
  std::vector<uint8_t> header(UsbIpDecoder::kHeaderSize);
  StoreBe32(header.data() + kCommandAt, kind);
  StoreBe32(header.data() + kSequenceAt, sequence);
  StoreBe32(header.data() + kStatusAt, static_cast<uint32_t>(status));
  return header;
}

}  // namespace

void UsbIpDecoder::Append(absl::Span<const uint8_t> bytes) {
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin_));
  begin_ = 0;
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

absl::StatusOr<std::optional<UsbIpCommand>> UsbIpDecoder::Next() {
  const size_t available = buffer_.size() - begin_;
  if (available < kHeaderSize) return std::nullopt;
  const uint8_t* header = buffer_.data() + begin_;
  const uint32_t kind = LoadBe32(header + kCommandAt);
  if (kind == kUnlink) {
    UsbIpCommand command;
    command.sequence = LoadBe32(header + kSequenceAt);
    command.unlinks = LoadBe32(header + kVictimAt);
    begin_ += kHeaderSize;
    return command;
  }
  if (kind != kSubmit) return absl::InvalidArgumentError(absl::StrCat("command ", kind));
  absl::StatusOr<UsbIpCommand> command = DecodeSubmit(header);
  if (!command.ok()) return command.status();
  const size_t follows = command->to_host() ? 0 : command->length;
  if (available < kHeaderSize + follows) return std::nullopt;
  command->data.assign(header + kHeaderSize, header + kHeaderSize + follows);
  begin_ += kHeaderSize + follows;
  return *std::move(command);
}

std::vector<uint8_t> EncodeUsbIpSubmitAnswer(uint32_t sequence, int32_t status, uint32_t actual,
                                             absl::Span<const uint8_t> data) {
  std::vector<uint8_t> answer = AnswerHeader(kSubmitAnswer, sequence, status);
  StoreBe32(answer.data() + kActualAt, actual);
  StoreBe32(answer.data() + kAnswerPacketsAt, kNoPackets);
  answer.insert(answer.end(), data.begin(), data.end());
  return answer;
}

std::vector<uint8_t> EncodeUsbIpUnlinkAnswer(uint32_t sequence, int32_t status) {
  return AnswerHeader(kUnlinkAnswer, sequence, status);
}

}  // namespace kiln::simulator
