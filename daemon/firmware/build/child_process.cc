#include "daemon/firmware/build/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace kiln::firmware {
namespace {

using Reason = ChildEnd::Reason;

// Both of util-linux, which every supported system has.
constexpr char kUnshare[] = "/usr/bin/unshare";
constexpr char kPrlimit[] = "/usr/bin/prlimit";
// Ends the group when the other end of descriptor 3 is closed: also a daemon that was killed leaves
// no build behind. A signal on the parent's death would not do, for it is lost with the change of
// namespaces.
constexpr char kGuard[] = "(read -r _ <&3; kill -KILL 0) >/dev/null 2>&1 & exec \"$@\" 3<&-";
constexpr int kGuardFd = 3;
// How often a cancellation is looked for.
constexpr absl::Duration kLook = absl::Milliseconds(50);
// How long the output of processes that were killed may take to end.
constexpr absl::Duration kAftermath = absl::Seconds(5);
constexpr absl::Duration kSandboxCheck = absl::Seconds(10);

absl::Status SystemError(int error, absl::string_view what) {
  const std::string text = absl::StrCat(what, ": ", std::strerror(error));
  return error == ENOENT ? absl::NotFoundError(text) : absl::InternalError(text);
}

// The command with what limits it in front.
std::vector<std::string> Wrapped(const ChildSpec& spec) {
  std::vector<std::string> command = {"/bin/sh", "-c", kGuard, "guard"};
  if (spec.sandbox) {
    for (const char* word : {kUnshare, "--map-current-user", "--pid", "--fork", "--kill-child"}) {
      command.emplace_back(word);
    }
    if (!spec.network) command.emplace_back("--net");
    command.emplace_back("--");
  }
  for (const std::string& word :
       {std::string(kPrlimit), absl::StrCat("--as=", spec.max_memory_bytes),
        absl::StrCat("--fsize=", spec.max_file_bytes), std::string("--core=0"),
        std::string("--")}) {
    command.push_back(word);
  }
  command.insert(command.end(), spec.arguments.begin(), spec.arguments.end());
  return command;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// A program that runs, with all it started in its process group, and the reading end of what it
// prints. Kills it when it goes.
class Child {
 public:
  static absl::StatusOr<Child> Start(const ChildSpec& spec) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return SystemError(errno, "pipe");
    base::UniqueFd output(ends[0]);
    base::UniqueFd input(ends[1]);
    if (::pipe2(ends, O_CLOEXEC) != 0) return SystemError(errno, "pipe");
    base::UniqueFd guarded(ends[0]);
    base::UniqueFd life(ends[1]);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const auto free_actions =
        absl::MakeCleanup([&actions] { posix_spawn_file_actions_destroy(&actions); });
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, input.get(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, input.get(), STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&actions, guarded.get(), kGuardFd);
    posix_spawn_file_actions_addclosefrom_np(&actions, kGuardFd + 1);
    posix_spawn_file_actions_addchdir_np(&actions, spec.directory.c_str());

    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    const auto free_attributes =
        absl::MakeCleanup([&attributes] { posix_spawnattr_destroy(&attributes); });
    // A group of its own, and none of the signal settings of this program's threads.
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

    std::vector<std::string> command = Wrapped(spec);
    std::vector<std::string> environment = spec.environment;
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, command[0].c_str(), &actions, &attributes,
                                    Pointers(command).data(), Pointers(environment).data());
    if (error != 0) return SystemError(error, absl::StrCat("starting ", command[0]));
    base::UniqueFd watch(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    Child child(pid, std::move(output), std::move(watch), std::move(life));
    if (!child.watch_.valid()) return SystemError(errno, "pidfd_open");
    return child;
  }

  Child(Child&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)),
        output_(std::move(other.output_)),
        watch_(std::move(other.watch_)),
        life_(std::move(other.life_)) {}
  Child& operator=(Child&&) = delete;
  ~Child() {
    if (pid_ < 0) return;
    Kill();
    Reap();
  }

  // Ends the group. Its id cannot be another's: the child is not reaped yet.
  void Kill() { ::kill(-pid_, SIGKILL); }

