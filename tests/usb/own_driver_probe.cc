// Takes one board through a deployment by one driver, for the emulated machine's cases and for
// trying a real adapter by hand:
//
//   kiln-usb-probe PLACE [unplug]           Kiln's own driver     kiln-usb-probe 1-2.3
//   kiln-usb-probe /dev/ttyUSB0 [unplug]    the kernel's terminal
//
// Opens it, reads who it is, writes and verifies 64 KiB at 0x10000, and closes it. With "unplug" it
// waits for the board to be pulled instead, and says when it was told.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "daemon/esp/flasher.h"
#include "daemon/esp/prepared_image.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/usb/usb_context.h"
#include "tests/usb/driver_opener.h"

namespace kiln {
namespace {

constexpr size_t kImageSize = 64 * 1024;

absl::Status Deploy(ports::ByteStream& stream) {
  std::vector<uint8_t> code(kImageSize);
  for (size_t i = 0; i < code.size(); ++i) code[i] = static_cast<uint8_t>((i * i) >> 9);
  const esp::FlashPlan plan = {{"app", 0x10000, esp::PrepareImage(code)}};
  const base::Cancellation cancellation;
  const auto flasher =
      esp::Flasher::Create(stream, base::SystemClock(), cancellation, esp::FlasherOptions());
  RETURN_IF_ERROR(flasher->Connect());
  RETURN_IF_ERROR(flasher->Identify().status());
  ASSIGN_OR_RETURN(const esp::FlashResult result, flasher->Flash(plan, nullptr));
  RETURN_IF_ERROR(flasher->Verify(plan, nullptr));
  std::printf("baud=%u\n", result.baud_rate);
  return absl::OkStatus();
}

absl::Status AwaitUnplug(ports::ByteStream& stream) {
  std::printf("waiting for the unplug\n");
  std::fflush(stdout);
  std::array<uint8_t, 4096> buffer;
  absl::Status status;
  while (status.ok()) status = stream.Read(absl::MakeSpan(buffer), absl::Minutes(5)).status();
  // The system's clock for all programs: CLOCK_MONOTONIC.
  std::printf("told_at=%.6f %s\n", absl::ToDoubleSeconds(base::SystemClock().Monotonic()),
              status.ToString().c_str());
  return absl::IsUnavailable(status) ? absl::OkStatus() : status;
}

absl::Status Run(const std::string& port, bool unplug) {
  std::unique_ptr<ports::UsbContext> context;
  ASSIGN_OR_RETURN(const auto opener, OpenerOf(port, context));
  const absl::Duration before = base::SystemClock().Monotonic();
  ASSIGN_OR_RETURN(const auto stream, opener->Open());
  std::printf("%s opened in %s\n", opener->address().c_str(),
              absl::FormatDuration(base::SystemClock().Monotonic() - before).c_str());
  return unplug ? AwaitUnplug(*stream) : Deploy(*stream);
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) {
  const bool unplug = argc == 3 && std::string(argv[2]) == "unplug";
  if (argc != 2 && !unplug) {
    std::fprintf(stderr, "usage: kiln-usb-probe PLACE|/dev/tty… [unplug]\n");
    return 2;
  }
  const absl::Status status = kiln::Run(argv[1], unplug);
  std::printf("%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
