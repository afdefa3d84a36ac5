#include "storage/ledger.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/fake_clock.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ledger_test_util.h"

namespace kiln::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LedgerTest : public ::testing::Test {
 protected:
  Deployment Create(const Deployment& deployment) {
    absl::StatusOr<Ledger::CreateOutcome> outcome =
        ledger_->CreateDeployment(deployment, PayloadFor);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.ok() ? outcome->deployment : Deployment();
  }

  std::vector<std::string> EventPayloads() {
    absl::StatusOr<std::vector<EventRecord>> events = ledger_->ListEvents({});
    EXPECT_TRUE(events.ok()) << events.status();
    std::vector<std::string> payloads;
    for (const EventRecord& event : *events) payloads.push_back(event.payload);
    return payloads;
  }

  TemporaryFolder folder_;
  base::FakeClock clock_;
  const std::string path_ = folder_.Path("ledger.db");
  std::unique_ptr<Ledger> ledger_ = MustOpen(path_, clock_);
};

TEST_F(LedgerTest, CreatesADeploymentTogetherWithItsEvent) {
  const absl::Time now = clock_.Now();

  const Deployment created = Create(MakeDeployment("1"));

  EXPECT_EQ(created.sequence, 1);
  EXPECT_EQ(created.create_time, now);
  EXPECT_EQ(created.update_time, now);
  const absl::StatusOr<std::vector<EventRecord>> events = ledger_->ListEvents({});
  ASSERT_TRUE(events.ok()) << events.status();
  ASSERT_EQ(events->size(), 1u);
  EXPECT_EQ(events->front().sequence, 1);
  EXPECT_EQ(events->front().time, now);
  EXPECT_EQ(events->front().kind, kDeploymentEventKind);
  EXPECT_EQ(events->front().subject, "deployments/deployment-1");
  EXPECT_EQ(events->front().payload, "deployment-1 1 1");
}

TEST_F(LedgerTest, GivesBackEveryFieldAcrossAReopening) {
  Deployment row = MakeDeployment("1");
  row.request_digest = std::string("\0\xff\x01", 3);
  row.create_time = absl::FromUnixMicros(1790000000123456) + absl::Nanoseconds(789);
  row = Create(row);
  row.port = "usb-1-2.3";
  row.state = DeploymentState::kRunning;
  row.step = 4;
  row.attempt = 2;
  row.last_retry_request_id = "retry-1";
  row.cancel_requested = true;
  row.progress_percent = 42;
  row.chip = "ESP32-C3";
  row.mac = "7c:df:a1:00:00:01";
  row.flash_size_bytes = 0xffffffff;
  row.wifi_ssid = "SMC_ESP32_BGK001_0001";
  row.wifi_password = "correct-horse";
  row.record_path = "/exports/ไฟล์.json";
  row.error_code = "PORT_BUSY";
  row.error_detail = "held by 'minicom'; DROP TABLE events";
  row.details = std::string("\0\x80\xff", 3);
  row.start_time = clock_.Now() + absl::Seconds(1);
  row.end_time = clock_.Now() + absl::Seconds(2);
  const absl::StatusOr<Deployment> updated =
      ledger_->UpdateDeployment(row, row.sequence, PayloadFor);
  ASSERT_TRUE(updated.ok()) << updated.status();

  ledger_.reset();
  ledger_ = MustOpen(path_, clock_);
  const absl::StatusOr<Deployment> got = ledger_->GetDeployment("deployment-1");

  ASSERT_TRUE(got.ok()) << got.status();
  for (const Deployment& seen : {*updated, *got}) {
    EXPECT_EQ(seen.id, row.id);
    EXPECT_EQ(seen.request_id, row.request_id);
    EXPECT_EQ(seen.request_digest, row.request_digest);
    EXPECT_EQ(seen.organization, row.organization);
    EXPECT_EQ(seen.customer_id, row.customer_id);
    EXPECT_EQ(seen.application_name, row.application_name);
    EXPECT_EQ(seen.expiry_date, row.expiry_date);
    EXPECT_EQ(seen.bundle_id, row.bundle_id);
    EXPECT_EQ(seen.requested_port, row.requested_port);
    EXPECT_EQ(seen.port, row.port);
    EXPECT_EQ(seen.state, row.state);
    EXPECT_EQ(seen.step, row.step);
    EXPECT_EQ(seen.attempt, row.attempt);
    EXPECT_EQ(seen.last_retry_request_id, row.last_retry_request_id);
    EXPECT_TRUE(seen.cancel_requested);
    EXPECT_EQ(seen.progress_percent, 42);
    EXPECT_EQ(seen.chip, row.chip);
    EXPECT_EQ(seen.mac, row.mac);
    EXPECT_EQ(seen.flash_size_bytes, 0xffffffff);
    EXPECT_EQ(seen.wifi_ssid, row.wifi_ssid);
    EXPECT_EQ(seen.wifi_password, row.wifi_password);
    EXPECT_TRUE(seen.has_wifi_password);
    EXPECT_EQ(seen.record_path, row.record_path);
    EXPECT_EQ(seen.error_code, row.error_code);
    EXPECT_EQ(seen.error_detail, row.error_detail);
    EXPECT_EQ(seen.details, row.details);
    EXPECT_EQ(seen.create_time, absl::FromUnixMicros(1790000000123456));
    EXPECT_EQ(seen.update_time, clock_.Now());
    EXPECT_EQ(seen.start_time, row.start_time);
    EXPECT_EQ(seen.end_time, row.end_time);
    EXPECT_EQ(seen.sequence, 2);
  }
}