  ChildEnd Reap() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    if (WIFSIGNALED(status)) return {Reason::kSignal, WTERMSIG(status)};
    return {Reason::kExited, WEXITSTATUS(status)};
  }

  struct Seen {
    bool output = false;  // to be read, or at its end
    bool ended = false;   // the program itself; others may still run
  };
  // Waits for output unless it is at its end, and for the program's end unless it is known.
  Seen Wait(absl::Duration most, bool for_output, bool for_end) {
    pollfd places[] = {{for_end ? watch_.get() : -1, POLLIN, 0},
                       {for_output ? output_.get() : -1, POLLIN, 0}};
    ::poll(places, 2, static_cast<int>(absl::ToInt64Milliseconds(most)) + 1);
    return {places[1].revents != 0, places[0].revents != 0};
  }

  // What is there, empty at the end of it.
  absl::string_view Read(std::vector<char>& buffer) {
    ssize_t got = 0;
    while ((got = ::read(output_.get(), buffer.data(), buffer.size())) < 0 && errno == EINTR) {
    }
    return {buffer.data(), got > 0 ? static_cast<size_t>(got) : 0};
  }

 private:
  Child(pid_t pid, base::UniqueFd output, base::UniqueFd watch, base::UniqueFd life)
      : pid_(pid), output_(std::move(output)), watch_(std::move(watch)), life_(std::move(life)) {}

  pid_t pid_;
  base::UniqueFd output_;
  base::UniqueFd watch_;
  base::UniqueFd life_;  // kept open for the guard
};

// Cuts output into lines of bounded length.
class Lines {
 public:
  explicit Lines(const ChildRunner::OnLine& on_line) : on_line_(on_line) {}
  void Add(absl::string_view bytes) {
    for (const char c : bytes) {
      if (c == '\n' || c == '\r') {
        Flush();
      } else if (line_.size() < ChildRunner::kMaxLineBytes) {
        line_ += c;
      }
    }
  }
  void Flush() {
    if (!line_.empty()) on_line_(line_);
    line_.clear();
  }

 private:
  const ChildRunner::OnLine& on_line_;
  std::string line_;
};

class SystemChildRunner final : public ChildRunner {
 public:
  explicit SystemChildRunner(base::Clock& clock) : clock_(clock) {}

  absl::StatusOr<ChildEnd> Run(const ChildSpec& spec, const OnLine& on_line,
                               const base::Cancellation& cancellation) override {
    if (spec.sandbox) {
      RETURN_IF_ERROR(CheckSandbox());
    }
    return RunChecked(spec, on_line, cancellation);
  }

  absl::Status CheckSandbox() override {
    ChildSpec spec;
    spec.arguments = {"/bin/true"};
    spec.directory = "/";
    spec.timeout = kSandboxCheck;
    std::string said;
    const base::Cancellation never;
    ASSIGN_OR_RETURN(
        const ChildEnd end,
        RunChecked(spec, [&said](absl::string_view line) { said = std::string(line); }, never));
    if (end.reason == Reason::kExited && end.code == 0) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        "this system does not allow namespaces for builds", said.empty() ? "" : ": ", said));
  }

 private:
  absl::StatusOr<ChildEnd> RunChecked(const ChildSpec& spec, const OnLine& on_line,
                                      const base::Cancellation& cancellation) {
    ASSIGN_OR_RETURN(Child child, Child::Start(spec));
    const absl::Duration deadline = clock_.Monotonic() + spec.timeout;
    Lines lines(on_line);
    std::vector<char> buffer(size_t{64} << 10);
    size_t printed = 0;
    Reason reason = Reason::kExited;
    bool open = true;
    while (reason == Reason::kExited) {
      const absl::Duration left = deadline - clock_.Monotonic();
      const Child::Seen seen = child.Wait(std::clamp(left, absl::ZeroDuration(), kLook),
                                          /*for_output=*/open, /*for_end=*/true);
      if (seen.ended) break;
      if (seen.output) {
        const absl::string_view bytes = child.Read(buffer);
        open = !bytes.empty();
        printed += bytes.size();
        lines.Add(bytes);
        if (printed > spec.max_output_bytes) reason = Reason::kTooMuchOutput;
      }
      if (cancellation.IsCancelled()) {
        reason = Reason::kCancelled;
      } else if (clock_.Monotonic() >= deadline) {
        reason = Reason::kTimedOut;
      }
    }
    child.Kill();
    // The pipe closes when the last process that can print is gone; what is in it still counts.
    const absl::Duration aftermath = clock_.Monotonic() + kAftermath;
    while (open && printed <= spec.max_output_bytes && clock_.Monotonic() < aftermath) {
      if (!child.Wait(kLook, /*for_output=*/true, /*for_end=*/false).output) continue;
      const absl::string_view bytes = child.Read(buffer);
      open = !bytes.empty();
      printed += bytes.size();
      lines.Add(bytes);
    }
    lines.Flush();
    const ChildEnd end = child.Reap();
    return reason == Reason::kExited ? end : ChildEnd{reason, 0};
  }

  base::Clock& clock_;
};

}  // namespace

std::unique_ptr<ChildRunner> MakeChildRunner(base::Clock& clock) {
  return std::make_unique<SystemChildRunner>(clock);
}

}  // namespace kiln::firmware
