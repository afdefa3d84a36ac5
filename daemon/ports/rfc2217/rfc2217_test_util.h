#ifndef KILN_DAEMON_PORTS_RFC2217_RFC2217_TEST_UTIL_H_
#define KILN_DAEMON_PORTS_RFC2217_RFC2217_TEST_UTIL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "daemon/ports/byte_stream.h"
#include "gtest/gtest.h"

// What the tests of both ends of RFC 2217 share.
namespace kiln::ports {

using Bytes = std::vector<uint8_t>;

// Only a failing test waits for it.
inline constexpr absl::Duration kPatience = absl::Seconds(30);

inline void AwaitTrue(absl::FunctionRef<bool()> condition) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!condition() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_TRUE(condition());
}

// At least `size` bytes, or what came before the error, and the error.
inline std::string ReadText(ByteStream& stream, size_t size) {
  std::string text;
  Bytes buffer(4096);
  while (text.size() < size) {
    const auto count = stream.Read(absl::MakeSpan(buffer), kPatience);
    if (!count.ok()) return absl::StrCat(text, " then ", count.status().ToString());
    text.append(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(*count));
  }
  return text;
}

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_RFC2217_RFC2217_TEST_UTIL_H_
