#include "clients/cli/progress_view.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "clients/cli/table.h"
#include "clients/cli/texts.h"
#include "kiln/v1/station.pb.h"

namespace kiln::cli {
namespace {

constexpr int kPortColumns = 12;
constexpr int kCustomerColumns = 10;
constexpr int kBarColumns = 24;

std::string Bar(int percent) {
  const int filled = std::clamp(percent, 0, 100) * kBarColumns / 100;
  std::string bar;
  for (int i = 0; i < kBarColumns; ++i) bar += i < filled ? "█" : "░";
  return bar;
}

}  // namespace

bool HasEnded(v1::Deployment::State state) {
  return state == v1::Deployment::STATE_SUCCEEDED || state == v1::Deployment::STATE_FAILED ||
         state == v1::Deployment::STATE_CANCELED || state == v1::Deployment::STATE_NEEDS_ATTENTION;
}

ProgressView::ProgressView(std::vector<std::string> names)
    : names_(std::move(names)), wanted_(names_.begin(), names_.end()), order_(names_) {}

bool ProgressView::Take(const v1::Deployment& deployment) {
  if (!wanted_.empty() && !wanted_.contains(deployment.name())) return false;
  const auto known = deployments_.find(deployment.name());
  if (known == deployments_.end()) {
    // Watching everything begins with what is active; history is not of interest.
    if (wanted_.empty() && HasEnded(deployment.state())) return false;
    if (wanted_.empty()) order_.push_back(deployment.name());
  } else if (known->second.sequence() > deployment.sequence()) {
    return false;
  }
  deployments_[deployment.name()] = deployment;
  if (HasEnded(deployment.state())) live_.erase(deployment.name());
  return true;
}

bool ProgressView::Apply(const v1::WatchEventsResponse& message) {
  switch (message.message_case()) {
    case v1::WatchEventsResponse::kSnapshot: {
      last_sequence_ = message.snapshot().last_sequence();
      bool changed = false;
      for (const v1::Deployment& deployment : message.snapshot().deployments()) {
        changed |= Take(deployment);
      }
      return changed;
    }
    case v1::WatchEventsResponse::kEvent:
      // At least once: what was seen before is dropped here.
      if (message.event().sequence() <= last_sequence_) return false;
      last_sequence_ = message.event().sequence();
      return message.event().has_deployment() && Take(message.event().deployment());
    case v1::WatchEventsResponse::kProgress: {
      const v1::Progress& progress = message.progress();
      const auto it = deployments_.find(progress.deployment());
      if (it == deployments_.end() || HasEnded(it->second.state())) return false;
      live_[progress.deployment()] = {progress.step(), progress.progress_percent(),
                                      progress.bytes_per_second()};
      return true;
    }
    default:
      return false;
  }
}

bool ProgressView::AllEnded() const {
  if (deployments_.size() < wanted_.size()) return false;
  return std::all_of(deployments_.begin(), deployments_.end(),
                     [](const auto& entry) { return HasEnded(entry.second.state()); });
}

bool ProgressView::AllSucceeded() const {
  return AllEnded() && std::all_of(deployments_.begin(), deployments_.end(), [](const auto& entry) {
           return entry.second.state() == v1::Deployment::STATE_SUCCEEDED;
         });
}

std::vector<const v1::Deployment*> ProgressView::deployments() const {
  std::vector<const v1::Deployment*> result;
  for (const std::string& name : order_) {
    const auto it = deployments_.find(name);
    if (it != deployments_.end()) result.push_back(&it->second);
  }
  return result;
}

std::vector<std::string> ProgressView::Render(const Texts& texts, int columns) const {
  std::vector<std::string> lines;
  for (const v1::Deployment* deployment : deployments()) {
    lines.push_back(Line(*deployment, texts, columns));
  }
  return lines;
}

std::string ProgressView::Line(const v1::Deployment& deployment, const Texts& texts,
                               int columns) const {
  int percent = deployment.progress_percent();
  v1::Step step = deployment.step();
  uint64_t rate = 0;
  if (const auto it = live_.find(deployment.name()); it != live_.end()) {
    if (it->second.percent >= percent) step = it->second.step;
    percent = std::max(percent, it->second.percent);
    rate = it->second.bytes_per_second;
  }

  std::string state;
  switch (deployment.state()) {
    case v1::Deployment::STATE_PENDING:
      state = std::string(texts.Get(TextId::kWaitingForBoard));
      break;
    case v1::Deployment::STATE_RUNNING:
      state = std::string(texts.Of(step));
      if (rate > 0 && step == v1::STEP_FLASH) absl::StrAppend(&state, "  ", HumanBytes(rate), "/s");
      break;
    case v1::Deployment::STATE_SUCCEEDED:
      state = absl::StrCat("✓ ", texts.Of(deployment.state()), "  ", deployment.mac());
      break;
    default:
      state = absl::StrCat("✗ ", texts.Of(deployment.state()), "  ", deployment.failure().code());
  }

  const std::string& port =
      deployment.port().empty() ? deployment.requested_port() : deployment.port();
  const std::string head =
      absl::StrCat(Padded(port, kPortColumns), " ",
                   Padded(deployment.customer().customer_id(), kCustomerColumns));
  const int head_columns = kPortColumns + 1 + kCustomerColumns;
  // A narrow screen loses the bar first, so that a line never wraps.
  if (columns < head_columns + kBarColumns + 40) {
    return absl::StrFormat("%s %3d%% %s", head, percent, state);
  }
  return absl::StrFormat("%s %s %3d%%  %s", head, Bar(percent), percent, state);
}

}  // namespace kiln::cli
