#ifndef KILN_STORAGE_BATCH_H_
#define KILN_STORAGE_BATCH_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace kiln::storage {

// Values are stored by number; never renumber.
enum class BatchState {
  kActive = 1,
  kPaused = 2,
  kCompleted = 3,
  kEnded = 4,
};

// Whom the board of a slot is for.
struct BatchCustomer {
  std::string organization;
  std::string customer_id;
  std::string application_name;
  std::string expiry_date;

  bool operator==(const BatchCustomer& other) const {
    return organization == other.organization && customer_id == other.customer_id &&
           application_name == other.application_name && expiry_date == other.expiry_date;
  }
};

// A standing order: `count` slots, each of which a deployment holds from its acceptance on. A
// success keeps its slot, any other end gives it back. That no slot is held twice, no board holds
// two slots, and there are no more than `count` of them, is in the schema.
struct Batch {
  std::string id;              // UUID, chosen by the daemon
  std::string request_id;      // unique
  std::string request_digest;  // SHA-256 of the order
  std::string bundle_id;
  std::vector<std::string> ports;  // patterns of port names and aliases, without newlines
  int count = 0;
  // All slots are for `customer`; otherwise each has its own.
  bool one_customer = true;
  BatchCustomer customer;
  BatchState state = BatchState::kActive;
  // Boards that may be made once more, by MAC, sorted.
  std::vector<std::string> allowed_macs;
  absl::Time create_time;
  absl::Time update_time;
  absl::Time end_time = absl::InfinitePast();  // InfinitePast: not yet
  int64_t sequence = 0;                        // of the event that made this state

  // Counted by the ledger, never stored.
  int accepted = 0;   // deployments made so far
  int running = 0;    // slots whose deployment waits or runs
  int succeeded = 0;  // slots whose board is finished
  int failed = 0;     // deployments that ended otherwise, without the refused
  int refused = 0;    // deployments that ended at a board which was made already

  int remaining() const { return count - succeeded; }
  int free_slots() const { return count - succeeded - running; }
};

struct BatchSlot {
  int slot = 0;  // from 1
  BatchCustomer customer;
  std::string deployment_id;  // empty while it is free
  std::string mac;            // of the board that the deployment was given to
  int deployment_state = 0;   // DeploymentState; 0 while it is free
};

struct BatchQuery {
  std::vector<BatchState> states;  // empty: all
  // Page cursor: only batches older than this one. Empty: from the newest.
  std::string older_than_id;
  int limit = 50;
};

// What an operator may do to a batch.
enum class BatchChange { kPause, kResume, kEnd };

// The kind of a batch's events, with the subject "batches/{id}": kiln.v1.EVENT_KIND_BATCH.
inline constexpr int kBatchEventKind = 7;

// Makes the payload of a batch's event, inside the transaction: its counts and its new `sequence`
// are set already.
using BatchPayload = std::function<std::string(const Batch&)>;

}  // namespace kiln::storage

#endif  // KILN_STORAGE_BATCH_H_
