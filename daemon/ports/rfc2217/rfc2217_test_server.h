#ifndef KILN_DAEMON_PORTS_RFC2217_RFC2217_TEST_SERVER_H_
#define KILN_DAEMON_PORTS_RFC2217_RFC2217_TEST_SERVER_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "daemon/ports/rfc2217/com_port.h"
#include "daemon/ports/rfc2217/rfc2217_test_util.h"
#include "daemon/ports/rfc2217/telnet.h"
#include "gtest/gtest.h"

namespace kiln::ports {

// What a server does besides answering everything as it should.
struct Manners {
  bool offers_com_port = true;
  bool offers_binary = true;
  bool acknowledges_lines = true;
  bool acknowledges_purge = true;
  bool closes_at_once = false;
  const char* greeting = "";
  uint32_t only_baud = 0;      // answers with this rate, whatever was asked for
  bool refuses_lines = false;  // keeps them released
  bool suspends = false;       // asks for a pause right after the agreement
  bool chatters = false;       // sends data and a modem state before each answer
};

// One connection served by a thread, on a free loopback port.
class Rfc2217TestServer final : private TelnetSink {
 public:
  // On `port`, or on a free one.
  explicit Rfc2217TestServer(const Manners& manners, uint16_t port = 0)
      : manners_(manners), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    const int on = 1;
    EXPECT_EQ(::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_.get(), generic, sizeof(address)), 0);
    EXPECT_EQ(::listen(listener_.get(), 4), 0);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::getsockname(listener_.get(), generic, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~Rfc2217TestServer() override {
    stop_ = true;
    thread_.join();
  }

  uint16_t port() const { return port_; }
  void CloseConnection() { close_ = true; }
  void Resume() { resume_ = true; }
  void Say(const std::string& text) {
    absl::MutexLock lock(&mutex_);
    to_say_ = text;
  }
  std::string data() {
    absl::MutexLock lock(&mutex_);
    return data_;
  }
  // "SET-BAUDRATE 115200", in order.
  std::vector<std::string> requests() {
    absl::MutexLock lock(&mutex_);
    return requests_;
  }

 private:
  void Serve() {
    while (!stop_) {
      pollfd wait = {.fd = listener_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&wait, 1, 5) <= 0) continue;
      base::UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      listener_.Reset();
      if (connection.valid()) ServeOne(connection.get());
      return;
    }
  }
  void ServeOne(int fd) {
    if (*manners_.greeting != '\0') {
      AppendTelnetData(Bytes(manners_.greeting, manners_.greeting + strlen(manners_.greeting)),
                       out_);
    }
    if (manners_.offers_com_port) options_.Allow(TelnetSide::kRemote, kTelnetComPort);
    for (const TelnetSide side : {TelnetSide::kLocal, TelnetSide::kRemote}) {
      if (manners_.offers_binary) options_.Allow(side, kTelnetBinary);
      options_.Allow(side, kTelnetSuppressGoAhead);
    }
    TelnetDecoder decoder(*this);
    while (!stop_ && !close_) {
      if (resume_.exchange(false)) {
        AppendComPortAnswer(ComPortCommand::kFlowControlResume, std::nullopt, out_);
      }
      {
        absl::MutexLock lock(&mutex_);
        AppendTelnetData(Bytes(to_say_.begin(), to_say_.end()), out_);
        to_say_.clear();
      }
      if (!out_.empty() && ::send(fd, out_.data(), out_.size(), MSG_NOSIGNAL) < 0) return;
      out_.clear();
      if (manners_.closes_at_once) return;
      pollfd wait = {.fd = fd, .events = POLLIN, .revents = 0};
      if (::poll(&wait, 1, 2) <= 0) continue;
      Bytes buffer(65536);
      const ssize_t count = ::recv(fd, buffer.data(), buffer.size(), 0);
      if (count <= 0) return;
      decoder.Feed(absl::MakeConstSpan(buffer).first(static_cast<size_t>(count)));
    }
  }

  void OnData(absl::Span<const uint8_t> bytes) override {
    absl::MutexLock lock(&mutex_);
    data_.append(bytes.begin(), bytes.end());
  }
  void OnNegotiation(TelnetVerb verb, uint8_t option) override {
    options_.On(verb, option, out_);
    if (manners_.suspends && option == kTelnetComPort) {
      AppendComPortAnswer(ComPortCommand::kFlowControlSuspend, std::nullopt, out_);
    }
  }
  void OnSubnegotiation(uint8_t, absl::Span<const uint8_t> payload) override {
    const auto message = ParseComPort(payload);
    ASSERT_TRUE(message.has_value());
    ASSERT_FALSE(message->from_server);
    if (manners_.chatters) {
      AppendTelnetData(Bytes{'.', 0xff}, out_);
      AppendComPortAnswer(ComPortCommand::kNotifyModemState, 0xb0, out_);
    }
    {
      absl::MutexLock lock(&mutex_);
      requests_.push_back(
          absl::StrCat(ComPortCommandName(message->command), " ", message->value.value_or(0)));
    }
    uint32_t value = message->value.value_or(0);
    if (message->command == ComPortCommand::kSetBaudRate && manners_.only_baud != 0) {
      value = manners_.only_baud;
    }
    if (message->command == ComPortCommand::kSetControl && value >= kControlDtrOn) {
      if (!manners_.acknowledges_lines) return;
      if (manners_.refuses_lines && value == kControlDtrOn) value = kControlDtrOff;
      if (manners_.refuses_lines && value == kControlRtsOn) value = kControlRtsOff;
    }
    if (message->command == ComPortCommand::kPurgeData && !manners_.acknowledges_purge) return;
    AppendComPortAnswer(message->command, value, out_);
  }

  const Manners manners_;
  base::UniqueFd listener_;
  uint16_t port_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> close_ = false;
  std::atomic<bool> resume_ = false;
  TelnetOptions options_;  // the thread's own, like `out_`
  Bytes out_;
  absl::Mutex mutex_;
  std::string data_ ABSL_GUARDED_BY(mutex_);
  std::string to_say_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_RFC2217_RFC2217_TEST_SERVER_H_
