#ifndef KILN_DAEMON_PIPELINE_BATCHES_H_
#define KILN_DAEMON_PIPELINE_BATCHES_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/random.h"
#include "daemon/boards/registry.h"
#include "daemon/firmware/bundle_store.h"
#include "daemon/identity/identity.h"
#include "kiln/v1/batches.pb.h"
#include "storage/ledger.h"

namespace kiln::pipeline {

// As the contract has it: a bench has tens of ports, and a batch is a day's work.
inline constexpr int kMaxBatchCount = 1000;
inline constexpr size_t kMaxBatchPorts = 64;

// What a client orders with a batch.
struct BatchOrder {
  std::string request_id;
  // One for all boards, or one for each.
  std::vector<identity::Customer> customers;
  bool one_customer = true;
  std::string bundle;  // id or unique prefix
  std::vector<std::string> ports;
  int count = 0;
};

// Which ports batches may use at all: patterns of names and aliases. Nothing allowed means all;
// what is denied stays denied.
struct BatchPortRules {
  std::vector<std::string> allow;
  std::vector<std::string> deny;
};

// Whether `pattern` of a batch or of its rules means the port of `board`.
bool MeansPort(const std::string& pattern, const boards::BoardInfo& board);
// Whether `batch` may take the board at this port.
bool TakesFrom(const storage::Batch& batch, const BatchPortRules& rules,
               const boards::BoardInfo& board);

// What clients ask of standing orders: checks them and keeps them in the ledger. The scheduler
// finds them there. Owned by main, called by the API from any thread.
class Batches {
 public:
  // `changed` is called when a batch may take boards that it did not take before. Nothing is owned.
  Batches(storage::Ledger& ledger, const firmware::BundleStore& bundles, base::Clock& clock,
          base::RandomSource& random, absl::TimeZone time_zone, std::function<void()> changed)
      : ledger_(ledger),
        bundles_(bundles),
        clock_(clock),
        random_(random),
        time_zone_(time_zone),
        changed_(std::move(changed)) {}

  // RequestInvalid, CustomerInvalid (naming the entry), BundleNotFound, BundleRetired,
  // IdentityDoesNotFit, RequestConflict. With `validate_only` nothing is kept.
  absl::StatusOr<storage::Batch> Create(const BatchOrder& order, bool validate_only);
  // BatchNotFound, BatchStateWrong.
  absl::StatusOr<storage::Batch> Pause(const std::string& id);
  // Also BundleRetired.
  absl::StatusOr<storage::Batch> Resume(const std::string& id);
  absl::StatusOr<storage::Batch> End(const std::string& id);
  // `mac` in any case. RequestInvalid when it is none.
  absl::StatusOr<storage::Batch> AllowBoard(const std::string& id, const std::string& mac);

 private:
  storage::Ledger& ledger_;
  const firmware::BundleStore& bundles_;
  base::Clock& clock_;
  base::RandomSource& random_;
  const absl::TimeZone time_zone_;
  const std::function<void()> changed_;
};

// The station's values as messages of the contract.
v1::Batch ToMessage(const storage::Batch& batch);
v1::BatchSlot ToMessage(const storage::BatchSlot& slot);
// The payload of a batch's event, for Ledger::SetBatchPayload.
std::string BatchEventPayload(const storage::Batch& batch);

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_BATCHES_H_
