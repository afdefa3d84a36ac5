#include "daemon/api/resource_name.h"

#include <string>

#include "errors/error.h"
#include "gtest/gtest.h"

namespace kiln::api {
namespace {

TEST(ResourceNameTest, IdIsTakenOutOfTheName) {
  const auto id = ParseResourceName("boards/usb-1-2.3", "boards");
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(*id, "usb-1-2.3");
}

TEST(ResourceNameTest, AnythingElseIsRequestInvalid) {
  const std::string cases[] = {"",
                               "boards",
                               "boards/",
                               "board/a",
                               "deployments/a",
                               "boards/a/b",
                               "boards/../x",
                               "/boards/a",
                               "boards/a b",
                               "boards/a\n",
                               std::string("boards/a\0b", 10),
                               "boards/ก",
                               "boards/" + std::string(129, 'a')};
  for (const std::string& name : cases) {
    const auto id = ParseResourceName(name, "boards");
    ASSERT_FALSE(id.ok()) << name;
    EXPECT_TRUE(errors::Is(id.status(), errors::ErrorCode::kRequestInvalid)) << name;
  }
}

TEST(ResourceNameTest, RequestIdsAreUuids) {
  EXPECT_TRUE(CheckRequestId("123e4567-e89b-42d3-a456-426614174000").ok());
  EXPECT_TRUE(CheckRequestId("123E4567-E89B-42D3-A456-426614174000").ok());
  for (const char* bad :
       {"", "1", "123e4567e89b42d3a456426614174000", "123e4567-e89b-42d3-a456-42661417400g",
        "123e4567-e89b-42d3-a456-4266141740000"}) {
    EXPECT_FALSE(CheckRequestId(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace kiln::api