TEST_F(LedgerTest, ADeploymentThatNeverRanHasNoStartAndNoEnd) {
  Create(MakeDeployment("1"));

  const absl::StatusOr<Deployment> got = ledger_->GetDeployment("deployment-1");

  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->start_time, absl::InfinitePast());
  EXPECT_EQ(got->end_time, absl::InfinitePast());
}

TEST_F(LedgerTest, TheSameRequestAgainAnswersTheFirstDeployment) {
  Deployment first = MakeDeployment("1");
  first.wifi_password = "correct-horse";
  const Deployment created = Create(first);
  Deployment again = MakeDeployment("1");
  again.id = "another-id";
  clock_.Advance(absl::Hours(1));

  const absl::StatusOr<Ledger::CreateOutcome> outcome =
      ledger_->CreateDeployment(again, PayloadFor);

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_TRUE(outcome->repeated);
  EXPECT_EQ(outcome->deployment.id, created.id);
  EXPECT_EQ(outcome->deployment.create_time, created.create_time);
  EXPECT_EQ(outcome->deployment.wifi_password, "correct-horse");
  EXPECT_EQ(*ledger_->LastSequence(), 1);
}

TEST_F(LedgerTest, TheSameRequestWithAnotherOrderIsAConflict) {
  Create(MakeDeployment("1"));
  Deployment other = MakeDeployment("1");
  other.id = "another-id";
  other.request_digest = "another digest";

  const absl::StatusOr<Ledger::CreateOutcome> outcome =
      ledger_->CreateDeployment(other, PayloadFor);

  EXPECT_TRUE(errors::Is(outcome.status(), errors::ErrorCode::kRequestConflict))
      << outcome.status();
  EXPECT_EQ(*ledger_->LastSequence(), 1);
}

TEST_F(LedgerTest, AnIdIsUsedOnce) {
  Create(MakeDeployment("1"));
  Deployment other = MakeDeployment("2");
  other.id = "deployment-1";

  const absl::StatusOr<Ledger::CreateOutcome> outcome =
      ledger_->CreateDeployment(other, PayloadFor);

  EXPECT_EQ(outcome.status().code(), absl::StatusCode::kAlreadyExists) << outcome.status();
  EXPECT_THAT(EventPayloads(), ElementsAre("deployment-1 1 1"));
}

TEST_F(LedgerTest, AnUpdateWithAStaleSequenceIsAbortedAndChangesNothing) {
  Deployment row = Create(MakeDeployment("1"));
  row.progress_percent = 10;
  ASSERT_TRUE(ledger_->UpdateDeployment(row, 1, PayloadFor).ok());
  row.progress_percent = 5;

  const absl::StatusOr<Deployment> stale = ledger_->UpdateDeployment(row, 1, PayloadFor);

  EXPECT_EQ(stale.status().code(), absl::StatusCode::kAborted) << stale.status();
  EXPECT_EQ(ledger_->GetDeployment(row.id)->progress_percent, 10);
  EXPECT_EQ(*ledger_->LastSequence(), 2);
}

TEST_F(LedgerTest, OnlyOneDeploymentRunsOnAPort) {
  Deployment first = Create(MakeDeployment("1"));
  Deployment second = Create(MakeDeployment("2"));
  first.state = second.state = DeploymentState::kRunning;
  first.port = second.port = "usb-1-2";
  first = *ledger_->UpdateDeployment(first, first.sequence, PayloadFor);

  const absl::StatusOr<Deployment> refused =
      ledger_->UpdateDeployment(second, second.sequence, PayloadFor);

  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition) << refused.status();
  EXPECT_TRUE(absl::StrContains(refused.status().message(), "deployment-1")) << refused.status();
  EXPECT_EQ(ledger_->GetDeployment(second.id)->state, DeploymentState::kPending);
  EXPECT_EQ(*ledger_->LastSequence(), 3);
  // Free again, or another port: fine.
  first.state = DeploymentState::kSucceeded;
  ASSERT_TRUE(ledger_->UpdateDeployment(first, first.sequence, PayloadFor).ok());
  EXPECT_TRUE(ledger_->UpdateDeployment(second, second.sequence, PayloadFor).ok());
}

