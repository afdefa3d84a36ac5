// Measures one driver at a board of kiln-sim's that tests the line ("line-test"):
//
//   kiln-line-bench PLACE BAUD…          Kiln's own driver     kiln-line-bench 1-2.3 115200 921600
//   kiln-line-bench /dev/ttyUSB0 BAUD…   the kernel's terminal
//   kiln-line-bench processor            no board: how fast this machine's processor is
//
// One line of output for each rate: seconds that a second's worth of bytes took to the board and
// from it, seconds from a question of nine bytes to the board's answer of six (the median of many),
// and this process's share of a processor meanwhile and in silence. The time ends with the last
// byte, not with the last write. A command, not a test: it judges only that every byte was right.
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/usb/usb_context.h"
#include "simulator/usb/line_test_peer.h"
#include "tests/usb/driver_opener.h"

namespace kiln {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(5);
constexpr absl::Duration kSilence = absl::Milliseconds(1100);
constexpr int kQuestions = 51;
constexpr uint32_t kBitsPerByte = 10;

absl::Duration CpuTime() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
}

// How long something took, and this process's part of a processor meanwhile.
struct Cost {
  double seconds = 0;
  double cpu = 0;
};

class Stopwatch {
 public:
  Cost Stop() const {
    const absl::Duration elapsed = base::SystemClock().Monotonic() - begin_;
    return {.seconds = absl::ToDoubleSeconds(elapsed),
            .cpu = absl::FDivDuration(CpuTime() - cpu_, elapsed)};
  }

 private:
  const absl::Duration begin_ = base::SystemClock().Monotonic();
  const absl::Duration cpu_ = CpuTime();
};

absl::StatusOr<Cost> ToBoard(ports::ByteStream& stream, size_t size) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = simulator::LineTestByte(i);
  const Stopwatch stopwatch;
  const std::string command = absl::StrCat("take ", size, "\n");
  RETURN_IF_ERROR(stream.Write(base::AsBytes(command), kPatience));
  RETURN_IF_ERROR(stream.Write(bytes, kPatience));
  std::string answer;
  while (!absl::EndsWith(answer, "\n")) {
    uint8_t buffer[64];
    ASSIGN_OR_RETURN(const size_t read, stream.Read(absl::MakeSpan(buffer), kPatience));
    answer.append(buffer, buffer + read);
  }
  const Cost cost = stopwatch.Stop();
  if (answer != "right\n") return absl::DataLossError("the board has read other bytes");
  return cost;
}

absl::StatusOr<Cost> FromBoard(ports::ByteStream& stream, size_t size) {
  std::vector<uint8_t> buffer(64 * 1024);
  uint64_t received = 0;
  const Stopwatch stopwatch;
  RETURN_IF_ERROR(stream.Write(base::AsBytes(absl::StrCat("send ", size, "\n")), kPatience));
  while (received < size) {
    ASSIGN_OR_RETURN(const size_t read, stream.Read(absl::MakeSpan(buffer), kPatience));
    for (size_t i = 0; i < read; ++i) {
      if (buffer[i] != simulator::LineTestByte(received++)) {
        return absl::DataLossError(absl::StrCat("another byte came as number ", received));
      }
    }
  }
  return stopwatch.Stop();
}

absl::StatusOr<double> Answer(ports::ByteStream& stream) {
  std::vector<double> seconds;
  for (int i = 0; i < kQuestions; ++i) {
    ASSIGN_OR_RETURN(const Cost cost, ToBoard(stream, 1));
    seconds.push_back(cost.seconds);
  }
  std::nth_element(seconds.begin(), seconds.begin() + kQuestions / 2, seconds.end());
  return seconds[kQuestions / 2];
}

