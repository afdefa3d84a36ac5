#include "storage/event_chain.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/fake_clock.h"
#include "errors/error.h"
#include "gtest/gtest.h"
#include "storage/ledger_test_util.h"

namespace kiln::storage {
namespace {

// Computed by Python's hashlib and struct from the formula in the header.
TEST(HashEventTest, FollowsTheFormula) {
  EventRecord first;
  first.sequence = 1;
  first.time = absl::FromUnixMicros(1234567);
  first.kind = 6;
  first.subject = "station";
  first.payload = std::string("\0\x01\x02", 3);
  EventRecord second;
  second.sequence = 2;
  second.time = absl::FromUnixMicros(int64_t{1} << 40);
  second.kind = 1;

  const base::Sha256Digest one = HashEvent({}, first);
  const base::Sha256Digest two = HashEvent(one, second);

  EXPECT_EQ(base::HexOf(one), "7615668b3201ca0acacb82cdb6584c96724dfe15eee9fb04785b68a95e575719");
  EXPECT_EQ(base::HexOf(two), "95718e3bb584652e4374c09faa1dceb2aff9113d66536a06a1a1420d1c9f466f");
}

TEST(HashEventTest, BytesCannotMoveBetweenSubjectAndPayload) {
  EventRecord a;
  a.subject = "ab";
  a.payload = "c";
  EventRecord b;
  b.subject = "a";
  b.payload = "bc";

  EXPECT_NE(base::HexOf(HashEvent({}, a)), base::HexOf(HashEvent({}, b)));
}

// A ledger with ten deployments' events, and a person with the sqlite3 program.
class TamperingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 1; i <= 10; ++i) {
      ASSERT_TRUE(ledger_->CreateDeployment(MakeDeployment(absl::StrCat(i)), PayloadFor).ok());
    }
    ASSERT_EQ(VerdictOf(*ledger_), "ok");
  }

  void DropGuards() {
    guards_ = raw_.Query(
        "SELECT sql || ';' FROM sqlite_schema WHERE type = 'trigger' AND "
        "tbl_name = 'events' AND name <> 'events_move_the_head'");
    ASSERT_EQ(raw_.Run("DROP TRIGGER events_are_never_changed;"
                       "DROP TRIGGER events_are_never_deleted;"
                       "DROP TRIGGER events_have_no_gaps;"),
              "");
  }

  TemporaryFolder folder_;
  base::FakeClock clock_;
  const std::string path_ = folder_.Path("ledger.db");
  std::unique_ptr<Ledger> ledger_ = MustOpen(path_, clock_);
  RawDatabase raw_{path_};
  std::string guards_;
};

TEST_F(TamperingTest, TriggersRefuseToChangeEvents) {
  const struct {
    const char* sql;
    const char* answer;
  } cases[] = {
      {"UPDATE events SET payload = x'00' WHERE sequence = 3", "events are never changed"},
      {"UPDATE events SET sequence = 11 WHERE sequence = 10", "events are never changed"},
      {"UPDATE events SET kind = kind", "events are never changed"},
      {"DELETE FROM events WHERE sequence = 10", "events are never deleted"},
      {"DELETE FROM events", "events are never deleted"},
      {"REPLACE INTO events SELECT 5, time_us, kind, subject, x'00', hash FROM events WHERE "
       "sequence = 5",
       "events are numbered without gaps"},
      {"INSERT INTO events SELECT 12, time_us, kind, subject, payload, hash FROM events WHERE "
       "sequence = 5",
       "events are numbered without gaps"},
      {"DELETE FROM deployments WHERE id = 'deployment-1'", "deployments are never deleted"},
      {"UPDATE deployments SET customer_id = 'X' WHERE id = 'deployment-1'",
       "the order of a deployment is never changed"},
  };
  for (const auto& c : cases) EXPECT_EQ(raw_.Run(c.sql), c.answer) << c.sql;
  EXPECT_EQ(VerdictOf(*ledger_), "ok");
}

TEST_F(TamperingTest, OneChangedByteIsFoundByItsSequenceNumber) {
  DropGuards();
  ASSERT_EQ(raw_.Run("UPDATE events SET payload = CAST(replace(payload, 'deployment-4', "
                     "'deployment-5') AS BLOB) WHERE sequence = 4"),
            "");

  const absl::StatusOr<VerifyResult> result = ledger_->Verify();

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->ok);
  EXPECT_EQ(result->problem, "event 4 was changed: its hash does not follow from its content");
  EXPECT_EQ(result->events_checked, 3);
}