TEST_F(LedgerTest, TheDatabaseItselfRefusesTwoRunningOnAPort) {
  Create(MakeDeployment("1"));
  Create(MakeDeployment("2"));
  RawDatabase raw(path_);

  EXPECT_EQ(raw.Run("UPDATE deployments SET state = 2, port = 'a' WHERE id = 'deployment-1'"), "");
  EXPECT_EQ(raw.Run("UPDATE deployments SET state = 2, port = 'a' WHERE id = 'deployment-2'"),
            "UNIQUE constraint failed: deployments.port");
}

TEST_F(LedgerTest, RefusesWhatNoDeploymentCanBe) {
  const Deployment good = Create(MakeDeployment("1"));
  struct Case {
    const char* what;
    void (*spoil)(Deployment&);
  };
  const Case cases[] = {
      {"running without a port", [](Deployment& d) { d.state = DeploymentState::kRunning; }},
      {"unknown state", [](Deployment& d) { d.state = static_cast<DeploymentState>(7); }},
      {"negative step", [](Deployment& d) { d.step = -1; }},
      {"attempt zero", [](Deployment& d) { d.attempt = 0; }},
      {"101 percent", [](Deployment& d) { d.progress_percent = 101; }},
      {"another customer", [](Deployment& d) { d.customer_id = "XYZ"; }},
      {"another bundle", [](Deployment& d) { d.bundle_id = "b2"; }},
      {"another creation", [](Deployment& d) { d.create_time += absl::Seconds(1); }},
      {"another request", [](Deployment& d) { d.request_id = "request-9"; }},
  };
  for (const Case& c : cases) {
    Deployment bad = good;
    c.spoil(bad);
    const absl::StatusOr<Deployment> refused =
        ledger_->UpdateDeployment(bad, good.sequence, PayloadFor);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument)
        << c.what << ": " << refused.status();
  }
  EXPECT_EQ(*ledger_->LastSequence(), 1);
  EXPECT_EQ(VerdictOf(*ledger_), "ok");
}

TEST_F(LedgerTest, SaysWhichDeploymentIsNotThere) {
  const absl::StatusOr<Deployment> got = ledger_->GetDeployment("nobody");
  const absl::StatusOr<Deployment> updated =
      ledger_->UpdateDeployment(MakeDeployment("1"), 1, PayloadFor);

  EXPECT_TRUE(errors::Is(got.status(), errors::ErrorCode::kDeploymentNotFound)) << got.status();
  EXPECT_TRUE(errors::Is(updated.status(), errors::ErrorCode::kDeploymentNotFound))
      << updated.status();
  EXPECT_EQ(got.status().code(), absl::StatusCode::kNotFound);
}

TEST_F(LedgerTest, FindsADeploymentByTheRequestThatMadeIt) {
  Create(MakeDeployment("1"));

  EXPECT_EQ(ledger_->FindDeploymentByRequest("request-1")->id, "deployment-1");
  const absl::Status unknown = ledger_->FindDeploymentByRequest("request-2").status();
  EXPECT_TRUE(errors::Is(unknown, errors::ErrorCode::kDeploymentNotFound)) << unknown;
}

TEST_F(LedgerTest, PasswordsStayOutOfListsAndOutOfTheirTable) {
  Deployment row = MakeDeployment("1");
  row.wifi_password = "correct-horse";
  Create(row);
  Create(MakeDeployment("2"));

  const absl::StatusOr<std::vector<Deployment>> list = ledger_->ListDeployments({});
  const absl::StatusOr<std::vector<Deployment>> open = ledger_->FindDeploymentsNotEnded();

  ASSERT_TRUE(list.ok() && open.ok()) << list.status() << open.status();
  for (const std::vector<Deployment>& seen : {*list, *open}) {
    ASSERT_EQ(seen.size(), 2u);
    for (const Deployment& deployment : seen) {
      EXPECT_THAT(deployment.wifi_password, IsEmpty());
      EXPECT_EQ(deployment.has_wifi_password, deployment.id == "deployment-1");
    }
  }
  RawDatabase raw(path_);
  EXPECT_FALSE(absl::StrContains(raw.Query("SELECT * FROM deployments, events"), "correct-horse"));
  EXPECT_EQ(raw.Query("SELECT * FROM deployment_secrets"), "deployment-1|correct-horse");
}

