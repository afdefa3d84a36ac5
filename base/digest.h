#ifndef KILN_BASE_DIGEST_H_
#define KILN_BASE_DIGEST_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kiln::base {

using Sha256Digest = std::array<uint8_t, 32>;
using Md5Digest = std::array<uint8_t, 16>;

inline absl::Span<const uint8_t> AsBytes(absl::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline absl::string_view AsChars(absl::Span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Sha256Digest Sha256(absl::Span<const uint8_t> bytes);
// MD5 only because the chips' loaders answer with it; never for security.
Md5Digest Md5(absl::Span<const uint8_t> bytes);

// Lower-case hexadecimal, two digits a byte.
std::string HexOf(absl::Span<const uint8_t> bytes);

// SHA-256 over data that arrives in pieces. One thread at a time.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;

  void Update(absl::Span<const uint8_t> bytes);
  // The digest of everything so far. Call once; the stream is spent afterwards.
  Sha256Digest Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace kiln::base

#endif  // KILN_BASE_DIGEST_H_
