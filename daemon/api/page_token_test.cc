#include "daemon/api/page_token.h"

#include <string>

#include "absl/strings/ascii.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::api {
namespace {

TEST(PageTokenTest, CursorComesBackForTheSameQuery) {
  for (const std::string& cursor : {std::string("0"), std::string("usb-1-2.3"),
                                    std::string("\x00\xff", 2), std::string(256, 'x')}) {
    const std::string token = MakePageToken("query", cursor);
    const auto parsed = ParsePageToken(token, "query");
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, cursor);
  }
}

TEST(PageTokenTest, TokenIsUrlSafe) {
  const std::string token = MakePageToken("query", std::string("\xfb\xff\xfe?>", 5));
  for (const char c : token) {
    EXPECT_TRUE(absl::ascii_isalnum(c) || c == '-' || c == '_') << token;
  }
}

TEST(PageTokenTest, EmptyTokenIsTheFirstPage) {
  const auto parsed = ParsePageToken("", "query");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed, "");
}

TEST(PageTokenTest, BadTokensAreRequestInvalid) {
  const std::string good = MakePageToken("query", "cursor");
  std::string flipped = good;
  flipped[good.size() / 2] = flipped[good.size() / 2] == 'A' ? 'B' : 'A';
  const std::string cases[] = {MakePageToken("another query", "cursor"),
                               flipped,
                               good.substr(0, good.size() - 2),
                               good + "AAAA",
                               "not a token",
                               "0",
                               "====",
                               std::string(10'000, 'A')};
  for (const std::string& token : cases) {
    const auto parsed = ParsePageToken(token, "query");
    ASSERT_FALSE(parsed.ok()) << token;
    EXPECT_TRUE(errors::Is(parsed.status(), errors::ErrorCode::kRequestInvalid)) << token;
  }
}

TEST(PageTokenTest, QueryAndCursorDoNotRunIntoEachOther) {
  const std::string token = MakePageToken("ab", "c");
  EXPECT_FALSE(ParsePageToken(token, "a").ok());
}

TEST(PageTokenTest, SizesAreClamped) {
  EXPECT_EQ(*PageSize(0, 50), 50);
  EXPECT_EQ(*PageSize(1, 50), 1);
  EXPECT_EQ(*PageSize(1000, 50), 1000);
  EXPECT_EQ(*PageSize(2'000'000'000, 50), 1000);
  EXPECT_TRUE(errors::Is(PageSize(-1, 50).status(), errors::ErrorCode::kRequestInvalid));
}

}  // namespace
}  // namespace kiln::api
