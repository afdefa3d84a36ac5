// What the ledger promises when the disk does not: power loss at every write and sync, I/O errors
// and a full disk at every call, and kill -9.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/fake_clock.h"
#include "base/unique_fd.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ledger.h"
#include "storage/ledger_test_util.h"
#include "storage/testing_vfs.h"

namespace kiln::storage {
namespace {

// What the ledger has answered OK to.
struct Acknowledged {
  int64_t sequence = 0;
  std::map<std::string, Deployment> deployments;
  int refusals = 0;
  std::vector<absl::Status> errors;
};

// A little of everything: three deployments from creation to success, and events between. Goes on
// after an error, as the station does.
void Work(Ledger& ledger, Acknowledged& acknowledged) {
  const auto refused = [&acknowledged](const absl::Status& status) {
    if (status.ok()) return false;
    ++acknowledged.refusals;
    acknowledged.errors.push_back(status);
    return true;
  };
  const auto keep = [&acknowledged](const Deployment& row) {
    acknowledged.deployments[row.id] = row;
    acknowledged.sequence = std::max(acknowledged.sequence, row.sequence);
  };
  for (int i = 1; i <= 3; ++i) {
    Deployment row = MakeDeployment(absl::StrCat(i));
    row.wifi_password = absl::StrCat("correct-horse-", i);
    const auto created = ledger.CreateDeployment(row, PayloadFor);
    if (!refused(created.status())) keep(created->deployment);
    const auto event = ledger.AppendEvent(
        {.kind = 2, .subject = "boards/a", .payload = std::string(3000, static_cast<char>(i))});
    if (!refused(event.status())) acknowledged.sequence = event->sequence;
    if (!created.ok()) continue;
    row = created->deployment;
    for (const DeploymentState state : {DeploymentState::kRunning, DeploymentState::kSucceeded}) {
      row.state = state;
      row.port = absl::StrCat("usb-1-", i);
      const auto updated = ledger.UpdateDeployment(row, row.sequence, PayloadFor);
      if (refused(updated.status())) continue;
      row = *updated;
      keep(row);
    }
  }
}

// Everything acknowledged is there, and nothing is broken.
void ExpectKept(Ledger& ledger, const Acknowledged& acknowledged) {
  EXPECT_EQ(VerdictOf(ledger), "ok");
  const absl::StatusOr<int64_t> last = ledger.LastSequence();
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_GE(*last, acknowledged.sequence);
  // At most the one commit that was under way may have made it unacknowledged.
  EXPECT_LE(*last, acknowledged.sequence + 1);
  for (const auto& [id, row] : acknowledged.deployments) {
    const absl::StatusOr<Deployment> got = ledger.GetDeployment(id);
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_GE(got->sequence, row.sequence) << id;
    EXPECT_GE(static_cast<int>(got->state), static_cast<int>(row.state)) << id;
    EXPECT_EQ(got->wifi_password, row.wifi_password) << id;
  }
}

class LedgerCrashTest : public ::testing::Test {
 protected:
  void SetUp() override { MustOpen(template_, clock_); }

  // A fresh, empty ledger for one round.
  void Reset() {
    for (const std::string& name : folder_.Names()) {
      if (name.starts_with("ledger.db")) ::unlink(folder_.Path(name).c_str());
    }
    CopyFile(template_, path_);
  }

  // A log that is checkpointed every few commits, so that checkpoints are hit as well.
  LedgerOptions Options() const { return {.checkpoint_pages = 30, .vfs = vfs_.name()}; }

  TemporaryFolder folder_;
  base::FakeClock clock_;
  TestingVfs vfs_{"kiln-testing"};
  const std::string template_ = folder_.Path("template.db");
  const std::string path_ = folder_.Path("ledger.db");
};

TEST_F(LedgerCrashTest, EveryCommitIsSynced) {
  Reset();
  const std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_, {.vfs = vfs_.name()});
  ASSERT_TRUE(ledger->AppendEvent({.kind = 5, .subject = "station"}).ok());
  for (int i = 0; i < 5; ++i) {
    vfs_.Restore();
    ASSERT_TRUE(ledger->AppendEvent({.kind = 5, .subject = "station"}).ok());
    EXPECT_GE(vfs_.syncs(), 1);
  }
}

TEST_F(LedgerCrashTest, PowerLossAtAnyPointLosesNothingAcknowledged) {
  bool fired = true;
  int points = 0;
  for (int at = 1; fired; ++at) {
    ASSERT_LT(at, 3000) << "the work never ends";
    SCOPED_TRACE(absl::StrCat("power loss at write, truncation or sync ", at));
    Reset();
    vfs_.Arm(
        {.fault = TestingVfs::Fault::kPowerLoss, .at_call = at, .seed = static_cast<uint32_t>(at)});
    Acknowledged acknowledged;
    {
      absl::StatusOr<std::unique_ptr<Ledger>> ledger = Ledger::Open(path_, clock_, Options());
      if (ledger.ok()) Work(**ledger, acknowledged);
    }  // closing checkpoints, which may be hit too
    fired = vfs_.fired();
    if (!fired) {
      EXPECT_EQ(acknowledged.refusals, 0) << acknowledged.errors.front();
    }
    points += fired ? 1 : 0;
    vfs_.Restore();

    const std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);
    ExpectKept(*ledger, acknowledged);
    EXPECT_TRUE(ledger->AppendEvent({.kind = 5, .subject = "station"}).ok());
    if (HasFailure()) return;
  }
  EXPECT_GT(points, 100);
  RecordProperty("points", points);
}