TEST_F(TamperingTest, EveryFieldIsUnderTheHash) {
  DropGuards();
  const char* const changes[] = {"time_us = time_us + 1", "kind = 9", "subject = subject || 'x'",
                                 "hash = zeroblob(32)"};
  for (const char* change : changes) {
    ASSERT_EQ(raw_.Run("SAVEPOINT before"), "");
    ASSERT_EQ(raw_.Run(absl::StrCat("UPDATE events SET ", change, " WHERE sequence = 7")), "");
    ASSERT_EQ(raw_.Run("RELEASE before"), "");
    EXPECT_TRUE(absl::StartsWith(VerdictOf(*ledger_), "event 7 was changed")) << change;
    ASSERT_EQ(raw_.Run("DELETE FROM events WHERE sequence >= 7"), "");
    ASSERT_EQ(raw_.Run("UPDATE chain_head SET (sequence, hash) = "
                       "(SELECT sequence, hash FROM events WHERE sequence = 6)"),
              "");
    // A new event on the intact rest, for the next round.
    ASSERT_TRUE(ledger_->AppendEvent({.kind = 5, .subject = "station"}).ok());
    ASSERT_EQ(*ledger_->LastSequence(), 7);
  }
}

TEST_F(TamperingTest, ARemovedEventIsFoundByItsSequenceNumber) {
  DropGuards();
  ASSERT_EQ(raw_.Run("DELETE FROM events WHERE sequence = 6"), "");

  EXPECT_EQ(VerdictOf(*ledger_), "event 6 is missing");
}

TEST_F(TamperingTest, CuttingOffTheNewestEventsIsFound) {
  DropGuards();
  ASSERT_EQ(raw_.Run("DELETE FROM events WHERE sequence > 8"), "");

  EXPECT_EQ(VerdictOf(*ledger_), "the event chain ends at 8, but its head says 10");
}

TEST_F(TamperingTest, CuttingOffEventsWithTheHeadLeavesOrphans) {
  DropGuards();
  ASSERT_EQ(raw_.Run("DELETE FROM events WHERE sequence > 8"), "");
  ASSERT_EQ(raw_.Run("UPDATE chain_head SET (sequence, hash) = "
                     "(SELECT sequence, hash FROM events WHERE sequence = 8)"),
            "");

  EXPECT_EQ(VerdictOf(*ledger_), "2 rows refer to rows that are gone");
}

TEST_F(TamperingTest, ABrokenHeadStopsTheNextStart) {
  DropGuards();
  ASSERT_EQ(raw_.Run("UPDATE events SET payload = x'00' WHERE sequence = 10"), "");
  ASSERT_EQ(raw_.Run(guards_), "");
  ledger_.reset();

  const absl::StatusOr<std::unique_ptr<Ledger>> reopened = Ledger::Open(path_, clock_);

  EXPECT_TRUE(errors::Is(reopened.status(), errors::ErrorCode::kLedgerDamaged))
      << reopened.status();
  EXPECT_TRUE(absl::StrContains(reopened.status().message(), "the hash of event 10 is wrong"))
      << reopened.status();
}

TEST_F(TamperingTest, LongChainsAreCheckedToTheEnd) {
  // More than VerifyChain reads in one transaction.
  for (int i = 0; i < 1500; ++i) {
    ASSERT_TRUE(ledger_->AppendEvent({.kind = 5, .subject = "station"}).ok());
  }
  DropGuards();
  const absl::StatusOr<VerifyResult> whole = ledger_->Verify();
  ASSERT_EQ(raw_.Run("UPDATE events SET kind = 4 WHERE sequence = 1400"), "");

  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_TRUE(whole->ok) << whole->problem;
  EXPECT_EQ(whole->events_checked, 1510);
  EXPECT_EQ(whole->head_hex.size(), 64u);
  EXPECT_TRUE(absl::StartsWith(VerdictOf(*ledger_), "event 1400 was changed"));
}

}  // namespace
}  // namespace kiln::storage
