#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "daemon/identity/identity.h"
#include "errors/error.h"

namespace kiln::identity {
namespace {

// Letters and digits without 0 O 1 l I: 57 characters, 5.8 bits each, so that 12 of them hold 70.
constexpr absl::string_view kAlphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
// Bytes from here up would favour the first characters; they are thrown away.
constexpr size_t kFair = 256 / kAlphabet.size() * kAlphabet.size();
// The shortest Kiln gives and the longest WPA2 takes (IEEE 802.11, 8 to 63 ASCII characters).
constexpr int kMinLength = 12;
constexpr int kMaxLength = 63;
// A sound source throws away 1 byte in 9; one that fills this many buffers for nothing is broken.
constexpr int kMaxRefills = 32;

}  // namespace

absl::StatusOr<std::string> MakePassword(base::RandomSource& random, int length) {
  if (length < kMinLength || length > kMaxLength) {
    return errors::MakeError(errors::ErrorCode::kRequestInvalid,
                             absl::StrCat("a WiFi password of ", length, " characters; ",
                                          kMinLength, " to ", kMaxLength, " are possible"));
  }
  std::string password;
  std::array<uint8_t, 64> bytes;
  for (int refill = 0; refill < kMaxRefills; ++refill) {
    RETURN_IF_ERROR(random.Fill(absl::MakeSpan(bytes))) << "making a WiFi password";
    for (const uint8_t byte : bytes) {
      if (byte >= kFair) continue;
      password += kAlphabet[byte % kAlphabet.size()];
      if (password.size() == static_cast<size_t>(length)) return password;
    }
  }
  return absl::InternalError("the random number generator repeats itself; no password was made");
}

}  // namespace kiln::identity
