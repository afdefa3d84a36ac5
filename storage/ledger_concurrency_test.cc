#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/fake_clock.h"
#include "gtest/gtest.h"
#include "storage/ledger.h"
#include "storage/ledger_test_util.h"

namespace kiln::storage {
namespace {

constexpr int kWriters = 3;
constexpr int kDeploymentsEach = 40;

TEST(LedgerConcurrencyTest, WritersQueueAndReadersSeeWholeStates) {
  TemporaryFolder folder;
  base::FakeClock clock;
  const std::unique_ptr<Ledger> ledger =
      MustOpen(folder.Path("ledger.db"), clock, {.durable = false, .checkpoint_pages = 50});
  int64_t observed = 0;  // guarded by the ledger's write lock
  bool in_order = true;
  ledger->SetCommitObserver([&](const EventRecord& event) {
    in_order = in_order && event.sequence == observed + 1;
    observed = event.sequence;
  });
  std::atomic<int> writing{kWriters};
  std::atomic<int> failures{0};
  const auto check = [&failures](bool good) { failures += good ? 0 : 1; };

  std::vector<std::thread> threads;
  for (int writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([&, writer] {
      for (int i = 0; i < kDeploymentsEach; ++i) {
        const auto created =
            ledger->CreateDeployment(MakeDeployment(absl::StrCat(writer, "-", i)), PayloadFor);
        check(created.ok());
        if (!created.ok()) continue;
        Deployment row = created->deployment;
        row.state = DeploymentState::kRunning;
        row.port = absl::StrCat("port-", writer);
        const auto running = ledger->UpdateDeployment(row, row.sequence, PayloadFor);
        check(running.ok());
        if (!running.ok()) continue;
        row = *running;
        row.state = DeploymentState::kSucceeded;
        check(ledger->UpdateDeployment(row, row.sequence, PayloadFor).ok());
      }
      --writing;
    });
  }
  for (int reader = 0; reader < 2; ++reader) {
    threads.emplace_back([&] {
      int64_t last = 0;
      while (writing > 0) {
        const auto now = ledger->LastSequence();
        check(now.ok() && *now >= last);
        // Every state that can be seen was made by an event that can be seen.
        const auto rows = ledger->ListDeployments({.limit = 5});
        check(rows.ok());
        if (!rows.ok()) continue;
        for (const Deployment& row : *rows) {
          const auto event = ledger->ListEvents({.after_sequence = row.sequence - 1, .limit = 1});
          check(event.ok() && event->size() == 1 && event->front().payload == PayloadFor(row));
        }
        if (now.ok()) last = *now;
      }
    });
  }
  threads.emplace_back([&] {
    while (writing > 0) {
      check(VerdictOf(*ledger) == "ok");
      check(ledger->CheckHealth().ok());
    }
  });
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(failures, 0);
  EXPECT_TRUE(in_order);
  EXPECT_EQ(observed, int64_t{kWriters} * kDeploymentsEach * 3);
  EXPECT_EQ(*ledger->LastSequence(), observed);
  EXPECT_EQ(VerdictOf(*ledger), "ok");
}

TEST(LedgerConcurrencyTest, OfManyUpdatesOnOneStateExactlyOneWins) {
  TemporaryFolder folder;
  base::FakeClock clock;
  const std::unique_ptr<Ledger> ledger = MustOpen(folder.Path("ledger.db"), clock);
  const Deployment row = ledger->CreateDeployment(MakeDeployment("1"), PayloadFor)->deployment;
  std::atomic<int> won{0};
  std::atomic<int> aborted{0};

  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      Deployment mine = row;
      mine.progress_percent = i;
      const auto updated = ledger->UpdateDeployment(mine, row.sequence, PayloadFor);
      if (updated.ok()) ++won;
      if (updated.status().code() == absl::StatusCode::kAborted) ++aborted;
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(won, 1);
  EXPECT_EQ(aborted, 7);
  EXPECT_EQ(*ledger->LastSequence(), 2);
}

}  // namespace
}  // namespace kiln::storage
