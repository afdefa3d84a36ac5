#include "daemon/api/wire/rpc_wire.h"

#include <string>
#include <vector>

#include "errors/error.h"
#include "gmock/gmock.h"
#include "google/protobuf/any.pb.h"
#include "gtest/gtest.h"
#include "rpc_status.pb.h"

namespace kiln::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

grpc::Status Encode(errors::ErrorCode code, const std::string& detail,
                    const std::vector<FieldViolation>& violations = {}) {
  return EncodeFailure(grpc::StatusCode::ABORTED, detail, FailureFrom(code, detail), violations);
}

TEST(RpcWireTest, FailureComesBackAsItWasSent) {
  const grpc::Status status = Encode(errors::ErrorCode::kPortBusy, "held by minicom");

  const auto failure = FailureOf(status);

  ASSERT_TRUE(failure.ok()) << failure.status();
  EXPECT_EQ(failure->code(), "PORT_BUSY");
  EXPECT_EQ(failure->detail(), "held by minicom");
  EXPECT_TRUE(failure->retryable());
  EXPECT_EQ(failure->error_class(), "BOARD");
  EXPECT_EQ(failure->legacy_type(), "ESP32_COMMUNICATION");
  EXPECT_EQ(failure->colour(), "red");
  ASSERT_THAT(failure->texts(), SizeIs(2));
  EXPECT_EQ(failure->texts(0).language(), "en");
  EXPECT_EQ(failure->texts(1).language(), "th");
  EXPECT_GT(failure->texts(1).tips_size(), 0);
}

TEST(RpcWireTest, DetailsNameTheGoogleTypesInOrder) {
  const grpc::Status status = Encode(errors::ErrorCode::kCustomerInvalid, "bad",
                                     {{"customer.customer_id", "must be capital letters"}});

  rpcwire::RpcStatus parsed;
  ASSERT_TRUE(parsed.ParseFromString(status.error_details()));
  std::vector<std::string> urls;
  for (const google::protobuf::Any& any : parsed.details()) urls.push_back(any.type_url());
  EXPECT_EQ(parsed.code(), static_cast<int>(grpc::StatusCode::ABORTED));
  EXPECT_EQ(parsed.message(), "bad");
  EXPECT_THAT(urls, ElementsAre("type.googleapis.com/google.rpc.ErrorInfo",
                                "type.googleapis.com/google.rpc.BadRequest",
                                "type.googleapis.com/google.rpc.LocalizedMessage",
                                "type.googleapis.com/google.rpc.LocalizedMessage",
                                "type.googleapis.com/kiln.v1.Failure"));
  rpcwire::ErrorInfo info;
  ASSERT_TRUE(info.ParseFromString(parsed.details(0).value()));
  EXPECT_EQ(info.reason(), "CUSTOMER_INVALID");
  EXPECT_EQ(info.domain(), "kiln.v1");
  EXPECT_EQ(info.metadata().at("retryable"), "false");
  const std::vector<FieldViolation> violations = FieldViolationsOf(status);
  ASSERT_THAT(violations, SizeIs(1));
  EXPECT_EQ(violations[0].field, "customer.customer_id");
}

TEST(RpcWireTest, EveryErrorFitsIntoTheTrailers) {
  // gRPC's default limit of all metadata is 8192 bytes; binary values travel in base64, the message
  // percent-encoded (three bytes for one at worst).
  const std::string detail(5000, '%');
  for (const errors::CatalogueEntry& entry : errors::Catalogue()) {
    const grpc::Status status =
        Encode(entry.code, detail, {{std::string(500, 'f'), std::string(500, 'd')}});
    const size_t wire = status.error_details().size() * 4 / 3 + status.error_message().size() * 3;
    EXPECT_LT(wire, 7500u) << entry.name;
  }
}

TEST(RpcWireTest, EmptyMessageBecomesTheEnglishSentence) {
  const grpc::Status status = Encode(errors::ErrorCode::kDiskFull, "");
  EXPECT_EQ(status.error_message(), "The station's disk is full.");
}

TEST(RpcWireTest, StatusWithoutDetailsHasNoFailure) {
  const grpc::Status status(grpc::StatusCode::UNAVAILABLE, "connection refused");
  EXPECT_EQ(FailureOf(status).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(FieldViolationsOf(status), IsEmpty());
}

TEST(RpcWireTest, GarbageDetailsAreAnErrorAndNoCrash) {
  const grpc::Status status(grpc::StatusCode::INTERNAL, "x", std::string("\x0a\xff\xff\xff", 4));
  EXPECT_EQ(FailureOf(status).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(FieldViolationsOf(status), IsEmpty());
}

TEST(RpcWireTest, SafeTextKeepsThaiAndReplacesTheRest) {
  struct Case {
    std::string text;
    size_t max_bytes;
    std::string want;
  };
  const Case cases[] = {
      {"plain", 100, "plain"},
      {"บอร์ด", 100, "บอร์ด"},
      {"บอร์ด", 7, "บอ"},                 // cut between characters of three bytes
      {"a\xffz", 100, "a?z"},            // no such lead byte
      {"\xc0\xaf", 100, "??"},           // overlong '/'
      {"\xed\xa0\x80", 100, "???"},      // a surrogate
      {"\xe0\xb8", 100, "??"},           // cut short
      {"\x1b[31mred", 100, "?[31mred"},  // terminal escape
      {"one\ntwo", 100, "one\ntwo"},
      {"", 100, ""},
      {"abc", 0, ""},
  };
  for (const Case& c : cases) EXPECT_EQ(SafeText(c.text, c.max_bytes), c.want) << c.text;
}

}  // namespace
}  // namespace kiln::rpc
