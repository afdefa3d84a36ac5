#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/fake_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/deployment_queries.h"
#include "storage/ledger.h"
#include "storage/ledger_test_util.h"

namespace kiln::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Eight deployments, two created in each second; number i has
//   customer A (odd) or B (even), port p<i % 3> once it ran, MAC m<i % 4>, bundle b<i % 2>.
// States: 1 PENDING, 2 RUNNING, 3 SUCCEEDED, 4 FAILED, 5 CANCELED, 6 NEEDS_ATTENTION, 7 SUCCEEDED,
// 8 PENDING.
class LedgerQueryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 1; i <= 8; ++i) {
      Deployment row = MakeDeployment(absl::StrCat(i));
      row.customer_id = i % 2 == 1 ? "AAA" : "BBB";
      row.bundle_id = absl::StrCat("b", i % 2);
      row.create_time = start_ + absl::Seconds((i - 1) / 2);
      row.mac = absl::StrCat("m", i % 4);
      const int state = i <= 6 ? i : (i == 7 ? 3 : 1);
      row.state = static_cast<DeploymentState>(state);
      if (state != 1) row.port = absl::StrCat("p", i % 3);
      const auto created = ledger_->CreateDeployment(row, PayloadFor);
      ASSERT_TRUE(created.ok()) << created.status();
    }
    ASSERT_TRUE(ledger_->AppendEvent({.kind = 2, .subject = "boards/p1", .payload = "in"}).ok());
    ASSERT_TRUE(ledger_->AppendEvent({.kind = 5, .subject = "station", .payload = "up"}).ok());
  }

  // The numbers of the deployments found, as text.
  std::string Find(const DeploymentQuery& query) {
    const absl::StatusOr<std::vector<Deployment>> found = ledger_->ListDeployments(query);
    if (!found.ok()) return found.status().ToString();
    return absl::StrJoin(*found, " ", [](std::string* out, const Deployment& row) {
      absl::StrAppend(out, row.id.substr(std::string("deployment-").size()));
    });
  }

  std::string FindEvents(const EventQuery& query) {
    const absl::StatusOr<std::vector<EventRecord>> found = ledger_->ListEvents(query);
    if (!found.ok()) return found.status().ToString();
    return absl::StrJoin(*found, " ", [](std::string* out, const EventRecord& event) {
      absl::StrAppend(out, event.sequence);
    });
  }

  TemporaryFolder folder_;
  base::FakeClock clock_;
  const absl::Time start_ = clock_.Now();
  const std::string path_ = folder_.Path("ledger.db");
  std::unique_ptr<Ledger> ledger_ = MustOpen(path_, clock_);
};

TEST_F(LedgerQueryTest, FiltersDeployments) {
  using State = DeploymentState;
  const auto second = [this](int n) { return start_ + absl::Seconds(n); };
  struct Case {
    const char* what;
    DeploymentQuery query;
    const char* found;
  };
  const Case cases[] = {
      {"everything, newest first", {}, "8 7 6 5 4 3 2 1"},
      {"limit", {.limit = 3}, "8 7 6"},
      {"one state", {.states = {State::kSucceeded}}, "7 3"},
      {"two states", {.states = {State::kSucceeded, State::kPending}}, "8 7 3 1"},
      {"a state twice", {.states = {State::kFailed, State::kFailed}}, "4"},
      {"all states with a limit",
       {.states = {State::kPending, State::kRunning, State::kSucceeded, State::kFailed,
                   State::kCanceled, State::kNeedsAttention},
        .limit = 5},
       "8 7 6 5 4"},
      {"customer", {.customer_id = "AAA"}, "7 5 3 1"},
      {"unknown customer", {.customer_id = "ZZZ"}, ""},
      {"quotes are only text", {.customer_id = "A' OR '1'='1"}, ""},
      {"mac", {.mac = "m3"}, "7 3"},
      {"port that ran it", {.port = "p1"}, "7 4"},
      {"bundle", {.bundle_id = "b0"}, "8 6 4 2"},
      {"customer and state", {.states = {State::kSucceeded}, .customer_id = "AAA"}, "7 3"},
      {"everything at once",
       {.states = {State::kSucceeded},
        .customer_id = "AAA",
        .mac = "m3",
        .port = "p0",
        .bundle_id = "b1"},
       "3"},
      {"start is inclusive", {.created_after = second(2)}, "8 7 6 5"},
      {"end is exclusive", {.created_before = second(2)}, "4 3 2 1"},
      {"between", {.created_after = second(1), .created_before = second(2)}, "4 3"},
      {"a start within a microsecond", {.created_after = second(2) + absl::Nanoseconds(1)}, "8 7"},
      {"an end within a microsecond",
       {.created_before = second(2) + absl::Nanoseconds(1)},
       "6 5 4 3 2 1"},
      {"older than", {.older_than_id = "deployment-6"}, "5 4 3 2 1"},
      {"older than the oldest", {.older_than_id = "deployment-1"}, ""},
      {"older than, with states",
       {.states = {State::kSucceeded, State::kPending}, .older_than_id = "deployment-7"},
       "3 1"},
  };
  for (const Case& c : cases) EXPECT_EQ(Find(c.query), c.found) << c.what;
}

