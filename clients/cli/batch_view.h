#ifndef KILN_CLIENTS_CLI_BATCH_VIEW_H_
#define KILN_CLIENTS_CLI_BATCH_VIEW_H_

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "clients/cli/progress_view.h"
#include "clients/cli/table.h"
#include "clients/cli/texts.h"
#include "kiln/v1/batches.pb.h"
#include "kiln/v1/station.pb.h"

namespace kiln::cli {

// "12 of 50 made, 3 under way, 1 failed, 38 remaining".
std::string CountsOf(const v1::Batch& batch, const Texts& texts);
// Everything of one batch, as lines for a person.
std::string DescribeBatch(const v1::Batch& batch, const Texts& texts);
Table BatchTable(const Texts& texts);
void AddBatchRow(Table& table, const Texts& texts, const v1::Batch& batch);
Table SlotTable(const Texts& texts);
void AddSlotRow(Table& table, const Texts& texts, const v1::BatchSlot& slot);
bool IsOver(const v1::Batch& batch);

// A batch as it goes on, made of the messages of WatchEvents. One owner, main thread.
class BatchView {
 public:
  explicit BatchView(v1::Batch batch) : batch_(std::move(batch)) {}

  // Whether the picture has changed. Messages of other batches change nothing.
  bool Apply(const v1::WatchEventsResponse& message);
  const v1::Batch& batch() const { return batch_; }
  // It takes no boards any more and nothing is under way.
  bool Ended() const { return IsOver(batch_) && batch_.running() == 0; }

  // Counts, the slots under way, and the newest that have ended.
  std::vector<std::string> Render(const Texts& texts, int columns) const;
  // What has ended since the last call, a line each: "slot 3  usb-1-2.1  succeeded  7c:…".
  std::vector<std::string> TakeNews(const Texts& texts);

 private:
  bool Take(const v1::Batch& batch);
  bool Take(const v1::Deployment& deployment);

  v1::Batch batch_;
  std::map<std::string, v1::Deployment> running_;  // by name
  std::map<std::string, v1::Progress> live_;       // by deployment
  std::deque<v1::Deployment> ended_;               // oldest first, a few
  std::map<std::string, int64_t> seen_;            // newest sequence of each deployment
  std::vector<v1::Deployment> news_;
};

}  // namespace kiln::cli

#endif  // KILN_CLIENTS_CLI_BATCH_VIEW_H_
