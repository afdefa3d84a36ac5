#include "daemon/boards/bridge.h"

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace kiln::boards {
namespace {

struct Vendor {
  absl::string_view id;  // as USB ids are printed
  absl::string_view bridge;
};

// Silicon Labs, WCH (QinHeng), FTDI, Espressif: https://usb-ids.gowdy.us/read/UD/
constexpr Vendor kVendors[] = {
    {"10c4", "cp210x"}, {"1a86", "ch34x"}, {"0403", "ftdi"}, {"303a", "cdc_acm"}};

// Of "CP2102 USB to UART Bridge (10c4:ea60)"; empty without ids.
absl::string_view VendorIn(absl::string_view adapter) {
  constexpr size_t kIds = sizeof("(vvvv:pppp)") - 1;
  if (adapter.size() < kIds) return "";
  const absl::string_view ids = adapter.substr(adapter.size() - kIds);
  if (ids.front() != '(' || ids[5] != ':' || ids.back() != ')') return "";
  return ids.substr(1, 4);
}

}  // namespace

absl::string_view BridgeOf(const BoardInfo& board) {
  if (absl::StartsWith(board.address, "pty:")) return "pty";
  if (absl::StrContains(board.address, "://")) return "socket";
  const absl::string_view id = VendorIn(board.adapter);
  for (const Vendor& vendor : kVendors) {
    if (id == vendor.id) return vendor.bridge;
  }
  return "other";
}

}  // namespace kiln::boards