TEST_F(LedgerCrashTest, PowerLossWhileALedgerIsMadeLeavesNoneOrAWholeOne) {
  bool fired = true;
  for (int at = 1; fired; ++at) {
    ASSERT_LT(at, 1000) << "making a ledger never ends";
    SCOPED_TRACE(absl::StrCat("power loss at write, truncation or sync ", at));
    const std::string path = folder_.Path(absl::StrCat("ledger.db.fresh-", at));
    vfs_.Arm(
        {.fault = TestingVfs::Fault::kPowerLoss, .at_call = at, .seed = static_cast<uint32_t>(at)});
    {
      const auto made = Ledger::Open(path, clock_, {.vfs = vfs_.name()});
    }
    fired = vfs_.fired();
    vfs_.Restore();

    const std::unique_ptr<Ledger> ledger = MustOpen(path, clock_);
    EXPECT_EQ(*ledger->LastSequence(), 0);
    EXPECT_EQ(VerdictOf(*ledger), "ok");
    if (HasFailure()) return;
  }
}

TEST_F(LedgerCrashTest, PowerLossDuringAMigrationLosesNothing) {
  const std::string fixture = ReadBytes("storage/testdata/ledger_v1.sql");
  const std::string old = folder_.Path("old.db");
  {
    RawDatabase raw(old);
    ASSERT_EQ(raw.Run(fixture), "");
  }
  bool fired = true;
  for (int at = 1; fired; ++at) {
    ASSERT_LT(at, 1000) << "migrating never ends";
    SCOPED_TRACE(absl::StrCat("power loss at write, truncation or sync ", at));
    Reset();
    CopyFile(old, path_);
    vfs_.Arm(
        {.fault = TestingVfs::Fault::kPowerLoss, .at_call = at, .seed = static_cast<uint32_t>(at)});
    {
      const auto migrated = Ledger::Open(path_, clock_, Options());
    }
    fired = vfs_.fired();
    vfs_.Restore();

    const std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);
    EXPECT_EQ(VerdictOf(*ledger), "ok");
    EXPECT_EQ(*ledger->LastSequence(), 5);
    EXPECT_EQ(ledger->ListDeployments({})->size(), 3u);
    if (HasFailure()) return;
  }
}

