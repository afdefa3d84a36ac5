#include "base/safe_text.h"

#include <cstddef>
#include <string>

#include "gtest/gtest.h"

namespace kiln::base {
namespace {

TEST(SafeTextTest, KeepsUtf8AndReplacesTheRest) {
  const struct {
    std::string text;
    size_t max_bytes;
    std::string want;
  } cases[] = {
      {"แผงวงจร\n2", 100, "แผงวงจร\n2"},
      {"a\xff\x80z", 100, "a??z"},
      {"\xed\xa0\x80", 100, "???"},  // a surrogate
      {"\xc0\xaf", 100, "??"},       // longer than it need be
      {std::string("a\x1b[2J\0b", 7), 100, "a?[2J?b"},
      {"แผ", 5, "แ"},  // cut between characters
      {"\xe0\xb8", 100, "??"},
      {"", 0, ""},
  };
  for (const auto& c : cases) EXPECT_EQ(SafeText(c.text, c.max_bytes), c.want) << c.text;
}

}  // namespace
}  // namespace kiln::base
