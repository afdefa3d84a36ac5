#include "daemon/boards/holder_watch.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "daemon/ports/port_holder.h"
#include "errors/error.h"

namespace kiln::boards {
namespace {

constexpr absl::Duration kOften = absl::Seconds(2);
constexpr absl::Duration kSeldom = absl::Seconds(10);
constexpr absl::Duration kFresh = absl::Minutes(1);

}  // namespace

void HolderWatch::Look(std::vector<std::string> paths) {
  const absl::Duration now = clock_.Monotonic();
  std::set<std::string> fresh(paths.begin(), paths.end());
  if (!std::includes(paths_.begin(), paths_.end(), fresh.begin(), fresh.end())) {
    last_arrival_ = now;
    // Once for all boards of a storm, and when the first programs have come.
    next_look_ = std::min(next_look_, now + kOften);
  }
  paths_ = std::move(fresh);
  if (now < next_look_) return;
  holders_ = ports::FindHolders(paths, proc_root_);
  const bool often = !holders_.empty() || now - last_arrival_ < kFresh;
  next_look_ = now + (often ? kOften : kSeldom);
}

absl::Status HolderWatch::Check(const std::string& path, bool claimed,
                                absl::FunctionRef<bool()> still_claimed) const {
  const auto holder = holders_.find(path);
  if (holder != holders_.end()) {
    return errors::MakeError(errors::ErrorCode::kPortBusy,
                             absl::StrCat(path, " is held by ", holder->second));
  }
  // A stream of this process may open or end between one question and the next. Its file is open as
  // long as its claim: only a claim that is seen while no file is open before and after is
  // another's.
  const auto held_here = [&] { return ports::HeldByThisProcess(path, proc_root_); };
  if (!claimed || held_here()) return absl::OkStatus();
  if (!still_claimed() || held_here()) return absl::OkStatus();
  const std::string seizer = ports::FindSeizer(proc_root_);
  return errors::MakeError(
      errors::ErrorCode::kPortBusy,
      seizer.empty() ? absl::StrCat("another program has claimed ", path)
                     : absl::StrCat("another program has claimed ", path, ", perhaps ", seizer));
}

}  // namespace kiln::boards
