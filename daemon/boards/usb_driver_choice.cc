#include "daemon/boards/usb_driver_choice.h"

#include <string>

#include "absl/status/status.h"
#include "errors/error.h"

namespace kiln::boards {
namespace {

using errors::ErrorCode;
using errors::MakeError;
using Use = UsbDriverChoice::Use;

UsbDriverChoice Choose(Use use, const std::string& reason) {
  return {.use = use, .why = absl::OkStatus(), .reason = reason};
}

UsbDriverChoice Refuse(const absl::Status& why) {
  return {.use = Use::kNothing, .why = why, .reason = ""};
}

UsbDriverChoice ChooseTerminal(const UsbDriverSituation& s, const std::string& reason) {
  if (s.kernel_terminal && s.terminal_access.ok()) return Choose(Use::kTerminal, reason);
  if (s.settling) return Choose(Use::kWait, reason);
  if (!s.kernel_terminal) {
    return Refuse(MakeError(ErrorCode::kPortFailed,
                            "the kernel has no terminal for this adapter; its driver is not "
                            "loaded, or another program has taken the adapter"));
  }
  if (absl::IsNotFound(s.terminal_access)) {
    return Refuse(MakeError(ErrorCode::kPortFailed, std::string(s.terminal_access.message())));
  }
  return Refuse(s.terminal_access);
}

UsbDriverChoice ChooseOwn(const UsbDriverSituation& s, const std::string& reason) {
  if (!s.libusb.ok()) return Refuse(s.libusb);
  if (s.bus_access.ok()) return Choose(Use::kOwnDriver, reason);
  if (s.settling) return Choose(Use::kWait, reason);
  if (absl::IsNotFound(s.bus_access)) {
    return Refuse(MakeError(ErrorCode::kPortFailed, std::string(s.bus_access.message())));
  }
  return Refuse(s.bus_access);
}

}  // namespace

UsbDriverChoice ChooseUsbDriver(const UsbDriverSituation& s) {
  if (s.setting == UsbDriverSetting::kKernel) return ChooseTerminal(s, "as configured");
  if (!s.own_driver) {
    return ChooseTerminal(s, "Kiln has no driver of its own for this adapter");
  }
  if (s.setting == UsbDriverSetting::kUser) return ChooseOwn(s, "as configured");

  if (s.own_driver_better && s.libusb.ok() && s.bus_access.ok()) {
    return Choose(Use::kOwnDriver, "it measured better than the kernel's with this adapter");
  }
  if (s.kernel_terminal && s.terminal_access.ok()) {
    return Choose(Use::kTerminal, "the kernel's terminal can be used");
  }
  const bool file_never_comes = s.kernel_terminal && absl::IsNotFound(s.terminal_access);
  if (s.settling && !file_never_comes) {
    return Choose(Use::kWait, "the kernel's driver may still come");
  }
  if (!s.libusb.ok() || !s.bus_access.ok()) {
    // Whoever repairs something repairs the nearer thing: the terminal, where there is one.
    return s.kernel_terminal && !file_never_comes ? ChooseTerminal(s, "") : ChooseOwn(s, "");
  }
  if (!s.kernel_terminal) return ChooseOwn(s, "the kernel has no terminal for it");
  return ChooseOwn(s, file_never_comes ? "the kernel's terminal is not in this system's /dev"
                                       : "the kernel's terminal may not be opened");
}

}  // namespace kiln::boards