// From the second second on: a driver may do less once it knows of the silence.
absl::StatusOr<Cost> Silence(ports::ByteStream& stream) {
  uint8_t buffer[64];
  Cost cost;
  for (int i = 0; i < 2; ++i) {
    const Stopwatch stopwatch;
    const auto read = stream.Read(absl::MakeSpan(buffer), kSilence);
    if (read.ok()) return absl::DataLossError("a byte came from nowhere");
    if (!absl::IsDeadlineExceeded(read.status())) return read.status();
    cost = stopwatch.Stop();
  }
  return cost;
}

// Processor time of what the drivers mostly do: a thread is woken by the kernel and answers another
// one. In nanoseconds.
absl::StatusOr<double> WakeUpCost() {
  constexpr int kTurns = 20'000;
  int there[2];
  int back[2];
  if (::pipe(there) != 0 || ::pipe(back) != 0) return absl::InternalError("pipe");
  // On one core, as in the emulated machine: what it costs to wake another one is another matter.
  cpu_set_t core;
  CPU_ZERO(&core);
  CPU_SET(::sched_getcpu(), &core);
  if (::sched_setaffinity(0, sizeof core, &core) != 0) return absl::InternalError("affinity");
  std::thread other([&] {
    char byte = 0;
    while (::read(there[0], &byte, 1) == 1 && ::write(back[1], &byte, 1) == 1) {
    }
  });
  const absl::Duration begin = CpuTime();
  char byte = 0;
  for (int i = 0; i < kTurns; ++i) {
    if (::write(there[1], &byte, 1) != 1 || ::read(back[0], &byte, 1) != 1) break;
  }
  const absl::Duration used = CpuTime() - begin;
  ::close(there[1]);
  other.join();
  for (const int fd : {there[0], back[0], back[1]}) ::close(fd);
  return absl::ToDoubleNanoseconds(used) / kTurns;
}

absl::Status Measure(ports::ByteStream& stream, uint32_t baud) {
  RETURN_IF_ERROR(stream.SetBaudRate(baud));
  const size_t size = baud / kBitsPerByte;
  ASSIGN_OR_RETURN(const Cost to, ToBoard(stream, size));
  ASSIGN_OR_RETURN(const Cost from, FromBoard(stream, size));
  ASSIGN_OR_RETURN(const double answer, Answer(stream));
  ASSIGN_OR_RETURN(const Cost silence, Silence(stream));
  std::printf(
      "baud=%u bytes=%zu to=%.4f to_cpu=%.4f from=%.4f from_cpu=%.4f answer=%.5f "
      "silence_cpu=%.4f\n",
      baud, size, to.seconds, to.cpu, from.seconds, from.cpu, answer, silence.cpu);
  std::fflush(stdout);
  return absl::OkStatus();
}

absl::Status Run(const std::string& port, const std::vector<uint32_t>& bauds) {
  std::unique_ptr<ports::UsbContext> context;
  ASSIGN_OR_RETURN(const auto opener, OpenerOf(port, context));
  ASSIGN_OR_RETURN(const std::unique_ptr<ports::ByteStream> stream, opener->Open());
  for (const uint32_t baud : bauds) RETURN_IF_ERROR(Measure(*stream, baud)) << baud << " baud";
  return absl::OkStatus();
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "processor") {
    const absl::StatusOr<double> cost = kiln::WakeUpCost();
    if (cost.ok()) std::printf("wake_up_ns=%.0f\n", *cost);
    return cost.ok() ? 0 : 1;
  }
  std::vector<uint32_t> bauds;
  for (int i = 2; i < argc; ++i) {
    uint32_t baud = 0;
    if (!absl::SimpleAtoi(argv[i], &baud) || baud == 0) {
      bauds.clear();
      break;
    }
    bauds.push_back(baud);
  }
  if (bauds.empty()) {
    std::fprintf(stderr, "usage: kiln-line-bench PLACE|/dev/tty… BAUD… | processor\n");
    return 2;
  }
  const absl::Status status = kiln::Run(argv[1], bauds);
  if (!status.ok()) std::printf("%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