TEST_F(LedgerTest, AnUpdateOfAListedRowKeepsItsPassword) {
  Deployment row = MakeDeployment("1");
  row.wifi_password = "correct-horse";
  Create(row);
  Deployment listed = ledger_->ListDeployments({})->front();
  listed.progress_percent = 50;

  const absl::StatusOr<Deployment> updated =
      ledger_->UpdateDeployment(listed, listed.sequence, PayloadFor);

  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->wifi_password, "correct-horse");
  EXPECT_EQ(ledger_->GetDeployment(row.id)->wifi_password, "correct-horse");
}

TEST_F(LedgerTest, RefusesAnEventThatHoldsThePassword) {
  Deployment row = MakeDeployment("1");
  row.wifi_password = "correct-horse";

  const absl::StatusOr<Ledger::CreateOutcome> outcome = ledger_->CreateDeployment(
      row, [](const Deployment& d) { return "password: " + d.wifi_password; });

  EXPECT_EQ(outcome.status().code(), absl::StatusCode::kInternal) << outcome.status();
  EXPECT_FALSE(absl::StrContains(outcome.status().message(), "correct-horse"));
  EXPECT_EQ(*ledger_->LastSequence(), 0);
  EXPECT_EQ(ledger_->GetDeployment(row.id).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(LedgerTest, ObserverSeesEveryCommitInOrderAndNothingElse) {
  std::vector<std::string> seen;
  ledger_->SetCommitObserver([&seen](const EventRecord& event) {
    seen.push_back(absl::StrCat(event.sequence, " ", event.subject));
  });

  Deployment row = Create(MakeDeployment("1"));
  ASSERT_TRUE(ledger_->AppendEvent({.kind = 2, .subject = "boards/a", .payload = "x"}).ok());
  ASSERT_FALSE(ledger_->AppendEvent({.kind = 0, .subject = "boards/b", .payload = "x"}).ok());
  Create(MakeDeployment("1"));                                        // a repeat
  ASSERT_FALSE(ledger_->UpdateDeployment(row, 99, PayloadFor).ok());  // stale
  ASSERT_TRUE(ledger_->UpdateDeployment(row, 1, PayloadFor).ok());

  EXPECT_THAT(
      seen, ElementsAre("1 deployments/deployment-1", "2 boards/a", "3 deployments/deployment-1"));
}

TEST_F(LedgerTest, AppendedEventsKeepTheirBytes) {
  const std::string payload(
      "\0\x01\xff"
      "'\n",
      5);

  const absl::StatusOr<EventRecord> appended =
      ledger_->AppendEvent({.kind = 6, .subject = "deployments/ก", .payload = payload});

  ASSERT_TRUE(appended.ok()) << appended.status();
  const EventRecord stored = ledger_->ListEvents({})->front();
  EXPECT_EQ(stored.payload, payload);
  EXPECT_EQ(stored.subject, "deployments/ก");
  EXPECT_EQ(stored.time, appended->time);
}

TEST_F(LedgerTest, AnEmptyLedgerStartsAtOne) {
  EXPECT_EQ(*ledger_->LastSequence(), 0);
  EXPECT_EQ(*ledger_->FirstSequence(), 1);
  EXPECT_THAT(*ledger_->ListEvents({}), IsEmpty());
  EXPECT_EQ(VerdictOf(*ledger_), "ok");
  ASSERT_TRUE(ledger_->AppendEvent({.kind = 5, .subject = "station"}).ok());
  EXPECT_EQ(*ledger_->LastSequence(), 1);
  EXPECT_EQ(*ledger_->FirstSequence(), 1);
}

TEST_F(LedgerTest, AClockSetBackDoesNotBreakTheOrder) {
  Create(MakeDeployment("1"));
  clock_.SetNow(clock_.Now() - absl::Hours(24));
  Create(MakeDeployment("2"));

  EXPECT_THAT(EventPayloads(), ElementsAre("deployment-1 1 1", "deployment-2 1 2"));
  EXPECT_EQ(VerdictOf(*ledger_), "ok");
}

TEST_F(LedgerTest, AHealthyLedgerSaysSo) {
  EXPECT_TRUE(ledger_->CheckHealth().ok()) << ledger_->CheckHealth();
  EXPECT_EQ(*ledger_->LastSequence(), 0);
  EXPECT_EQ(ledger_->schema_version(), 4);
  EXPECT_THAT(Ledger::SqliteVersion(), ::testing::StartsWith("3."));
}

TEST_F(LedgerTest, HealthNoticesThatTheFileWasMovedAway) {
  ASSERT_EQ(::rename(path_.c_str(), folder_.Path("elsewhere.db").c_str()), 0);

  const absl::Status health = ledger_->CheckHealth();

  EXPECT_TRUE(errors::Is(health, errors::ErrorCode::kLedgerDamaged)) << health;
  ASSERT_EQ(::rename(folder_.Path("elsewhere.db").c_str(), path_.c_str()), 0);
  EXPECT_TRUE(ledger_->CheckHealth().ok());
}

}  // namespace
}  // namespace kiln::storage
