#include "storage/deployment_queries.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"

namespace kiln::storage {
namespace {

constexpr char kColumns[] =
    "id, request_id, request_digest, organization, customer_id, application_name, expiry_date, "
    "bundle_id, requested_port, create_time_us, port, state, step, attempt, last_retry_request_id, "
    "cancel_requested, progress_percent, chip, mac, flash_size_bytes, wifi_ssid, record_path, "
    "error_code, error_detail, details, update_time_us, start_time_us, end_time_us, sequence, "
    "has_wifi_password, batch_id, batch_slot";
constexpr int kColumnCount = 32;

Deployment ReadDeployment(const SqliteStatement& row) {
  Deployment deployment;
  deployment.id = row.Bytes(0);
  deployment.request_id = row.Bytes(1);
  deployment.request_digest = row.Bytes(2);
  deployment.organization = row.Bytes(3);
  deployment.customer_id = row.Bytes(4);
  deployment.application_name = row.Bytes(5);
  deployment.expiry_date = row.Bytes(6);
  deployment.bundle_id = row.Bytes(7);
  deployment.requested_port = row.Bytes(8);
  deployment.create_time = row.Time(9);
  deployment.port = row.Bytes(10);
  deployment.state = static_cast<DeploymentState>(row.Int(11));
  deployment.step = static_cast<int>(row.Int(12));
  deployment.attempt = static_cast<int>(row.Int(13));
  deployment.last_retry_request_id = row.Bytes(14);
  deployment.cancel_requested = row.Int(15) != 0;
  deployment.progress_percent = static_cast<int>(row.Int(16));
  deployment.chip = row.Bytes(17);
  deployment.mac = row.Bytes(18);
  deployment.flash_size_bytes = static_cast<uint32_t>(row.Int(19));
  deployment.wifi_ssid = row.Bytes(20);
  deployment.record_path = row.Bytes(21);
  deployment.error_code = row.Bytes(22);
  deployment.error_detail = row.Bytes(23);
  deployment.details = row.Bytes(24);
  deployment.update_time = row.Time(25);
  deployment.start_time = row.Time(26);
  deployment.end_time = row.Time(27);
  deployment.sequence = row.Int(28);
  deployment.has_wifi_password = row.Int(29) != 0;
  deployment.batch_id = row.Bytes(30);
  deployment.batch_slot = static_cast<int>(row.Int(31));
  return deployment;
}

// Parameter 1 and the order's, 2 to 10, 31 and 32; what may change, 11 to 30. The numbers are those
// of kColumns.
void BindOrder(SqliteStatement& statement, const Deployment& deployment) {
  statement.BindText(2, deployment.request_id)
      .BindBlob(3, deployment.request_digest)
      .BindText(4, deployment.organization)
      .BindText(5, deployment.customer_id)
      .BindText(6, deployment.application_name)
      .BindText(7, deployment.expiry_date)
      .BindText(8, deployment.bundle_id)
      .BindText(9, deployment.requested_port)
      .BindTime(10, deployment.create_time)
      .BindText(31, deployment.batch_id)
      .BindInt(32, deployment.batch_slot);
}

void BindState(SqliteStatement& statement, const Deployment& deployment) {
  statement.BindText(1, deployment.id)
      .BindText(11, deployment.port)
      .BindInt(12, static_cast<int>(deployment.state))
      .BindInt(13, deployment.step)
      .BindInt(14, deployment.attempt)
      .BindText(15, deployment.last_retry_request_id)
      .BindInt(16, deployment.cancel_requested ? 1 : 0)
      .BindInt(17, deployment.progress_percent)
      .BindText(18, deployment.chip)
      .BindText(19, deployment.mac)
      .BindInt(20, deployment.flash_size_bytes)
      .BindText(21, deployment.wifi_ssid)
      .BindText(22, deployment.record_path)
      .BindText(23, deployment.error_code)
      .BindText(24, deployment.error_detail)
      .BindBlob(25, deployment.details)
      .BindTime(26, deployment.update_time)
      .BindTime(27, deployment.start_time)
      .BindTime(28, deployment.end_time)
      .BindInt(29, deployment.sequence)
      .BindInt(30, deployment.has_wifi_password ? 1 : 0);
}

absl::Status StoreSecret(SqliteDatabase& db, const Deployment& deployment) {
  if (deployment.wifi_password.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(
      SqliteStatement upsert,
      db.Cached("INSERT INTO deployment_secrets(deployment_id, wifi_password) VALUES(?1, ?2) "
                "ON CONFLICT(deployment_id) DO UPDATE SET wifi_password = excluded.wifi_password "
                "WHERE wifi_password <> excluded.wifi_password"));
  return upsert.BindText(1, deployment.id).BindText(2, deployment.wifi_password).Run();
}

absl::StatusOr<std::optional<Deployment>> FindBy(SqliteDatabase& db, const std::string& column,
                                                 const std::string& value) {
  ASSIGN_OR_RETURN(
      SqliteStatement query,
      db.Cached(absl::StrCat("SELECT ", kColumns,
                             ", wifi_password FROM deployments "
                             "LEFT JOIN deployment_secrets ON deployment_id = id WHERE ",
                             column, " = ?1")));
  ASSIGN_OR_RETURN(const bool row, query.BindText(1, value).Step());
  if (!row) return std::optional<Deployment>();
  Deployment deployment = ReadDeployment(query);
  deployment.wifi_password = query.Bytes(kColumnCount);
  return std::optional<Deployment>(std::move(deployment));
}

absl::StatusOr<std::vector<Deployment>> ReadAll(SqliteStatement& statement) {
  std::vector<Deployment> deployments;
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) return deployments;
    deployments.push_back(ReadDeployment(statement));
  }
}

absl::Time WholeMicroseconds(absl::Time time) {
  if (time == absl::InfinitePast()) return time;
  return absl::FromUnixMicros(absl::ToUnixMicros(time));
}

// The first stored time that is not before `time`: stored times are rounded down, so a bound
// between two microseconds lies above the one before.
int64_t RoundedUp(absl::Time time) {
  return absl::ToUnixMicros(time + absl::Microseconds(1) - absl::Nanoseconds(1));
}

// `text` anywhere, with nothing in it that LIKE would take for a wildcard.
std::string LikePattern(const std::string& text) {
  return absl::StrCat("%", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"%", "\\%"}, {"_", "\\_"}}),
                      "%");
}

}  // namespace

