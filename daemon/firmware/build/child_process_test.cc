#include "daemon/firmware/build/child_process.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/fake_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::firmware {
namespace {

using Reason = ChildEnd::Reason;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(30);

class ChildProcessTest : public ::testing::Test {
 protected:
  ChildSpec Shell(const std::string& script) {
    ChildSpec spec;
    spec.arguments = {"/bin/sh", "-c", script};
    spec.environment = {"PATH=/usr/bin:/bin", "GREETING=hello"};
    spec.directory = ::testing::TempDir();
    spec.timeout = absl::Minutes(1);
    spec.sandbox = false;
    return spec;
  }
  absl::StatusOr<ChildEnd> Run(const ChildSpec& spec) {
    return runner_->Run(
        spec, [this](absl::string_view line) { lines_.emplace_back(line); }, cancellation_);
  }
  // The time of `spec` is over once its program has printed so many lines, however slow it is.
  absl::StatusOr<ChildEnd> RunUntil(size_t lines, const ChildSpec& spec) {
    base::FakeClock clock;
    return MakeChildRunner(clock)->Run(
        spec,
        [&](absl::string_view line) {
          lines_.emplace_back(line);
          if (lines_.size() == lines) clock.Advance(spec.timeout);
        },
        cancellation_);
  }
  // Namespaces need a system that allows them; a container often does not.
  bool HasSandbox() { return runner_->CheckSandbox().ok(); }

  // Whether the process of this number is gone, within the test's patience.
  static bool IsGone(const std::string& number) {
    int pid = 0;
    if (!absl::SimpleAtoi(number, &pid)) return false;
    const absl::Time deadline = absl::Now() + kPatience;
    while (absl::Now() < deadline) {
      if (::kill(pid, 0) != 0 && errno == ESRCH) return true;
      // A zombie that nobody reaps here is gone, too.
      std::ifstream stat(absl::StrCat("/proc/", pid, "/stat"));
      std::string text;
      std::getline(stat, text);
      if (text.find(") Z ") != std::string::npos) return true;
      std::this_thread::yield();
    }
    return false;
  }

  // Whether no process has `mark` in its environment any more, within the test's patience.
  static bool AreGone(const std::string& mark) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (absl::Now() < deadline) {
      if (!IsAnywhere(mark)) return true;
      std::this_thread::yield();
    }
    return false;
  }
  static bool IsAnywhere(const std::string& mark) {
    std::error_code error;
    for (const auto& process : std::filesystem::directory_iterator("/proc", error)) {
      std::ifstream environment(process.path() / "environ", std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(environment), {}};
      if (absl::StrContains(text, mark + '\0')) return true;
    }
    return false;
  }

  // Everything below `pid`, by number.
  static std::vector<std::string> GrandchildrenOf(pid_t pid) {
    std::vector<std::string> found;
    std::vector<std::string> open = {absl::StrCat(pid)};
    while (!open.empty()) {
      const std::string parent = open.back();
      open.pop_back();
      std::ifstream list(absl::StrCat("/proc/", parent, "/task/", parent, "/children"));
      for (std::string child; list >> child;) {
        found.push_back(child);
        open.push_back(child);
      }
    }
    return found;
  }

  std::unique_ptr<ChildRunner> runner_ = MakeChildRunner(base::SystemClock());
  base::Cancellation cancellation_;
  std::vector<std::string> lines_;
};

TEST_F(ChildProcessTest, GivesLinesOfBothStreamsAndTheExitCode) {
  const auto end = Run(Shell("echo one; echo two >&2; printf three; exit 7"));

  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->reason, Reason::kExited);
  EXPECT_EQ(end->code, 7);
  EXPECT_THAT(lines_, ElementsAre("one", "two", "three"));
}

TEST_F(ChildProcessTest, HasOnlyTheGivenEnvironmentAndNoInput) {
  ASSERT_TRUE(Run(Shell("env | grep -v '^_\\|^PWD\\|^SHLVL\\|^OLDPWD' | sort; cat; pwd")).ok());

  EXPECT_EQ(lines_[0], "GREETING=hello");
  EXPECT_EQ(lines_[1], "PATH=/usr/bin:/bin");
  ASSERT_EQ(lines_.size(), 3u);
}

TEST_F(ChildProcessTest, ASignalIsTold) {
  const auto end = Run(Shell("kill -SEGV $$"));

  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->reason, Reason::kSignal);
  EXPECT_EQ(end->code, SIGSEGV);
}

TEST_F(ChildProcessTest, AProgramThatIsNotThereIsAnError) {
  ChildSpec spec = Shell("");
  spec.arguments = {"/no/such/program"};
  const auto end = Run(spec);

  // prlimit starts and says so.
  ASSERT_TRUE(end.ok());
  EXPECT_NE(end->code, 0);
  EXPECT_THAT(absl::StrJoin(lines_, "\n"), HasSubstr("/no/such/program"));
}

