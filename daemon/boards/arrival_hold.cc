#include "daemon/boards/arrival_hold.h"

#include <algorithm>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "daemon/boards/port_source.h"
#include "daemon/boards/settle_time.h"
#include "daemon/boards/usb_attributes.h"

namespace kiln::boards {
namespace {

// udev makes its links within some tens of milliseconds of the terminal.
constexpr absl::Duration kLinkTime = absl::Milliseconds(200);

absl::string_view FileName(absl::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

}  // namespace

void ArrivalHold::BeginLook() {
  now_ = clock_.Monotonic();
  holding_ = false;
  awaited_.clear();
}

void ArrivalHold::Await(const std::string& path) { awaited_.push_back(path); }

bool ArrivalHold::Holds(const FoundPort& found) {
  const auto [it, is_new] = boards_.try_emplace(found.name);
  Board& board = it->second;
  if (is_new || board.instance != found.instance) {
    const bool gone_for_long = is_new || now_ - board.last_seen >= kUsbSettleTime;
    board.returned = !gone_for_long && (board.told || board.returned);
    board.told = false;
    board.instance = found.instance;
    board.since = now_;
    board.last_without_terminal = now_;
  }
  board.last_seen = now_;
  if (found.device.empty()) board.last_without_terminal = now_;
  // What has been told is not taken back when a configured port becomes empty later.
  board.told =
      board.told || now_ - board.since >= kUsbSettleTime || !MayBeAwaited(board, found.device);
  holding_ = holding_ || !board.told;
  return !board.told;
}

bool ArrivalHold::MayBeAwaited(const Board& board, absl::string_view device) const {
  return std::any_of(awaited_.begin(), awaited_.end(), [&](const std::string& path) {
    if (device.empty()) return true;
    const absl::string_view name = FileName(path);
    if (IsUsbTtyName(name)) return name == FileName(device);
    // A link may lead anywhere, until it should be there. And nobody exchanges a board within two
    // seconds: what comes back so soon is the one that has been told, and was not the awaited one.
    return !board.returned && now_ - board.last_without_terminal < kLinkTime;
  });
}

}  // namespace kiln::boards
