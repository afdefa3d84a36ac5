#ifndef KILN_BASE_RANDOM_H_
#define KILN_BASE_RANDOM_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace kiln::base {

// The only source of randomness, so that tests can choose it. Implementations
// are thread-safe.
class RandomSource {
 public:
  virtual ~RandomSource() = default;
  // Fills `bytes` completely; INTERNAL when the system has no randomness to
  // give.
  virtual absl::Status Fill(absl::Span<uint8_t> bytes) = 0;
};

// The operating system's CSPRNG through OpenSSL's RAND_bytes; never destroyed.
RandomSource& SystemRandom();

// A random UUID of version 4 (RFC 9562, section 5.4) in lower case with
// hyphens.
std::string RandomUuid(RandomSource& random);

}  // namespace kiln::base

#endif  // KILN_BASE_RANDOM_H_