TEST_F(ChildProcessTest, ATimeoutEndsTheWholeGroup) {
  const auto end = RunUntil(2, Shell("sleep 1000 & echo $!; echo $$; sleep 1000"));

  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->reason, Reason::kTimedOut);
  ASSERT_EQ(lines_.size(), 2u);
  EXPECT_TRUE(IsGone(lines_[0]));
  EXPECT_TRUE(IsGone(lines_[1]));
}

TEST_F(ChildProcessTest, ACancellationEndsTheWholeGroup) {
  const auto end = runner_->Run(
      Shell("sleep 1000 & echo $!; wait"),
      [this](absl::string_view line) {
        lines_.emplace_back(line);
        cancellation_.Cancel("enough");
      },
      cancellation_);

  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->reason, Reason::kCancelled);
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_TRUE(IsGone(lines_[0]));
}

TEST_F(ChildProcessTest, WhatAnEndedProgramLeftBehindIsEnded) {
  const auto end = Run(Shell("sleep 1000 & echo $!; exit 0"));

  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->code, 0);
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_TRUE(IsGone(lines_[0]));
}

TEST_F(ChildProcessTest, ADaemonThatIsKilledLeavesNoProgramBehind) {
  for (const bool sandbox : {false, HasSandbox()}) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t daemon = ::fork();
    ASSERT_GE(daemon, 0);
    if (daemon == 0) {
      ChildSpec spec = Shell("sleep 1000 & echo started; sleep 1000");
      spec.sandbox = sandbox;
      const auto end = runner_->Run(
          spec, [&ends](absl::string_view) { (void)!::write(ends[1], "x", 1); }, cancellation_);
      ::_exit(end.ok() ? 0 : 1);
    }
    ::close(ends[1]);
    char byte = 0;
    ASSERT_EQ(::read(ends[0], &byte, 1), 1) << "the program started";
    ::close(ends[0]);
    const std::vector<std::string> programs = GrandchildrenOf(daemon);
    EXPECT_GE(programs.size(), 2u);
    ::kill(daemon, SIGKILL);
    ASSERT_EQ(::waitpid(daemon, nullptr, 0), daemon);

    for (const std::string& program : programs) EXPECT_TRUE(IsGone(program)) << program;
  }
}

TEST_F(ChildProcessTest, EndlessOutputIsEnded) {
  ChildSpec spec = Shell("while :; do echo noise; done");
  spec.max_output_bytes = 100'000;
  const auto end = Run(spec);

  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->reason, Reason::kTooMuchOutput);
  EXPECT_LT(lines_.size(), 100'000u);
}

TEST_F(ChildProcessTest, LongLinesAreCut) {
  ASSERT_TRUE(Run(Shell("head -c 100000 /dev/zero | tr '\\0' x; echo; echo end")).ok());

  ASSERT_EQ(lines_.size(), 2u);
  EXPECT_EQ(lines_[0].size(), ChildRunner::kMaxLineBytes);
  EXPECT_EQ(lines_[1], "end");
}

TEST_F(ChildProcessTest, AFileThatGrowsWithoutEndIsStopped) {
  ChildSpec spec =
      Shell("head -c 10000000 /dev/zero > grows; ls -l grows | awk '{print $5}'; rm grows");
  spec.max_file_bytes = 1'000'000;
  ASSERT_TRUE(Run(spec).ok());

  ASSERT_FALSE(lines_.empty());
  EXPECT_EQ(lines_.back(), "1000000");
}

TEST_F(ChildProcessTest, TheSandboxHasNoNetworkAndHoldsWhatLeavesItsGroup) {
  if (!HasSandbox()) GTEST_SKIP() << "this system allows no user namespaces";
  ChildSpec spec = Shell(
      "grep -c : /proc/net/dev; "
      "setsid sh -c 'echo left; exec sleep 1000 >/dev/null 2>&1' & sleep 1000");
  const std::string mark = absl::StrCat("KILN_CHILD_PROCESS_TEST=", ::getpid());
  spec.environment.push_back(mark);
  spec.sandbox = true;
  const auto end = RunUntil(2, spec);

  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->reason, Reason::kTimedOut);
  // Only the loopback, which is down.
  EXPECT_THAT(lines_, ElementsAre("1", "left"));
  EXPECT_TRUE(AreGone(mark));
}

TEST_F(ChildProcessTest, TheSandboxTellsItsProgramsEnd) {
  if (!HasSandbox()) GTEST_SKIP() << "this system allows no user namespaces";
  ChildSpec spec = Shell("echo in; exit 3");
  spec.sandbox = true;
  const auto end = Run(spec);

  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->code, 3);
  EXPECT_THAT(lines_, ElementsAre("in"));
}

}  // namespace
}  // namespace kiln::firmware
