#include "daemon/api/rpc_error.h"

#include <string>

#include "absl/status/status.h"
#include "base/status_builder.h"
#include "daemon/api/wire/rpc_wire.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::api {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(RpcErrorTest, OkStaysOk) {
  const grpc::Status status = ToRpcStatus(absl::OkStatus());
  EXPECT_TRUE(status.ok());
  EXPECT_THAT(status.error_details(), IsEmpty());
}

TEST(RpcErrorTest, TypedErrorsKeepTheirCodeAndReason) {
  struct Case {
    errors::ErrorCode error;
    grpc::StatusCode code;
    std::string reason;
  };
  const Case cases[] = {
      {errors::ErrorCode::kDeploymentNotFound, grpc::StatusCode::NOT_FOUND, "DEPLOYMENT_NOT_FOUND"},
      {errors::ErrorCode::kRequestConflict, grpc::StatusCode::ALREADY_EXISTS, "REQUEST_CONFLICT"},
      {errors::ErrorCode::kStationBusy, grpc::StatusCode::RESOURCE_EXHAUSTED, "STATION_BUSY"},
      {errors::ErrorCode::kStationDraining, grpc::StatusCode::UNAVAILABLE, "STATION_DRAINING"},
      {errors::ErrorCode::kCustomerInvalid, grpc::StatusCode::INVALID_ARGUMENT, "CUSTOMER_INVALID"},
      {errors::ErrorCode::kDeploymentStateWrong, grpc::StatusCode::FAILED_PRECONDITION,
       "DEPLOYMENT_STATE_WRONG"},
      {errors::ErrorCode::kSequenceOutOfRange, grpc::StatusCode::OUT_OF_RANGE,
       "SEQUENCE_OUT_OF_RANGE"},
      {errors::ErrorCode::kReaderTooSlow, grpc::StatusCode::RESOURCE_EXHAUSTED, "READER_TOO_SLOW"},
      {errors::ErrorCode::kLedgerDamaged, grpc::StatusCode::DATA_LOSS, "LEDGER_DAMAGED"},
  };
  for (const Case& c : cases) {
    const grpc::Status status = ToRpcStatus(errors::MakeError(c.error, "why"));
    EXPECT_EQ(status.error_code(), c.code) << c.reason;
    EXPECT_EQ(status.error_message(), "why");
    const auto failure = rpc::FailureOf(status);
    ASSERT_TRUE(failure.ok()) << failure.status();
    EXPECT_EQ(failure->code(), c.reason);
  }
}

TEST(RpcErrorTest, UntypedErrorsGetTheNearestReason) {
  struct Case {
    absl::Status status;
    std::string reason;
  };
  const Case cases[] = {
      {absl::InvalidArgumentError("x"), "REQUEST_INVALID"},
      {absl::DeadlineExceededError("x"), "STEP_TIMED_OUT"},
      {absl::CancelledError("x"), "CANCELLED_BY_OPERATOR"},
      {absl::UnknownError("x"), "INTERNAL"},
      {absl::NotFoundError("x"), "INTERNAL"},
  };
  for (const Case& c : cases) {
    const grpc::Status status = ToRpcStatus(c.status);
    EXPECT_EQ(static_cast<int>(status.error_code()), static_cast<int>(c.status.code()));
    const auto failure = rpc::FailureOf(status);
    ASSERT_TRUE(failure.ok()) << failure.status();
    EXPECT_EQ(failure->code(), c.reason) << c.status;
  }
}

TEST(RpcErrorTest, FieldErrorNamesTheFieldEvenUnderMoreContext) {
  const absl::Status status =
      base::WithContext(FieldError("page_token", "is not from this list"), "listing boards");

  const grpc::Status rpc_status = ToRpcStatus(status);

  EXPECT_EQ(rpc_status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(rpc_status.error_message(), "listing boards: page_token: is not from this list");
  const auto violations = rpc::FieldViolationsOf(rpc_status);
  ASSERT_THAT(violations, SizeIs(1));
  EXPECT_EQ(violations[0].field, "page_token");
  EXPECT_EQ(violations[0].description, "is not from this list");
}

TEST(RpcErrorTest, CodesHaveNames) {
  EXPECT_EQ(RpcCodeName(grpc::StatusCode::OK), "OK");
  EXPECT_EQ(RpcCodeName(grpc::StatusCode::OUT_OF_RANGE), "OUT_OF_RANGE");
  EXPECT_EQ(RpcCodeName(grpc::StatusCode::UNAUTHENTICATED), "UNAUTHENTICATED");
  EXPECT_EQ(RpcCodeName(static_cast<grpc::StatusCode>(31)), "UNKNOWN");
}

}  // namespace
}  // namespace kiln::api
