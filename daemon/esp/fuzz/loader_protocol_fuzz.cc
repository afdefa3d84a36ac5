// libFuzzer target: whatever arrives, the SLIP decoder and the response parser stay within their
// bounds, and what they deliver survives a round trip.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "daemon/esp/loader_protocol.h"
#include "daemon/esp/slip.h"

namespace {

constexpr size_t kMaxFrame = 256;

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using kiln::esp::SlipDecoder;
  using kiln::esp::SlipEncoder;
  SlipDecoder decoder(kMaxFrame);
  absl::Span<const uint8_t> input(data, size);
  while (const auto frame = decoder.Next(input)) {
    Require(!frame->empty() && frame->size() <= kMaxFrame);
    if (const auto response = kiln::esp::ParseResponse(*frame)) {
      Require(response->payload.size() + kiln::esp::kLoaderHeaderBytes == frame->size());
      for (const size_t data_bytes : {size_t{0}, size_t{16}, size_t{32}, size_t{70000}}) {
        if (const auto status = kiln::esp::StatusOf(*response, data_bytes)) {
          Require(!kiln::esp::DescribeLoaderStatus(*status).empty());
        }
      }
    }
    SlipEncoder encoder;
    encoder.Begin();
    encoder.Append(*frame);
    encoder.End();
    SlipDecoder again(kMaxFrame);
    absl::Span<const uint8_t> encoded = encoder.frame();
    const auto decoded = again.Next(encoded);
    Require(decoded.has_value() && *decoded == *frame && encoded.empty());
  }
  Require(input.empty());
  return 0;
}
