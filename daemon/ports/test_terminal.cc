#include "daemon/ports/test_terminal.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"

namespace kiln::ports {
namespace {

// Long enough for any machine; only a failing test waits for it.
constexpr int kPatienceMillis = 20'000;

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "test terminal: %s: %s\n", what, std::strerror(errno));
  std::abort();
}

}  // namespace

TestTerminal::TestTerminal() {
  std::string pattern = (std::filesystem::temp_directory_path() / "kiln-tty-XXXXXX").string();
  Require(::mkdtemp(pattern.data()) != nullptr, "mkdtemp");
  folder_ = pattern;
  path_ = folder_ + "/board";
  Replug();
}

TestTerminal::~TestTerminal() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void TestTerminal::Replug() {
  master_.Reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  Require(master_.valid(), "posix_openpt");
  Require(::grantpt(master_.get()) == 0 && ::unlockpt(master_.get()) == 0, "unlockpt");
  char name[64];
  Require(::ptsname_r(master_.get(), name, sizeof(name)) == 0, "ptsname_r");
  slave_path_ = name;
  Require(::symlink(name, path_.c_str()) == 0, "symlink");
}

void TestTerminal::Unplug() {
  Require(::unlink(path_.c_str()) == 0, "unlink");
  master_.Reset();
}

void TestTerminal::Write(absl::Span<const uint8_t> bytes) {
  Require(::write(master_.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
          "write");
}

std::vector<uint8_t> TestTerminal::Read(size_t count) {
  std::vector<uint8_t> bytes(count);
  size_t done = 0;
  while (done < count) {
    pollfd wait = {.fd = master_.get(), .events = POLLIN, .revents = 0};
    Require(::poll(&wait, 1, kPatienceMillis) == 1, "too few bytes arrived at the master");
    const ssize_t got = ::read(master_.get(), bytes.data() + done, count - done);
    Require(got > 0, "read");
    done += static_cast<size_t>(got);
  }
  return bytes;
}

uint32_t TestTerminal::BaudRate() const {
  termios2 settings = {};
  Require(::ioctl(master_.get(), TCGETS2, &settings) == 0, "TCGETS2");
  return settings.c_ospeed;
}

TestControlServer::TestControlServer(const std::string& path)
    : path_(path),
      listener_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  Require(path_.size() < sizeof(address.sun_path), "the path is too long");
  std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
  Require(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0,
          "bind");
  Require(::listen(listener_.get(), 4) == 0, "listen");
  thread_ = std::thread([this] { Serve(); });
}

TestControlServer::~TestControlServer() { Stop(); }

void TestControlServer::Stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  Require(::write(stop_.get(), &one, sizeof(one)) == sizeof(one), "stop");
  thread_.join();
  listener_.Reset();
}

std::vector<uint8_t> TestControlServer::messages() const {
  absl::MutexLock lock(&mutex_);
  return messages_;
}

void TestControlServer::Serve() {
  base::UniqueFd client;
  for (;;) {
    pollfd waits[3] = {{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                       {.fd = listener_.get(), .events = POLLIN, .revents = 0},
                       {.fd = client.get(), .events = POLLIN, .revents = 0}};
    ::poll(waits, 3, -1);
    if (waits[0].revents != 0) return;
    if (waits[1].revents != 0) {
      client.Reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      continue;
    }
    uint8_t byte = 0;
    if (::recv(client.get(), &byte, 1, 0) != 1) {
      client.Reset();
      continue;
    }
    {
      absl::MutexLock lock(&mutex_);
      messages_.push_back(byte);
    }
    if (silent_) continue;
    if (const int stray = stray_answer_.exchange(-1); stray >= 0) {
      const uint8_t wrong = static_cast<uint8_t>(stray);
      Require(::send(client.get(), &wrong, 1, MSG_NOSIGNAL) == 1, "send");
    }
    Require(::send(client.get(), &byte, 1, MSG_NOSIGNAL) == 1, "send");
  }
}

}  // namespace kiln::ports
