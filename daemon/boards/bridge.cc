#include "daemon/boards/bridge.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

namespace kiln::boards {
namespace {

struct Vendor {
  uint32_t id;
  absl::string_view bridge;
};

// Silicon Labs, WCH (QinHeng, with two ids), FTDI, Espressif: https://usb-ids.gowdy.us/read/UD/
constexpr Vendor kVendors[] = {{0x10c4, "cp210x"},
                               {0x1a86, "ch34x"},
                               {0x4348, "ch34x"},
                               {0x0403, "ftdi"},
                               {0x303a, "cdc_acm"}};

// Of "CP2102 USB to UART Bridge (10c4:ea60)"; 0 without ids.
uint32_t VendorIn(absl::string_view adapter) {
  constexpr size_t kIds = sizeof("(vvvv:pppp)") - 1;
  if (adapter.size() < kIds) return 0;
  const absl::string_view ids = adapter.substr(adapter.size() - kIds);
  if (ids.front() != '(' || ids[5] != ':' || ids.back() != ')') return 0;
  uint32_t vendor = 0;
  return absl::SimpleHexAtoi(ids.substr(1, 4), &vendor) ? vendor : 0;
}

}  // namespace

absl::string_view BridgeOf(const BoardInfo& board) {
  if (absl::StartsWith(board.address, "pty:")) return "pty";
  if (absl::StrContains(board.address, "://")) return "socket";
  // A terminal that the configuration names has no facts, but its description in sysfs.
  const uint32_t id = board.usb.has_value() ? board.usb->vendor : VendorIn(board.adapter);
  for (const Vendor& vendor : kVendors) {
    if (id == vendor.id) return vendor.bridge;
  }
  return "other";
}

}  // namespace kiln::boards
