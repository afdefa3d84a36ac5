#include "clients/cli/session.h"

#include <sstream>

#include "clients/cli/exit_code.h"
#include "daemon/api/wire/rpc_wire.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::cli {
namespace {

using ::testing::HasSubstr;

struct Fixture {
  explicit Fixture(Language language, bool json = false)
      : session({.address = "unix:///nowhere", .language = language, .json = json}, out, err) {}
  std::ostringstream out;
  std::ostringstream err;
  Session session;
};

TEST(SessionTest, NamesAnUnreachableStationInThePersonsLanguage) {
  Fixture english(Language::kEnglish);
  EXPECT_EQ(english.session.Fail(grpc::Status(grpc::StatusCode::UNAVAILABLE, "no socket")),
            kExitUnreachable);
  EXPECT_THAT(english.err.str(), HasSubstr("The station cannot be reached. [STATION_UNREACHABLE]"));
  EXPECT_THAT(english.err.str(), HasSubstr("no socket"));

  Fixture thai(Language::kThai);
  thai.session.Fail(grpc::Status(grpc::StatusCode::UNAVAILABLE, ""));
  EXPECT_THAT(thai.err.str(), HasSubstr("เชื่อมต่อสถานีไม่ได้"));
  EXPECT_THAT(thai.err.str(), HasSubstr("วิธีแก้ไข:"));
}

TEST(SessionTest, ShowsTheFailureTheStationSent) {
  Fixture fixture(Language::kThai);
  const v1::Failure failure =
      rpc::FailureFrom(errors::ErrorCode::kCustomerInvalid, "customer_id: lower case");
  const grpc::Status status =
      rpc::EncodeFailure(grpc::StatusCode::INVALID_ARGUMENT, "", failure, {});
  EXPECT_EQ(fixture.session.Fail(status), kExitRefused);
  EXPECT_THAT(fixture.err.str(), HasSubstr("ข้อมูลลูกค้าไม่ถูกต้อง [CUSTOMER_INVALID]"));
  EXPECT_THAT(fixture.err.str(), HasSubstr("customer_id: lower case"));
}

TEST(SessionTest, TellsMachinesInJson) {
  Fixture fixture(Language::kEnglish, /*json=*/true);
  fixture.session.Fail(grpc::Status(grpc::StatusCode::UNAVAILABLE, ""));
  EXPECT_THAT(fixture.err.str(), HasSubstr("\"code\":\"STATION_UNREACHABLE\""));
}

TEST(ExitCodeTest, TellsScriptsWhatKindOfFailureItWas) {
  EXPECT_EQ(ExitCodeOf(grpc::Status::OK), kExitOk);
  EXPECT_EQ(ExitCodeOf(grpc::Status(grpc::StatusCode::NOT_FOUND, "")), kExitNotFound);
  EXPECT_EQ(ExitCodeOf(grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "")), kExitRefused);
  EXPECT_EQ(ExitCodeOf(grpc::Status(grpc::StatusCode::INTERNAL, "")), kExitInternal);
}

TEST(NamesTest, AcceptIdsAndFullNames) {
  EXPECT_EQ(ResourceName("boards", "usb-1-2"), "boards/usb-1-2");
  EXPECT_EQ(ResourceName("boards", "boards/usb-1-2"), "boards/usb-1-2");
  EXPECT_EQ(IdOf("boards/usb-1-2"), "usb-1-2");
  EXPECT_EQ(IdOf("usb-1-2"), "usb-1-2");
}

}  // namespace
}  // namespace kiln::cli
