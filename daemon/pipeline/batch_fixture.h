#ifndef KILN_DAEMON_PIPELINE_BATCH_FIXTURE_H_
#define KILN_DAEMON_PIPELINE_BATCH_FIXTURE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/pipeline/batches.h"
#include "daemon/pipeline/pipeline_fixture.h"
#include "simulator/memory_stream.h"
#include "storage/ledger.h"

namespace kiln::pipeline {

// A station with batches, and a stock of boards that can be plugged in anywhere, again and again.
class BatchFixture : public PipelineFixture {
 protected:
  // `count` boards at the ports p*, for one customer.
  std::string Order(int count, const std::vector<std::string>& ports = {"p*"});
  // The id of the batch.
  std::string Order(const BatchOrder& order);
  // One board for each of `customers`, at the ports p*.
  std::string OrderFor(const std::vector<std::string>& customers);

  // Plugs board `number` in at `port`: the same board each time.
  void Plug(const std::string& port, uint8_t number);
  uint64_t ProgrammedBytes(uint8_t number) {
    return stock_.at(number)->statistics().programmed_bytes;
  }

  storage::Batch GetBatch(const std::string& id);
  // Waits until the batch fulfils `condition`; fails the test after 30 s.
  storage::Batch AwaitBatch(const std::string& id,
                            const std::function<bool(const storage::Batch&)>& condition);
  storage::Batch AwaitSucceeded(const std::string& id, int count);
  // Waits until `deployments` have been made and nothing of the batch runs.
  storage::Batch AwaitIdle(const std::string& id, int deployments);
  // Nothing more is begun: whatever could have been is begun before LookForWork returns.
  void ExpectNothingMore(const std::string& id, int deployments);

  // Newest first.
  std::vector<storage::Deployment> DeploymentsOf(const std::string& id);
  std::vector<std::string> ErrorsOf(const std::string& id);
  // Every success is another board with a record, and there are no more than were ordered.
  void ExpectEachBoardOnce(const std::string& id);

  Batches batches_{*ledger_, *bundles_, clock_, base::SystemRandom(), absl::UTCTimeZone(), [this] {
                     if (scheduler_ != nullptr) scheduler_->LookForWork();
                   }};
  std::map<uint8_t, std::unique_ptr<simulator::SimulatedOpener>> stock_;
  int orders_ = 0;
};

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_BATCH_FIXTURE_H_
