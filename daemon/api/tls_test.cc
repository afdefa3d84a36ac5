// The TCP listener: TLS, and only for clients whose certificate the station's authority made.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "daemon/api/testing/api_fixture.h"
#include "daemon/api/testing/certificates.h"
#include "daemon/api/tls_check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::api::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TlsTest : public ApiTest {
 protected:
  TlsTest() {
    tls_.socket_path = folder_.Path("run/tls.sock");
    tls_.tls_address = "127.0.0.1:0";
    const TlsIdentity own = authority_.Issue("station");
    tls_.tls_certificate = own.certificate;
    tls_.tls_key = own.key;
    tls_.tls_client_ca = authority_.certificate();
  }

  void StartTls() {
    auto server = Server::Start(parts_, tls_);
    ASSERT_TRUE(server.ok()) << server.status();
    tls_server_ = *std::move(server);
    ASSERT_NE(tls_server_->tls_port(), 0);
  }

  // What a call over TCP ends in.
  grpc::Status Call(const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    const auto channel =
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", tls_server_->tls_port()), credentials);
    v1::GetStationRequest request;
    v1::StationInfo answer;
    return v1::Station::NewStub(channel)->GetStation(Context().get(), request, &answer);
  }
  grpc::Status CallAs(const TlsIdentity& client, const std::string& trusted) {
    return Call(grpc::SslCredentials({trusted, client.key, client.certificate}));
  }
  // The one client that is welcome; tells a refusal from a listener that is not there.
  void ExpectStillServes() {
    const grpc::Status status = CallAs(authority_.Issue("bench"), authority_.certificate());
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  std::string StartError() {
    const auto server = Server::Start(parts_, tls_);
    EXPECT_TRUE(absl::IsInvalidArgument(server.status())) << server.status();
    return std::string(server.status().message());
  }

  const CertificateAuthority authority_{"the site's authority"};
  const CertificateAuthority other_authority_{"somebody else's authority"};
  ServerOptions tls_;
  std::unique_ptr<Server> tls_server_;
};

TEST_F(TlsTest, AnswersAClientWithACertificateOfTheAuthority) {
  StartTls();
  ExpectStillServes();
}

TEST_F(TlsTest, RefusesAClientWithoutACertificate) {
  StartTls();
  const grpc::Status status = CallAs({}, authority_.certificate());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  ExpectStillServes();
}

TEST_F(TlsTest, RefusesAClientOfAnotherAuthority) {
  StartTls();
  const grpc::Status status = CallAs(other_authority_.Issue("bench"), authority_.certificate());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  ExpectStillServes();
}

TEST_F(TlsTest, RefusesAClientWhoseCertificateHasExpired) {
  StartTls();
  const grpc::Status status =
      CallAs(authority_.Issue("bench", -absl::Hours(1)), authority_.certificate());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  ExpectStillServes();
}

TEST_F(TlsTest, RefusesPlainTcp) {
  StartTls();
  const grpc::Status status = Call(grpc::InsecureChannelCredentials());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  ExpectStillServes();
}

TEST_F(TlsTest, ShowsACertificateThatTheClientCanCheck) {
  StartTls();
  const grpc::Status status = CallAs(authority_.Issue("bench"), other_authority_.certificate());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
}

TEST_F(TlsTest, SaysWhichOfItsFilesIsUnusable) {
  const ServerOptions good = tls_;
  tls_.tls_certificate = "no certificate";
  EXPECT_THAT(StartError(), HasSubstr("the TLS certificate is no certificate"));
  tls_ = good;
  tls_.tls_key = "no key";
  EXPECT_THAT(StartError(), HasSubstr("the TLS key is no private key"));
  tls_ = good;
  tls_.tls_key = authority_.Issue("another").key;
  EXPECT_THAT(StartError(), HasSubstr("does not belong to"));
  EXPECT_THAT(StartError(), Not(HasSubstr("PRIVATE KEY")));
  tls_ = good;
  tls_.tls_client_ca = "";
  EXPECT_THAT(StartError(), HasSubstr("the TLS clients' authority"));
}

TEST_F(TlsTest, AnAddressThatIsTakenIsNamed) {
  StartTls();
  tls_.socket_path = folder_.Path("run/second.sock");
  tls_.tls_address = absl::StrCat("127.0.0.1:", tls_server_->tls_port());
  const auto second = Server::Start(parts_, tls_);
  EXPECT_TRUE(absl::IsUnavailable(second.status())) << second.status();
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(tls_.tls_address));
}

}  // namespace
}  // namespace kiln::api::testing
