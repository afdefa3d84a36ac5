// Takes one board through a deployment by Kiln's own USB driver, for the emulated machine's cases
// and for trying a real adapter by hand:
//
//   kiln-usb-probe PLACE [SERIAL_PORT]      kiln-usb-probe 1-2.3
//
// Opens it, reads who it is, writes and verifies 64 KiB at 0x10000, and closes it. With "unplug" as
// the third argument it waits for the board to be pulled instead.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "daemon/esp/flasher.h"
#include "daemon/esp/prepared_image.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/usb/usb_context.h"
#include "tests/usb/place_opener.h"

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

absl::Status AwaitUnplug(ports::ByteStream& stream, const std::string& folder) {
  std::printf("waiting for the unplug\n");
  std::fflush(stdout);
  std::array<uint8_t, 4096> buffer;
  absl::Status status;
  while (status.ok()) status = stream.Read(absl::MakeSpan(buffer), absl::Minutes(5)).status();
  std::printf("%s; sysfs still shows it: %d\n", status.ToString().c_str(),
              std::filesystem::exists(folder) ? 1 : 0);
  return absl::IsUnavailable(status) ? absl::OkStatus() : status;
}

absl::Status Run(const std::string& name, uint8_t serial_port, bool unplug) {
  ASSIGN_OR_RETURN(const auto context, ports::UsbContext::Create());
  ASSIGN_OR_RETURN(const auto opener, OpenerOfPlace(*context, name, serial_port));
  const absl::Duration before = base::SystemClock().Monotonic();
  ASSIGN_OR_RETURN(const auto stream, opener->Open());
  std::printf("%s opened in %s\n", opener->address().c_str(),
              absl::FormatDuration(base::SystemClock().Monotonic() - before).c_str());
  return unplug ? AwaitUnplug(*stream, "/sys/bus/usb/devices/" + name) : Deploy(*stream);
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) {
  uint32_t serial_port = 0;
  if (argc < 2 || argc > 4 ||
      (argc > 2 && (!absl::SimpleAtoi(argv[2], &serial_port) || serial_port > 3))) {
    std::fprintf(stderr, "usage: kiln-usb-probe PLACE [SERIAL_PORT [unplug]]\n");
    return 2;
  }
  const absl::Status status = kiln::Run(argv[1], static_cast<uint8_t>(serial_port), argc > 3);
  std::printf("%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