TEST_F(LedgerQueryTest, PagesMeetWithoutGapsOrRepeats) {
  for (int page_size = 1; page_size <= 9; ++page_size) {
    DeploymentQuery query;
    query.limit = page_size;
    std::vector<std::string> ids;
    for (int page = 0; page < 10; ++page) {
      const absl::StatusOr<std::vector<Deployment>> found = ledger_->ListDeployments(query);
      ASSERT_TRUE(found.ok()) << found.status();
      if (found->empty()) break;
      for (const Deployment& row : *found) ids.push_back(row.id.substr(11));
      query.older_than_id = found->back().id;
    }
    EXPECT_EQ(absl::StrJoin(ids, " "), "8 7 6 5 4 3 2 1") << "pages of " << page_size;
  }
}

TEST_F(LedgerQueryTest, APageStaysInPlaceWhileNewerDeploymentsArrive) {
  Deployment newer = MakeDeployment("9");
  newer.create_time = start_ + absl::Hours(1);
  ASSERT_TRUE(ledger_->CreateDeployment(newer, PayloadFor).ok());

  EXPECT_EQ(Find({.older_than_id = "deployment-7", .limit = 2}), "6 5");
}

TEST_F(LedgerQueryTest, RefusesImpossibleQueries) {
  for (const int limit : {0, -1}) {
    EXPECT_EQ(ledger_->ListDeployments({.limit = limit}).status().code(),
              absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ledger_->ListEvents({.limit = limit}).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(ledger_->ListDeployments({.older_than_id = "nobody"}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(LedgerQueryTest, FiltersEvents) {
  struct Case {
    const char* what;
    EventQuery query;
    const char* found;
  };
  const Case cases[] = {
      {"everything, oldest first", {}, "1 2 3 4 5 6 7 8 9 10"},
      {"after", {.after_sequence = 7}, "8 9 10"},
      {"after the last", {.after_sequence = 10}, ""},
      {"limit", {.after_sequence = 2, .limit = 3}, "3 4 5"},
      {"one kind", {.kinds = {2}}, "9"},
      {"kinds", {.kinds = {5, 2}}, "9 10"},
      {"kinds after", {.after_sequence = 9, .kinds = {5, 2}}, "10"},
      {"subject", {.subject = "deployments/deployment-3"}, "3"},
      {"subject and its kind", {.kinds = {1}, .subject = "deployments/deployment-3"}, "3"},
      {"subject and another kind", {.kinds = {2}, .subject = "deployments/deployment-3"}, ""},
      {"unknown kind", {.kinds = {-4}}, ""},
  };
  for (const Case& c : cases) EXPECT_EQ(FindEvents(c.query), c.found) << c.what;
}

TEST_F(LedgerQueryTest, FindsAndCountsWhatIsNotEnded) {
  const absl::StatusOr<std::vector<Deployment>> open = ledger_->FindDeploymentsNotEnded();
  const absl::StatusOr<StateCounts> counts = ledger_->CountByState();

  ASSERT_TRUE(open.ok() && counts.ok()) << open.status() << counts.status();
  std::vector<std::string> ids;
  for (const Deployment& row : *open) ids.push_back(row.id);
  EXPECT_THAT(ids, ElementsAre("deployment-1", "deployment-2", "deployment-8"));
  EXPECT_THAT(*counts, ElementsAre(0, 2, 1, 2, 1, 1, 1));
}

TEST_F(LedgerQueryTest, AnEmptyLedgerAnswersEmptyLists) {
  const std::unique_ptr<Ledger> empty = MustOpen(folder_.Path("empty.db"), clock_);

  EXPECT_THAT(*empty->ListDeployments({}), IsEmpty());
  EXPECT_THAT(*empty->FindDeploymentsNotEnded(), IsEmpty());
  EXPECT_THAT(*empty->CountByState(), ElementsAre(0, 0, 0, 0, 0, 0, 0));
}

// A history of years must not be read or sorted to show one page.
TEST_F(LedgerQueryTest, PagesWalkAnIndexWithoutSorting) {
  using State = DeploymentState;
  const DeploymentQuery queries[] = {
      {},
      {.states = {State::kPending}},
      {.states = {State::kPending, State::kRunning}},
      {.customer_id = "AAA"},
      {.mac = "m1"},
      {.port = "p1"},
      {.bundle_id = "b1"},
      {.created_after = start_, .created_before = start_ + absl::Hours(1)},
      {.older_than_id = "deployment-6"},
      {.states = {State::kFailed, State::kSucceeded}, .older_than_id = "deployment-6"},
      {.customer_id = "AAA", .older_than_id = "deployment-6"},
  };
  RawDatabase raw(path_);
  for (const DeploymentQuery& query : queries) {
    const std::string sql = DeploymentQuerySql(query);
    const std::string plan = raw.Query("EXPLAIN QUERY PLAN " + sql);
    EXPECT_TRUE(absl::StrContains(plan, "USING INDEX")) << sql << "\n" << plan;
    EXPECT_FALSE(absl::StrContains(plan, "TEMP B-TREE")) << sql << "\n" << plan;
  }
}

TEST_F(LedgerQueryTest, TextIsFoundAnywhereWhateverItsCase) {
  EXPECT_EQ(Find({.text = "aaa"}), "7 5 3 1");
  EXPECT_EQ(Find({.text = "m3"}), "7 3");
  EXPECT_EQ(Find({.text = "deployment-8"}), "8");
  EXPECT_EQ(Find({.states = {DeploymentState::kSucceeded}, .text = "aaa"}), "7 3");
  EXPECT_EQ(Find({.text = "aaa", .older_than_id = "deployment-5", .limit = 1}), "3");
  for (const char* wildcard : {"a%a", "a_a", "%%", "\\", "'"}) {
    EXPECT_EQ(Find({.text = wildcard}), "") << wildcard;
  }
}

TEST_F(LedgerQueryTest, OutcomesAreCountedInTheRange) {
  const auto all = ledger_->CountOutcomes(start_, start_ + absl::Hours(1));
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_THAT(all->by_state, ElementsAre(0, 2, 1, 2, 1, 1, 1));
  EXPECT_EQ(all->succeeded_first_attempt, 2);

  Deployment again = *ledger_->GetDeployment("deployment-7");
  again.attempt = 2;
  ASSERT_TRUE(ledger_->UpdateDeployment(again, again.sequence, PayloadFor).ok());
  // Numbers 5 to 8: the second half.
  const auto half = ledger_->CountOutcomes(start_ + absl::Seconds(2), start_ + absl::Seconds(4));
  ASSERT_TRUE(half.ok()) << half.status();
  EXPECT_THAT(half->by_state, ElementsAre(0, 1, 0, 1, 0, 1, 1));
  EXPECT_EQ(half->succeeded_first_attempt, 0);
}

}  // namespace
}  // namespace kiln::storage