Deployment Normalized(Deployment deployment) {
  deployment.create_time = WholeMicroseconds(deployment.create_time);
  deployment.update_time = WholeMicroseconds(deployment.update_time);
  deployment.start_time = WholeMicroseconds(deployment.start_time);
  deployment.end_time = WholeMicroseconds(deployment.end_time);
  return deployment;
}

absl::StatusOr<std::optional<Deployment>> FindDeployment(SqliteDatabase& db,
                                                         const std::string& id) {
  return FindBy(db, "id", id);
}

absl::StatusOr<std::optional<Deployment>> FindByRequestId(SqliteDatabase& db,
                                                          const std::string& request_id) {
  return FindBy(db, "request_id", request_id);
}

absl::StatusOr<std::string> FindRunningOn(SqliteDatabase& db, const std::string& port) {
  ASSIGN_OR_RETURN(SqliteStatement query,
                   db.Cached("SELECT id FROM deployments WHERE state = 2 AND port = ?1"));
  ASSIGN_OR_RETURN(const bool row, query.BindText(1, port).Step());
  return row ? query.Bytes(0) : std::string();
}

absl::Status InsertDeployment(SqliteDatabase& db, const Deployment& deployment) {
  ASSIGN_OR_RETURN(SqliteStatement insert,
                   db.Cached(absl::StrCat("INSERT INTO deployments(", kColumns,
                                          ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
                                          "?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, "
                                          "?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32)")));
  BindOrder(insert, deployment);
  BindState(insert, deployment);
  RETURN_IF_ERROR(insert.Run()) << "storing deployment " << deployment.id;
  return StoreSecret(db, deployment);
}

absl::Status ReplaceDeployment(SqliteDatabase& db, const Deployment& deployment) {
  ASSIGN_OR_RETURN(
      SqliteStatement update,
      db.Cached("UPDATE deployments SET port = ?11, state = ?12, step = ?13, attempt = ?14, "
                "last_retry_request_id = ?15, cancel_requested = ?16, progress_percent = ?17, "
                "chip = ?18, mac = ?19, flash_size_bytes = ?20, wifi_ssid = ?21, "
                "record_path = ?22, error_code = ?23, error_detail = ?24, details = ?25, "
                "update_time_us = ?26, start_time_us = ?27, end_time_us = ?28, sequence = ?29, "
                "has_wifi_password = ?30 WHERE id = ?1"));
  BindState(update, deployment);
  RETURN_IF_ERROR(update.Run()) << "storing deployment " << deployment.id;
  return StoreSecret(db, deployment);
}

