// kiln-sim's boards on real pseudo-terminals.
#include "simulator/server.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/unique_fd.h"
#include "simulator/demo_image.h"
#include "simulator/slip.h"

namespace kiln::simulator {
namespace {

using ::testing::HasSubstr;

TEST(BoardSpecTest, ReadsChipMacFlashAndFaults) {
  const auto spec =
      ParseBoardSpec("A-1:esp32c3,mac=00:11:22:33:44:55,flash=8MB,fault=stub-silent,download", 4);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->name, "A-1");
  EXPECT_EQ(spec->config.chip, esp::Chip::kEsp32C3);
  EXPECT_EQ(esp::FormatMac(spec->config.mac), "00:11:22:33:44:55");
  EXPECT_EQ(FindFlashPart(spec->config.flash_part)->size_bytes, 8u << 20);
  EXPECT_TRUE(spec->config.faults.stub_silent);
  EXPECT_TRUE(spec->config.start_in_download_mode);
  EXPECT_EQ(esp::FormatMac(ParseBoardSpec("A:esp32", 4)->config.mac), "7c:df:a1:00:00:05");
}

TEST(BoardSpecTest, ReadsTheAdapter) {
  EXPECT_EQ(ParseBoardSpec("A:esp32c3,adapter=ft232r", 0)->adapter, "ft232r");
  EXPECT_EQ(ParseBoardSpec("A:esp32c3", 0)->adapter, "");
}

TEST(BoardSpecTest, RefusesWhatItCannotRead) {
  for (const char* bad :
       {"", "A", "A:esp99", ":esp32", "../A:esp32", "control:esp32", "A:esp32,mac=1",
        "A:esp32,flash=3MB", "A:esp32,flash=x", "A:esp32,part=none", "A:esp32,adapter=x",
        "A:esp32,fault=none=1", "A:esp32,what"}) {
    EXPECT_EQ(ParseBoardSpec(bad, 0).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

// A server with one board of a bootable flash, on a thread of its own until the end of the test.
class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/kiln-sim-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
    ServerOptions options;
    options.folder = folder_;
    options.state_folder = folder_ + "/state";
    std::filesystem::create_directories(options.state_folder);
    options.boards.push_back(*ParseBoardSpec("A:esp32c3", 0));
    server_ = std::make_unique<Server>(options, base::SystemClock());
    thread_ = std::thread([this] { ended_ = server_->Run(); });
    // The board's link comes after everything else.
    while (::access((folder_ + "/A").c_str(), F_OK) != 0) std::this_thread::yield();
  }
  void TearDown() override {
    Stop();
    std::filesystem::remove_all(folder_);
  }
  void Stop() {
    if (!thread_.joinable()) return;
    EXPECT_TRUE(SendCommand(folder_, "quit").ok());
    thread_.join();
    EXPECT_TRUE(ended_.ok()) << ended_;
  }
  std::string Command(const std::string& command) {
    const auto answer = SendCommand(folder_, command);
    return answer.ok() ? *answer : answer.status().ToString();
  }
  base::UniqueFd OpenTerminal() {
    return base::UniqueFd(::open((folder_ + "/A").c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK));
  }
  // Reads until `text` has come, at most 10 s.
  std::string ReadUntil(const base::UniqueFd& fd, const std::string& text) {
    std::string all;
    while (all.find(text) == std::string::npos) {
      pollfd wait = {.fd = fd.get(), .events = POLLIN, .revents = 0};
      if (::poll(&wait, 1, 10000) <= 0) break;
      char buffer[512];
      const ssize_t size = ::read(fd.get(), buffer, sizeof(buffer));
      if (size <= 0) break;
      all.append(buffer, static_cast<size_t>(size));
    }
    return all;
  }
  base::UniqueFd ConnectLines() {
    base::UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (folder_ + "/A.ctl").c_str());
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
  void SetLines(const base::UniqueFd& fd, uint8_t lines) {
    ASSERT_EQ(::send(fd.get(), &lines, 1, 0), 1);
    uint8_t answer = 0xFF;
    ASSERT_EQ(::recv(fd.get(), &answer, 1, 0), 1);
    EXPECT_EQ(answer, lines);
  }

  std::string folder_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
  absl::Status ended_;
};

TEST_F(ServerTest, LinesOnTheSocketEnterDownloadMode) {
  const base::UniqueFd terminal = OpenTerminal();
  const base::UniqueFd lines = ConnectLines();
  SetLines(lines, 0b10);
  SetLines(lines, 0b01);
  EXPECT_THAT(ReadUntil(terminal, "waiting for download"), HasSubstr("waiting for download"));
  EXPECT_THAT(Command("stats A"), HasSubstr("mode=download"));
}

TEST_F(ServerTest, UnplugTakesTheFilesAwayAndReplugMakesThemAgain) {
  const base::UniqueFd terminal = OpenTerminal();
  EXPECT_EQ(Command("unplug A"), "ok\n");
  EXPECT_NE(::access((folder_ + "/A.ctl").c_str(), F_OK), 0);
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(folder_ + "/A")));
  pollfd gone = {.fd = terminal.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&gone, 1, 10000), 1);
  EXPECT_NE(gone.revents & POLLHUP, 0);

  EXPECT_EQ(Command("replug A"), "ok\n");
  EXPECT_TRUE(OpenTerminal().valid());
}

TEST_F(ServerTest, LargeAnswersAreNotLostInAFullTerminal) {
  const base::UniqueFd terminal = OpenTerminal();
  // A blank board says some 200 bytes each time; nobody reads meanwhile.
  for (int i = 0; i < 400; ++i) ASSERT_EQ(Command("reset A"), "ok\n");
  std::string all;
  size_t starts = 0;
  while (starts < 400) {
    const std::string more = ReadUntil(terminal, "rst:0x");
    if (more.find("rst:0x") == std::string::npos) break;
    for (size_t at = 0; (at = more.find("rst:0x", at)) != std::string::npos; ++at) ++starts;
  }
  EXPECT_GE(starts, 400u);
}

TEST_F(ServerTest, WrongCommandsAreAnsweredAsErrors) {
  for (const char* bad : {"unplug B", "explode A", "fault A what", "unplug"}) {
    EXPECT_THAT(Command(bad), HasSubstr("error: ")) << bad;
  }
}

TEST_F(ServerTest, EndsCleanlyAndKeepsTheFlash) {
  Stop();
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(folder_ + "/A")));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/A.ctl"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/control"));
  EXPECT_EQ(std::filesystem::file_size(folder_ + "/state/A.flash"), 4u << 20);
}

}  // namespace
}  // namespace kiln::simulator
