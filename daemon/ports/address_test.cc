#include "daemon/ports/address.h"

#include <memory>
#include <string>

#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::ports {
namespace {

using ::testing::HasSubstr;
using Kind = Address::Kind;

struct GoodCase {
  std::string text;
  Kind kind;
  std::string path;
  std::string host;
  int port;
};

TEST(AddressTest, ReadsEveryForm) {
  for (const GoodCase& test : {
           GoodCase{"/dev/ttyUSB0", Kind::kKernelTty, "/dev/ttyUSB0", "", 0},
           GoodCase{"/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0", Kind::kKernelTty,
                    "/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0", "", 0},
           GoodCase{"pty:///run/kiln-sim/board 1", Kind::kPseudoTerminal, "/run/kiln-sim/board 1",
                    "", 0},
           GoodCase{"socket://localhost:5555", Kind::kSocket, "", "localhost", 5555},
           GoodCase{"socket://192.168.1.7:1", Kind::kSocket, "", "192.168.1.7", 1},
           GoodCase{"socket://[fe80::1]:65535", Kind::kSocket, "", "fe80::1", 65535},
           GoodCase{"rfc2217://bench-pc:2217", Kind::kRfc2217, "", "bench-pc", 2217},
           GoodCase{"rfc2217://[::1]:2217", Kind::kRfc2217, "", "::1", 2217},
       }) {
    const auto address = ParseAddress(test.text);
    ASSERT_TRUE(address.ok()) << test.text << ": " << address.status();
    EXPECT_EQ(address->kind, test.kind) << test.text;
    EXPECT_EQ(address->path, test.path);
    EXPECT_EQ(address->host, test.host);
    EXPECT_EQ(address->port, test.port);
    const auto opener = MakeOpener(test.text);
    ASSERT_TRUE(opener.ok()) << opener.status();
    EXPECT_EQ((*opener)->address(), test.text) << "the opener names it as it was written";
  }
}

struct BadCase {
  std::string text;
  std::string why;
};

TEST(AddressTest, SaysWhatIsWrong) {
  for (const BadCase& test : {
           BadCase{"", "empty"},
           BadCase{"ttyUSB0", "/dev/NAME"},
           BadCase{"COM3", "/dev/NAME"},
           BadCase{"telnet://host:4000", "socket://HOST:PORT"},
           BadCase{"rfc2217://", "port number is missing"},
           BadCase{"rfc2217://host:2217?ign_set_control", "1 to 65535"},
           BadCase{"rfc2217://::1:2217", "needs brackets"},
           BadCase{"/dev/", "folder"},
           BadCase{std::string("/dev/tty\0USB0", 13), "control character"},
           BadCase{"/dev/ttyUSB0\n", "control character"},
           BadCase{"/" + std::string(5000, 'a'), "too long"},
           BadCase{"pty://run/board", "absolute"},
           BadCase{"pty://", "absolute"},
           BadCase{"pty:///", "folder"},
           BadCase{"socket://", "port number is missing"},
           BadCase{"socket://localhost", "port number is missing"},
           BadCase{"socket://:5555", "host is missing"},
           BadCase{"socket://[]:5555", "host is missing"},
           BadCase{"socket://[::1:5555", "closing bracket"},
           BadCase{"socket://[::1]5555", "port number is missing"},
           BadCase{"socket://[host]:1", "wrong character"},
           BadCase{"socket://ho st:1", "wrong character"},
           BadCase{"socket://user@host:1", "wrong character"},
           BadCase{"socket://" + std::string(254, 'a') + ":1", "too long"},
           BadCase{"socket://localhost:", "1 to 65535"},
           BadCase{"socket://localhost:0", "1 to 65535"},
           BadCase{"socket://localhost:65536", "1 to 65535"},
           BadCase{"socket://localhost:+1", "1 to 65535"},
           BadCase{"socket://localhost:5555/x", "1 to 65535"},
           BadCase{"socket://::1:5555", "needs brackets"},
       }) {
    const absl::Status status = MakeOpener(test.text).status();
    ASSERT_FALSE(status.ok()) << test.text;
    EXPECT_TRUE(errors::Is(status, errors::ErrorCode::kRequestInvalid)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(test.why)) << test.text;
    EXPECT_LT(status.message().size(), 500u);
  }
}

}  // namespace
}  // namespace kiln::ports
