#include "daemon/ports/fd_stream.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "daemon/ports/byte_stream.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::ports {
namespace {

using errors::ErrorCode;
using ::testing::HasSubstr;

// Only a failing test waits for it.
constexpr absl::Duration kPatience = absl::Seconds(20);

// A stream on one end of a socket pair, whose modem lines fail as a driver's do: no pseudo-terminal
// can be brought to that.
class StreamWithFailingLines final : public FdStream {
 public:
  static std::unique_ptr<StreamWithFailingLines> Make() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    return std::unique_ptr<StreamWithFailingLines>(
        new StreamWithFailingLines(base::UniqueFd(ends[0]), base::UniqueFd(ends[1])));
  }

  // The error number with which the next SetLines fails; 0 for none.
  void set_failure(int error_number) { failure_ = error_number; }

  LinkTraits traits() const override { return {.has_modem_lines = true}; }
  absl::Status Drain(absl::Duration /*timeout*/) override { return CheckAlive(); }
  absl::Status DiscardInput() override { return CheckAlive(); }
  absl::Status SetBaudRate(uint32_t /*baud*/) override { return CheckAlive(); }
  absl::Status SetLines(bool /*dtr*/, bool /*rts*/) override {
    RETURN_IF_ERROR(CheckAlive());
    const int failure = std::exchange(failure_, 0);
    return failure == 0 ? absl::OkStatus() : Failure("TIOCMSET", failure);
  }

 private:
  StreamWithFailingLines(base::UniqueFd fd, base::UniqueFd far_end)
      : FdStream(std::move(fd), MakeWakeup().value(), "/dev/ttyUSB7"),
        far_end_(std::move(far_end)) {}

  base::UniqueFd far_end_;
  int failure_ = 0;
};

class FdStreamTest : public ::testing::Test {
 protected:
  const std::unique_ptr<StreamWithFailingLines> stream_ = StreamWithFailingLines::Make();
  std::vector<uint8_t> buffer_ = std::vector<uint8_t>(16);
};

class UnplugErrorTest : public FdStreamTest, public ::testing::WithParamInterface<int> {};

TEST_P(UnplugErrorTest, IsTheUnplugAndStays) {
  stream_->set_failure(GetParam());
  const absl::Status first = stream_->SetLines(true, false);
  EXPECT_TRUE(errors::Is(first, ErrorCode::kBoardUnplugged)) << first;
  EXPECT_THAT(std::string(first.message()), HasSubstr("/dev/ttyUSB7: TIOCMSET: "));
  EXPECT_THAT(std::string(first.message()), HasSubstr(std::strerror(GetParam())));
  EXPECT_EQ(stream_->SetLines(true, false), first);
  EXPECT_EQ(stream_->Read(absl::MakeSpan(buffer_), kPatience).status(), first);
  EXPECT_EQ(stream_->Write(buffer_, kPatience), first);
}

// What drivers of USB adapters, hung-up terminals and sockets answer once the far end is gone.
INSTANTIATE_TEST_SUITE_P(, UnplugErrorTest,
                         ::testing::Values(EIO, ENXIO, ENODEV, ESHUTDOWN, EPIPE, ECONNRESET,
                                           ETIMEDOUT),
                         [](const auto& info) {
                           return std::string(::strerrorname_np(info.param));
                         });

class OtherErrorTest : public FdStreamTest, public ::testing::WithParamInterface<int> {};

TEST_P(OtherErrorTest, FailsTheCallAlone) {
  stream_->set_failure(GetParam());
  const absl::Status first = stream_->SetLines(true, false);
  EXPECT_TRUE(errors::Is(first, ErrorCode::kPortFailed)) << first;
  EXPECT_THAT(std::string(first.message()), HasSubstr("/dev/ttyUSB7: TIOCMSET: "));
  EXPECT_TRUE(stream_->SetLines(true, false).ok());
  EXPECT_TRUE(stream_->Write(buffer_, kPatience).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      stream_->Read(absl::MakeSpan(buffer_), absl::ZeroDuration()).status()));
}

INSTANTIATE_TEST_SUITE_P(, OtherErrorTest, ::testing::Values(ENOTTY, EINVAL, ENOMEM, EPERM),
                         [](const auto& info) {
                           return std::string(::strerrorname_np(info.param));
                         });

}  // namespace
}  // namespace kiln::ports
