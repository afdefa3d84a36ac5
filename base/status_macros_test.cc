#include "base/status_macros.h"

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "gtest/gtest.h"

namespace kiln::base {
namespace {

absl::StatusOr<int> Half(int value) {
  if (value % 2 == 0) return value / 2;
  absl::Status status = absl::InvalidArgumentError("odd");
  status.SetPayload("kiln.test/payload", absl::Cord("kept"));
  return status;
}

absl::StatusOr<int> Quarter(int value) {
  ASSIGN_OR_RETURN(const int half, Half(value));
  ASSIGN_OR_RETURN(int quarter, Half(half), _ << "halving " << half);
  return quarter;
}

absl::Status Check(int value) {
  RETURN_IF_ERROR(Half(value).status()) << "checking " << value;
  return absl::OkStatus();
}

TEST(StatusMacrosTest, PassValuesThrough) {
  EXPECT_EQ(Quarter(12).value(), 3);
  EXPECT_TRUE(Check(2).ok());
}

TEST(StatusMacrosTest, ReturnTheErrorUnchangedWithoutContext) {
  EXPECT_EQ(Quarter(3).status().message(), "odd");
}

TEST(StatusMacrosTest, PutContextInFrontAndKeepCodeAndPayload) {
  const absl::Status status = Quarter(6).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "halving 3: odd");
  EXPECT_EQ(status.GetPayload("kiln.test/payload"), absl::Cord("kept"));
  EXPECT_EQ(Check(5).message(), "checking 5: odd");
}

}  // namespace
}  // namespace kiln::base
