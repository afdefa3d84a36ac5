#include "base/random.h"

#include <openssl/rand.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kiln::base {
namespace {

class OpenSslRandom final : public RandomSource {
 public:
  absl::Status Fill(absl::Span<uint8_t> bytes) override {
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1) return absl::OkStatus();
    return absl::InternalError("the system's random number generator gave no bytes");
  }
};

}  // namespace

RandomSource& SystemRandom() {
  static OpenSslRandom* const random = new OpenSslRandom();
  return *random;
}

std::string RandomUuid(RandomSource& random) {
  std::array<uint8_t, 16> bytes;
  // A station without randomness can make neither passwords nor ids: nothing
  // sensible is left to do.
  if (!random.Fill(absl::MakeSpan(bytes)).ok()) std::abort();
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3f) | 0x80);
  const std::string hex = absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-",
                      hex.substr(16, 4), "-", hex.substr(20));
}

}  // namespace kiln::base
