#ifndef KILN_DAEMON_PORTS_TEST_TERMINAL_H_
#define KILN_DAEMON_PORTS_TEST_TERMINAL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"

namespace kiln::ports {

// A real pseudo-terminal whose master the test holds, reached by a symlink in a
// folder of its own, as a simulated board is. Failures end the test program.
class TestTerminal {
 public:
  TestTerminal();
  ~TestTerminal();

  const std::string& path() const { return path_; }              // the symlink
  const std::string& slave_path() const { return slave_path_; }  // "/dev/pts/7"
  const std::string& folder() const { return folder_; }

  void Write(absl::Span<const uint8_t> bytes);
  // Waits for exactly `count` bytes.
  std::vector<uint8_t> Read(size_t count);
  // What the master sees of the slave's rate.
  uint32_t BaudRate() const;
  // The board is pulled out: the master closes and the symlink goes.
  void Unplug();
  void Replug();

 private:
  std::string folder_;
  std::string path_;
  std::string slave_path_;
  base::UniqueFd master_;
};

// Serves the control socket of a simulated board at `path`, on a thread of its
// own, and remembers each message. Answers unless told to be silent.
class TestControlServer {
 public:
  explicit TestControlServer(const std::string& path);
  ~TestControlServer();

  std::vector<uint8_t> messages() const;
  void set_silent(bool silent) { silent_ = silent; }
  // An answer nobody asked for, ahead of the next one.
  void set_stray_answer(int byte) { stray_answer_ = byte; }
  // Ends all connections and stops serving; the socket file stays.
  void Stop();

 private:
  void Serve();

  const std::string path_;
  base::UniqueFd listener_;
  base::UniqueFd stop_;
  std::atomic<bool> silent_ = false;
  std::atomic<int> stray_answer_ = -1;
  mutable absl::Mutex mutex_;
  std::vector<uint8_t> messages_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_TEST_TERMINAL_H_
