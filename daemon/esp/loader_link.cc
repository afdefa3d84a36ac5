#include "daemon/esp/loader_link.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/cancellation.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "daemon/esp/loader_protocol.h"
#include "daemon/ports/byte_stream.h"
#include "errors/error.h"

namespace kiln::esp {
namespace {

using errors::ErrorCode;

// How long a wait may last before cancellation is looked at again.
constexpr absl::Duration kCancellationInterval = absl::Milliseconds(200);
// A loader repeats some answers eight times; more frames than this in one wait are not a loader.
constexpr int kMaxSkippedFrames = 200;
// Bytes one wait may consume without finding its answer: a program that prints without end.
constexpr size_t kMaxSkippedBytes = size_t{64} * 1024;
constexpr size_t kMaxTranscriptBytes = 4096;
// How often a wait counts the measured way to a far port and back: networks are not always as quick
// as they were when the port was opened.
constexpr int kRoundTrips = 3;

}  // namespace

absl::Duration TimeoutFor(uint64_t bytes, absl::Duration per_mebibyte) {
  constexpr double kMebibyte = 1024 * 1024;
  return std::max(kDefaultTimeout, per_mebibyte * (static_cast<double>(bytes) / kMebibyte));
}

LoaderLink::LoaderLink(ports::ByteStream& stream, base::Clock& clock,
                       const base::Cancellation& cancellation)
    : stream_(stream),
      clock_(clock),
      cancellation_(cancellation),
      decoder_(kMaxResponseFrameBytes) {}

absl::Status LoaderLink::SetBaudRate(uint32_t baud) {
  if (!traits().has_baud_rate) return absl::OkStatus();
  RETURN_IF_ERROR(stream_.SetBaudRate(baud)) << "changing to " << baud << " baud";
  baud_rate_ = baud;
  return absl::OkStatus();
}

absl::Status LoaderLink::DiscardInput() {
  received_ = {};
  decoder_.Reset();
  return stream_.DiscardInput();
}

absl::Status LoaderLink::Send(absl::Span<const uint8_t> frame) {
  RETURN_IF_ERROR(CheckCancelled());
  // Twice the time on the wire (8N1: ten bits a byte) above the usual patience.
  const absl::Duration on_wire =
      traits().has_baud_rate ? absl::Seconds(20.0 * static_cast<double>(frame.size()) / baud_rate_)
                             : absl::ZeroDuration();
  absl::Status written = stream_.Write(frame, kDefaultTimeout + on_wire);
  if (absl::IsDeadlineExceeded(written)) {
    return errors::MakeError(ErrorCode::kPortFailed, "the port takes no more bytes");
  }
  if (absl::IsCancelled(written)) {
    RETURN_IF_ERROR(CheckCancelled());
  }
  return written;
}

absl::Status LoaderLink::Receive(absl::Duration deadline, const std::string& what) {
  while (true) {
    RETURN_IF_ERROR(CheckCancelled());
    const absl::Duration left = deadline - clock_.Monotonic();
    if (left <= absl::ZeroDuration()) {
      return errors::MakeError(ErrorCode::kBoardSilent, absl::StrCat("no ", what, " in time"));
    }
    const absl::StatusOr<size_t> count =
        stream_.Read(absl::MakeSpan(buffer_), std::min(left, kCancellationInterval));
    if (count.ok()) {
      received_ = absl::MakeConstSpan(buffer_).subspan(0, *count);
      if (keep_transcript_) {
        absl::StrAppend(&transcript_, base::AsChars(received_));
        if (transcript_.size() > kMaxTranscriptBytes) {
          transcript_.erase(0, transcript_.size() - kMaxTranscriptBytes);
        }
      }
      return absl::OkStatus();
    }
    if (absl::IsCancelled(count.status())) {
      RETURN_IF_ERROR(CheckCancelled());
    }
    if (!absl::IsDeadlineExceeded(count.status())) return count.status();
  }
}

absl::Status LoaderLink::AwaitFrame(
    absl::Duration timeout, const std::string& what,
    absl::FunctionRef<absl::StatusOr<bool>(absl::Span<const uint8_t>)> accept) {
  const absl::Duration deadline = clock_.Monotonic() + timeout + kRoundTrips * traits().round_trip;
  size_t bytes = 0;
  for (int frames = 0; frames < kMaxSkippedFrames;) {
    while (auto frame = decoder_.Next(received_)) {
      ASSIGN_OR_RETURN(const bool accepted, accept(*frame));
      if (accepted) return absl::OkStatus();
      ++frames;
    }
    if (bytes > kMaxSkippedBytes) break;
    RETURN_IF_ERROR(Receive(deadline, what));
    bytes += received_.size();
  }
  return errors::MakeError(ErrorCode::kProtocolError,
                           absl::StrCat("no ", what, " among ", bytes, " bytes from the board"));
}

absl::StatusOr<LoaderAnswer> LoaderLink::Await(LoaderCommand command, absl::Duration timeout) {
  LoaderAnswer answer;
  RETURN_IF_ERROR(AwaitFrame(timeout, absl::StrCat("answer to ", LoaderCommandName(command)),
                             [&](absl::Span<const uint8_t> frame) -> absl::StatusOr<bool> {
                               const std::optional<LoaderResponse> response = ParseResponse(frame);
                               if (!response.has_value() || response->command != command) {
                                 return false;
                               }
                               answer.value = response->value;
                               answer.payload.assign(response->payload.begin(),
                                                     response->payload.end());
                               return true;
                             }));
  return answer;
}

absl::StatusOr<LoaderAnswer> LoaderLink::AwaitSuccess(LoaderCommand command, size_t data_bytes,
                                                      absl::Duration timeout) {
  ASSIGN_OR_RETURN(LoaderAnswer answer, Await(command, timeout));
  const std::optional<LoaderStatus> status =
      StatusOf(LoaderResponse{command, answer.value, answer.payload}, data_bytes);
  if (!status.has_value()) {
    return errors::MakeError(
        ErrorCode::kProtocolError,
        absl::StrCat(LoaderCommandName(command), ": an answer of ", answer.payload.size(),
                     " bytes where ", data_bytes, " and a status belong"));
  }
  if (!status->ok()) {
    return errors::MakeError(
        ErrorCode::kProtocolError,
        absl::StrCat(LoaderCommandName(command), " refused: ", DescribeLoaderStatus(*status)));
  }
  return answer;
}

absl::StatusOr<LoaderAnswer> LoaderLink::Transact(LoaderCommand command,
                                                  absl::Span<const uint8_t> payload,
                                                  size_t data_bytes, absl::Duration timeout) {
  EncodeRequest(command, payload, encoder_);
  RETURN_IF_ERROR(Send(encoder_.frame())) << "sending " << LoaderCommandName(command);
  return AwaitSuccess(command, data_bytes, timeout);
}

absl::Status LoaderLink::AwaitGreeting(absl::Duration timeout) {
  return AwaitFrame(timeout, "greeting of the stub",
                    [](absl::Span<const uint8_t> frame) -> absl::StatusOr<bool> {
                      if (frame == StubGreeting()) return true;
                      const std::optional<LoaderResponse> response = ParseResponse(frame);
                      if (response.has_value() && response->command == LoaderCommand::kMemEnd) {
                        const std::optional<LoaderStatus> status = StatusOf(*response, 0);
                        if (status.has_value() && !status->ok()) {
                          return errors::MakeError(
                              ErrorCode::kProtocolError,
                              absl::StrCat("MEM_END refused: ", DescribeLoaderStatus(*status)));
                        }
                      }
                      return false;
                    });
}

void LoaderLink::StartTranscript() {
  transcript_.clear();
  keep_transcript_ = true;
}

void LoaderLink::StopTranscript() { keep_transcript_ = false; }

}  // namespace kiln::esp