// One error at every call in turn; the ledger goes on working without being opened again.
void FailOnceEverywhere(TestingVfs& vfs, TestingVfs::Fault fault, errors::ErrorCode expected,
                        const std::function<void()>& reset, const std::string& path,
                        base::Clock& clock, const LedgerOptions& options) {
  int refusals = 0;
  bool fired = true;
  for (int at = 1; fired; ++at) {
    ASSERT_LT(at, 3000) << "the work never ends";
    SCOPED_TRACE(absl::StrCat("failure of call ", at));
    reset();
    vfs.Restore();
    Acknowledged acknowledged;
    {
      const std::unique_ptr<Ledger> ledger = MustOpen(path, clock, options);
      int64_t observed = 0;
      ledger->SetCommitObserver([&observed](const EventRecord& event) {
        EXPECT_EQ(event.sequence, observed + 1);
        observed = event.sequence;
      });
      vfs.Arm({.fault = fault, .at_call = at});
      Work(*ledger, acknowledged);
      fired = vfs.fired();
      vfs.Restore();
      for (const absl::Status& error : acknowledged.errors) {
        EXPECT_TRUE(errors::Is(error, expected)) << error;
      }
      EXPECT_LE(acknowledged.refusals, 1);
      refusals += acknowledged.refusals;
      // What was refused changed nothing: the sequence is exactly what was acknowledged.
      EXPECT_EQ(*ledger->LastSequence(), acknowledged.sequence);
      EXPECT_EQ(observed, acknowledged.sequence);
      EXPECT_TRUE(ledger->CheckHealth().ok()) << ledger->CheckHealth();
      const auto next = ledger->AppendEvent({.kind = 5, .subject = "station"});
      ASSERT_TRUE(next.ok()) << next.status();
      EXPECT_EQ(next->sequence, acknowledged.sequence + 1);
      EXPECT_EQ(VerdictOf(*ledger), "ok");
    }
    const std::unique_ptr<Ledger> reopened = MustOpen(path, clock);
    ExpectKept(*reopened, acknowledged);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(refusals, 10) << "the faults did not reach the commits";
}

TEST_F(LedgerCrashTest, AnIoErrorAnywhereFailsOneCallAndHarmsNothing) {
  FailOnceEverywhere(
      vfs_, TestingVfs::Fault::kIoError, errors::ErrorCode::kLedgerWriteFailed, [this] { Reset(); },
      path_, clock_, Options());
}

TEST_F(LedgerCrashTest, AFullDiskAnywhereFailsOneCallAndHarmsNothing) {
  FailOnceEverywhere(
      vfs_, TestingVfs::Fault::kDiskFull, errors::ErrorCode::kDiskFull, [this] { Reset(); }, path_,
      clock_, Options());
}

TEST_F(LedgerCrashTest, WorksAgainWhenTheDiskHasRoom) {
  Reset();
  const std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_, Options());
  Acknowledged before;
  Work(*ledger, before);
  ASSERT_EQ(before.refusals, 0) << before.errors.front();
  vfs_.Arm({.fault = TestingVfs::Fault::kDiskFull, .at_call = 1, .lasting = true});

  Acknowledged during;
  Work(*ledger, during);
  // A write that never reaches the disk says nothing about it.
  const auto refused = ledger->UpdateDeployment(MakeDeployment("unknown"), 1, PayloadFor);
  const absl::Status health = ledger->CheckHealth();

  EXPECT_GT(during.refusals, 0);
  for (const absl::Status& error : during.errors) {
    EXPECT_TRUE(errors::Is(error, errors::ErrorCode::kDiskFull)) << error;
  }
  EXPECT_TRUE(errors::Is(refused.status(), errors::ErrorCode::kDeploymentNotFound))
      << refused.status();
  EXPECT_TRUE(errors::Is(health, errors::ErrorCode::kDiskFull)) << health;
  EXPECT_TRUE(ledger->GetDeployment("deployment-1").ok()) << "reading needs no room";
  vfs_.Restore();
  EXPECT_TRUE(ledger->CheckHealth().ok()) << ledger->CheckHealth();
  ASSERT_TRUE(ledger->AppendEvent({.kind = 5, .subject = "station"}).ok());
  EXPECT_EQ(*ledger->LastSequence(), before.sequence + 1);
  EXPECT_EQ(VerdictOf(*ledger), "ok");
}

// Writes what it has been promised to `pipe` until it is killed.
[[noreturn]] void WriteUntilKilled(const std::string& path, int pipe, int round) {
  base::FakeClock clock;
  absl::StatusOr<std::unique_ptr<Ledger>> ledger =
      Ledger::Open(path, clock, {.checkpoint_pages = 30});
  if (!ledger.ok()) ::_exit(1);
  for (int i = 0;; ++i) {
    const auto created =
        (*ledger)->CreateDeployment(MakeDeployment(absl::StrCat(round, "-", i)), PayloadFor);
    if (!created.ok()) ::_exit(2);
    int64_t sequence = created->deployment.sequence;
    if (::write(pipe, &sequence, sizeof(sequence)) != sizeof(sequence)) ::_exit(3);
    Deployment row = created->deployment;
    row.state = DeploymentState::kSucceeded;
    const auto updated = (*ledger)->UpdateDeployment(row, row.sequence, PayloadFor);
    if (!updated.ok()) ::_exit(4);
    sequence = updated->sequence;
    if (::write(pipe, &sequence, sizeof(sequence)) != sizeof(sequence)) ::_exit(5);
  }
}

TEST_F(LedgerCrashTest, KillingTheProcessLosesNothingAcknowledged) {
  Reset();
  int64_t last = 0;
  for (int round = 1; round <= 20; ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    base::UniqueFd read_end(ends[0]);
    base::UniqueFd write_end(ends[1]);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      read_end.Reset();
      WriteUntilKilled(path_, write_end.get(), round);
    }
    write_end.Reset();
    int64_t acknowledged = 0;
    // Another place in the child's work each round; what it still wrote before dying counts too.
    for (int acks = 1; ::read(read_end.get(), &acknowledged, sizeof(acknowledged)) ==
                       static_cast<ssize_t>(sizeof(acknowledged));
         ++acks) {
      if (acks == 1 + round * 2 % 17) {
        ASSERT_EQ(::kill(child, SIGKILL), 0);
      }
    }
    int wait_status = 0;
    ASSERT_EQ(::waitpid(child, &wait_status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(wait_status)) << "exit status " << WEXITSTATUS(wait_status);

    const std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);
    ASSERT_GT(acknowledged, last);
    last = *ledger->LastSequence();
    EXPECT_GE(last, acknowledged);
    EXPECT_LE(last, acknowledged + 1);
    EXPECT_EQ(VerdictOf(*ledger), "ok");
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace kiln::storage
