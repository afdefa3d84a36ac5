#include "clients/cli/batch_view.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "clients/cli/session.h"

namespace kiln::cli {
namespace {

// Ended slots that stay on the screen: what a bench has in hand.
constexpr size_t kShownEnded = 8;
constexpr int kSlotColumns = 5;
constexpr int kPortColumns = 12;
constexpr int kBarColumns = 20;

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

std::string CustomerOf(const v1::Batch& batch, const Texts& texts) {
  return batch.has_customer() ? batch.customer().customer_id()
                              : std::string(texts.Get(TextId::kOneEach));
}

std::string Head(const v1::Deployment& deployment) {
  const std::string& port =
      deployment.port().empty() ? deployment.requested_port() : deployment.port();
  return absl::StrCat(Padded(absl::StrCat(deployment.batch_slot()), kSlotColumns),
                      Padded(port, kPortColumns), " ",
                      Padded(deployment.customer().customer_id(), 10));
}

std::string EndLine(const v1::Deployment& deployment, const Texts& texts) {
  const bool good = deployment.state() == v1::Deployment::STATE_SUCCEEDED;
  return absl::StrCat(Head(deployment), " ", good ? "✓ " : "✗ ", texts.Of(deployment.state()),
                      deployment.mac().empty() ? "" : "  ", deployment.mac(), good ? "" : "  ",
                      deployment.failure().code());
}

}  // namespace

bool IsOver(const v1::Batch& batch) {
  return batch.state() == v1::Batch::STATE_COMPLETED || batch.state() == v1::Batch::STATE_ENDED;
}

std::string CountsOf(const v1::Batch& batch, const Texts& texts) {
  return texts.Format(TextId::kBatchCounts,
                      {absl::StrCat(batch.succeeded()), absl::StrCat(batch.count()),
                       absl::StrCat(batch.running()), absl::StrCat(batch.failed()),
                       absl::StrCat(batch.refused()), absl::StrCat(batch.remaining())});
}

std::string DescribeBatch(const v1::Batch& batch, const Texts& texts) {
  std::string text = absl::StrCat(IdOf(batch.name()), "  ", texts.Of(batch.state()), "\n");
  const auto line = [&text, &texts](TextId id, const std::string& value) {
    if (!value.empty()) absl::StrAppend(&text, "  ", texts.Get(id), ": ", value, "\n");
  };
  absl::StrAppend(&text, "  ", CountsOf(batch, texts), "\n");
  line(TextId::kOrganization, batch.customer().organization());
  line(TextId::kCustomerOfBatch, CustomerOf(batch, texts));
  line(TextId::kApplication, batch.customer().application_name());
  line(TextId::kBundle, IdOf(batch.bundle()));
  line(TextId::kPortsOfBatch, absl::StrJoin(batch.ports(), " "));
  line(TextId::kAllowedBoards, absl::StrJoin(batch.allowed_macs(), " "));
  return text;
}

Table BatchTable(const Texts& texts) {
  const auto word = [&texts](TextId id) { return std::string(texts.Get(id)); };
  return Table({word(TextId::kId), word(TextId::kCreated), word(TextId::kCustomer),
                word(TextId::kState), word(TextId::kMade), word(TextId::kFailedColumn),
                word(TextId::kPort)});
}

void AddBatchRow(Table& table, const Texts& texts, const v1::Batch& batch) {
  table.AddRow({IdOf(batch.name()), HumanTime(ToTime(batch.create_time())),
                CustomerOf(batch, texts), std::string(texts.Of(batch.state())),
                absl::StrCat(batch.succeeded(), "/", batch.count()), absl::StrCat(batch.failed()),
                absl::StrJoin(batch.ports(), " ")});
}

Table SlotTable(const Texts& texts) {
  const auto word = [&texts](TextId id) { return std::string(texts.Get(id)); };
  return Table({word(TextId::kSlot), word(TextId::kCustomer), word(TextId::kState),
                word(TextId::kMac), word(TextId::kId)});
}

void AddSlotRow(Table& table, const Texts& texts, const v1::BatchSlot& slot) {
  table.AddRow({absl::StrCat(slot.slot()), slot.customer().customer_id(),
                slot.deployment().empty() ? std::string(texts.Get(TextId::kSlotFree))
                                          : std::string(texts.Of(slot.state())),
                slot.mac(), IdOf(slot.deployment())});
}

bool BatchView::Take(const v1::Batch& batch) {
  if (batch.name() != batch_.name() || batch.sequence() < batch_.sequence()) return false;
  batch_ = batch;
  return true;
}

bool BatchView::Take(const v1::Deployment& deployment) {
  if (deployment.batch() != batch_.name()) return false;
  const auto [seen, fresh] = seen_.try_emplace(deployment.name(), deployment.sequence());
  if (!fresh && seen->second >= deployment.sequence()) return false;
  seen->second = deployment.sequence();
  if (!HasEnded(deployment.state())) {
    running_[deployment.name()] = deployment;
    return true;
  }
  running_.erase(deployment.name());
  live_.erase(deployment.name());
  ended_.push_back(deployment);
  if (ended_.size() > kShownEnded) ended_.pop_front();
  news_.push_back(deployment);
  return true;
}

bool BatchView::Apply(const v1::WatchEventsResponse& message) {
  bool changed = false;
  switch (message.message_case()) {
    case v1::WatchEventsResponse::kSnapshot: {
      for (const v1::Batch& batch : message.snapshot().batches()) changed |= Take(batch);
      // Newest first there; here in the order of their ends.
      std::vector<v1::Deployment> deployments(message.snapshot().deployments().begin(),
                                              message.snapshot().deployments().end());
      std::sort(deployments.begin(), deployments.end(),
                [](const auto& a, const auto& b) { return a.sequence() < b.sequence(); });
      for (const v1::Deployment& deployment : deployments) changed |= Take(deployment);
      return changed;
    }
    case v1::WatchEventsResponse::kEvent:
      if (message.event().has_batch()) return Take(message.event().batch());
      return message.event().has_deployment() && Take(message.event().deployment());
    case v1::WatchEventsResponse::kProgress:
      if (running_.find(message.progress().deployment()) == running_.end()) return false;
      live_[message.progress().deployment()] = message.progress();
      return true;
    default:
      return false;
  }
}

std::vector<std::string> BatchView::Render(const Texts& texts, int columns) const {
  std::vector<std::string> lines;
  lines.push_back(absl::StrCat(texts.Of(batch_.state()), "  ", CountsOf(batch_, texts)));
  for (const v1::Deployment& deployment : ended_) lines.push_back(EndLine(deployment, texts));
  std::vector<const v1::Deployment*> running;
  running.reserve(running_.size());
  for (const auto& [name, deployment] : running_) running.push_back(&deployment);
  std::sort(running.begin(), running.end(), [](const v1::Deployment* a, const v1::Deployment* b) {
    return a->batch_slot() < b->batch_slot();
  });
  for (const v1::Deployment* deployment : running) {
    int percent = deployment->progress_percent();
    v1::Step step = deployment->step();
    if (const auto it = live_.find(deployment->name()); it != live_.end()) {
      if (it->second.progress_percent() >= percent) step = it->second.step();
      percent = std::max(percent, it->second.progress_percent());
    }
    std::string bar;
    if (columns >= 90) {
      const int filled = std::clamp(percent, 0, 100) * kBarColumns / 100;
      for (int i = 0; i < kBarColumns; ++i) bar += i < filled ? "█" : "░";
      bar += " ";
    }
    const bool waits = deployment->state() == v1::Deployment::STATE_PENDING;
    lines.push_back(
        absl::StrFormat("%s %s%3d%%  %s", Head(*deployment), bar, percent,
                        std::string(waits ? texts.Get(TextId::kWaitingForBoard) : texts.Of(step))));
  }
  return lines;
}

std::vector<std::string> BatchView::TakeNews(const Texts& texts) {
  std::vector<std::string> lines;
  lines.reserve(news_.size());
  for (const v1::Deployment& deployment : news_) lines.push_back(EndLine(deployment, texts));
  news_.clear();
  return lines;
}

}  // namespace kiln::cli
