#include "daemon/pipeline/curl_http_getter.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {
namespace {

using ::testing::HasSubstr;

// Answers one connection on the loopback with fixed bytes; an empty answer stays silent until the
// other side goes.
class OneAnswer {
 public:
  explicit OneAnswer(const std::string& answer) : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, answer] {
      const int peer = ::accept(listener_, nullptr, nullptr);
      char buffer[4096];
      const ssize_t asked = ::recv(peer, buffer, sizeof(buffer), 0);
      if (asked > 0) request_.assign(buffer, static_cast<size_t>(asked));
      size_t sent = 0;
      while (sent < answer.size()) {
        const ssize_t n = ::send(peer, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) break;
        sent += static_cast<size_t>(n);
      }
      if (answer.empty()) {
        while (::recv(peer, buffer, sizeof(buffer), 0) > 0) {
        }
      }
      ::close(peer);
    });
  }
  ~OneAnswer() {
    ::shutdown(listener_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    ::close(listener_);
  }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_, "/mac"); }
  // After the answer has been taken.
  std::string Request() {
    thread_.join();
    return request_;
  }

 private:
  const int listener_;
  int port_ = 0;
  std::thread thread_;
  std::string request_;
};

std::string Answer(const std::string& status, const std::string& headers, const std::string& body) {
  return absl::StrCat("HTTP/1.1 ", status, "\r\nContent-Length: ", body.size(),
                      "\r\nConnection: close\r\n", headers, "\r\n", body);
}

class CurlHttpGetterTest : public ::testing::Test {
 protected:
  void ExpectUnreachable(const std::string& url, const std::string& why,
                         absl::Duration timeout = absl::Seconds(20)) {
    const auto body = getter_.Get(url, timeout);
    EXPECT_TRUE(errors::Is(body.status(), errors::ErrorCode::kBoardNetworkUnreachable))
        << body.status();
    EXPECT_THAT(std::string(body.status().message()), HasSubstr(why));
  }
  CurlHttpGetter getter_;
};

TEST_F(CurlHttpGetterTest, GivesTheBody) {
  OneAnswer server(Answer("200 OK", "", R"({"status":"ok"})"));
  const auto body = getter_.Get(server.url(), absl::Seconds(20));
  ASSERT_TRUE(body.ok()) << body.status();
  EXPECT_EQ(*body, R"({"status":"ok"})");
  EXPECT_THAT(server.Request(), HasSubstr("GET /mac HTTP/1.1"));
}

TEST_F(CurlHttpGetterTest, OtherAnswersAreNone) {
  OneAnswer missing(Answer("404 Not Found", "", "no"));
  ExpectUnreachable(missing.url(), "status 404");
  OneAnswer elsewhere(Answer("302 Found", "Location: http://127.0.0.1:1/\r\n", ""));
  ExpectUnreachable(elsewhere.url(), "status 302");
}

TEST_F(CurlHttpGetterTest, TakesAtMostSixtyFourKilobytes) {
  OneAnswer fits(Answer("200 OK", "", std::string(CurlHttpGetter::kMaxBodyBytes, 'x')));
  EXPECT_TRUE(getter_.Get(fits.url(), absl::Seconds(20)).ok());
  OneAnswer large(Answer("200 OK", "", std::string(CurlHttpGetter::kMaxBodyBytes + 1, 'x')));
  ExpectUnreachable(large.url(), "longer than 65536 bytes");
}

TEST_F(CurlHttpGetterTest, SilenceEndsWithTheTime) {
  OneAnswer silent("");
  ExpectUnreachable(silent.url(), "imeout", absl::Milliseconds(50));
}

TEST_F(CurlHttpGetterTest, SpeaksNothingButHttp) {
  ExpectUnreachable("file:///etc/passwd", "not an http:// address");
  ExpectUnreachable("https://127.0.0.1/", "not an http:// address");
}

}  // namespace
}  // namespace kiln::pipeline