std::string DeploymentQuerySql(const DeploymentQuery& query) {
  std::vector<std::string> conditions;
  if (!query.customer_id.empty()) conditions.push_back("customer_id = ?1");
  if (!query.mac.empty()) conditions.push_back("mac = ?2");
  if (!query.port.empty()) conditions.push_back("port = ?3");
  if (!query.bundle_id.empty()) conditions.push_back("bundle_id = ?4");
  if (query.created_after != absl::InfinitePast()) conditions.push_back("create_time_us >= ?5");
  if (query.created_before != absl::InfiniteFuture()) conditions.push_back("create_time_us < ?6");
  if (!query.batch_id.empty()) conditions.push_back("batch_id = ?11");
  if (!query.text.empty()) {
    std::vector<std::string> columns;
    for (const char* column :
         {"customer_id", "organization", "application_name", "mac", "wifi_ssid", "id"}) {
      columns.push_back(absl::StrCat(column, " LIKE ?10 ESCAPE '\\'"));
    }
    conditions.push_back(absl::StrCat("(", absl::StrJoin(columns, " OR "), ")"));
  }
  if (!query.older_than_id.empty()) conditions.push_back("(create_time_us, id) < (?7, ?8)");
  // One arm for each state, merged in order by SQLite: each walks its index from the newest and
  // stops at the limit. `state IN (…)` would collect and sort the whole history.
  std::vector<int> states;
  states.reserve(query.states.size());
  for (const DeploymentState state : query.states) states.push_back(static_cast<int>(state));
  std::sort(states.begin(), states.end());
  states.erase(std::unique(states.begin(), states.end()), states.end());
  std::vector<std::string> arms;
  const auto add_arm = [&](const std::string& state_condition) {
    std::vector<std::string> all = conditions;
    if (!state_condition.empty()) all.push_back(state_condition);
    arms.push_back(absl::StrCat("SELECT ", kColumns, " FROM deployments",
                                all.empty() ? "" : " WHERE ", absl::StrJoin(all, " AND ")));
  };
  if (states.empty()) add_arm("");
  for (const int state : states) add_arm(absl::StrCat("state = ", state));
  return absl::StrCat(absl::StrJoin(arms, " UNION ALL "),
                      " ORDER BY create_time_us DESC, id DESC LIMIT ?9");
}

absl::StatusOr<std::vector<Deployment>> QueryDeployments(SqliteDatabase& db,
                                                         const DeploymentQuery& query) {
  if (query.limit < 1) return absl::InvalidArgumentError("the limit of a query must be at least 1");
  absl::Time cursor_time;
  if (!query.older_than_id.empty()) {
    ASSIGN_OR_RETURN(SqliteStatement cursor,
                     db.Cached("SELECT create_time_us FROM deployments WHERE id = ?1"));
    ASSIGN_OR_RETURN(const bool row, cursor.BindText(1, query.older_than_id).Step());
    if (!row) {
      return absl::InvalidArgumentError(
          absl::StrCat("the page's cursor names no deployment: ", query.older_than_id));
    }
    cursor_time = cursor.Time(0);
  }
  ASSIGN_OR_RETURN(SqliteStatement statement, db.Prepare(DeploymentQuerySql(query)));
  if (!query.customer_id.empty()) statement.BindText(1, query.customer_id);
  if (!query.mac.empty()) statement.BindText(2, query.mac);
  if (!query.port.empty()) statement.BindText(3, query.port);
  if (!query.bundle_id.empty()) statement.BindText(4, query.bundle_id);
  if (query.created_after != absl::InfinitePast()) {
    statement.BindInt(5, RoundedUp(query.created_after));
  }
  if (query.created_before != absl::InfiniteFuture()) {
    statement.BindInt(6, RoundedUp(query.created_before));
  }
  if (!query.older_than_id.empty()) {
    statement.BindTime(7, cursor_time).BindText(8, query.older_than_id);
  }
  statement.BindInt(9, query.limit);
  if (!query.text.empty()) statement.BindText(10, LikePattern(query.text));
  if (!query.batch_id.empty()) statement.BindText(11, query.batch_id);
  return ReadAll(statement);
}

absl::StatusOr<std::vector<Deployment>> QueryNotEnded(SqliteDatabase& db) {
  ASSIGN_OR_RETURN(SqliteStatement statement,
                   db.Cached(absl::StrCat("SELECT ", kColumns,
                                          " FROM deployments WHERE state IN (1, 2) "
                                          "ORDER BY create_time_us, id")));
  return ReadAll(statement);
}

absl::StatusOr<StateCounts> CountDeployments(SqliteDatabase& db) {
  ASSIGN_OR_RETURN(SqliteStatement statement,
                   db.Cached("SELECT state, count(*) FROM deployments GROUP BY state"));
  StateCounts counts = {};
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) return counts;
    const auto state = static_cast<size_t>(statement.Int(0));
    if (state < counts.size()) counts[state] = statement.Int(1);
  }
}

absl::StatusOr<OutcomeCounts> QueryOutcomes(SqliteDatabase& db, absl::Time after,
                                            absl::Time before) {
  ASSIGN_OR_RETURN(SqliteStatement statement,
                   db.Cached("SELECT state, attempt = 1, count(*) FROM deployments "
                             "WHERE create_time_us >= ?1 AND create_time_us < ?2 GROUP BY 1, 2"));
  statement.BindInt(1, RoundedUp(after)).BindInt(2, RoundedUp(before));
  OutcomeCounts counts;
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) return counts;
    const auto state = static_cast<size_t>(statement.Int(0));
    const int64_t count = statement.Int(2);
    if (state < counts.by_state.size()) counts.by_state[state] += count;
    const bool first_attempt = statement.Int(1) != 0;
    if (first_attempt && statement.Int(0) == static_cast<int>(DeploymentState::kSucceeded)) {
      counts.succeeded_first_attempt += count;
    }
  }
}

}  // namespace kiln::storage
