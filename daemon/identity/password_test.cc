#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/random.h"
#include "daemon/identity/identity.h"
#include "errors/error.h"
#include "gtest/gtest.h"

namespace kiln::identity {
namespace {

// Bytes of a generator with a fixed seed, the same on every machine.
class SeededRandom final : public base::RandomSource {
 public:
  absl::Status Fill(absl::Span<uint8_t> bytes) override {
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(engine_() >> 24);
    return absl::OkStatus();
  }

 private:
  std::mt19937 engine_{20261121};
};

class ConstantRandom final : public base::RandomSource {
 public:
  ConstantRandom(uint8_t value, absl::Status status) : value_(value), status_(status) {}
  absl::Status Fill(absl::Span<uint8_t> bytes) override {
    std::fill(bytes.begin(), bytes.end(), value_);
    return status_;
  }

 private:
  const uint8_t value_;
  const absl::Status status_;
};

TEST(PasswordTest, HasTheLengthAskedForFromUnambiguousCharacters) {
  for (int length = 12; length <= 63; ++length) {
    const auto password = MakePassword(base::SystemRandom(), length);
    ASSERT_TRUE(password.ok()) << password.status();
    EXPECT_EQ(password->size(), static_cast<size_t>(length));
    EXPECT_EQ(
        password->find_first_not_of("23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"),
        std::string::npos)
        << *password;
  }
}

TEST(PasswordTest, FavoursNoCharacter) {
  std::map<char, int> counts;
  SeededRandom random;
  for (int round = 0; round < 4000; ++round) {
    const auto password = MakePassword(random, 63);
    ASSERT_TRUE(password.ok()) << password.status();
    for (const char c : *password) ++counts[c];
  }
  EXPECT_EQ(counts.size(), 57u);
  const auto by_count = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end(), by_count);
  // About 4400 of each, give or take 66. With byte % 57 of all 256 bytes, the first 28 characters
  // would come up 5 times for every 4 of the others.
  EXPECT_LT(most->second, least->second * 1.15)
      << least->first << " " << least->second << ", " << most->first << " " << most->second;
}

TEST(PasswordTest, ThrowsUnfairBytesAway) {
  // 228 is the first byte that has no full round of the alphabet behind it.
  ConstantRandom last_fair(227, absl::OkStatus());
  EXPECT_EQ(MakePassword(last_fair, 12).value(), std::string(12, 'z'));
  ConstantRandom unfair(228, absl::OkStatus());
  EXPECT_EQ(MakePassword(unfair, 12).status().code(), absl::StatusCode::kInternal);
}

TEST(PasswordTest, FailsWithTheSource) {
  ConstantRandom broken(1, absl::InternalError("no entropy"));
  EXPECT_EQ(MakePassword(broken, 12).status().code(), absl::StatusCode::kInternal);
}

TEST(PasswordTest, RefusesLengthsOutOfRange) {
  for (const int length : {-1, 0, 8, 11, 64}) {
    EXPECT_TRUE(errors::Is(MakePassword(base::SystemRandom(), length).status(),
                           errors::ErrorCode::kRequestInvalid))
        << length;
  }
}

TEST(PasswordTest, TwoAreNeverTheSame) {
  EXPECT_NE(MakePassword(base::SystemRandom(), 14).value(),
            MakePassword(base::SystemRandom(), 14).value());
}

}  // namespace
}  // namespace kiln::identity
