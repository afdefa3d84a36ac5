#include <CLI/CLI.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/session.h"
#include "clients/cli/table.h"

namespace kiln::cli {
namespace {

constexpr int kLabelColumns = 16;

int Show(Session& session) {
  const auto context = Session::NewContext();
  v1::StationInfo info;
  const grpc::Status status = session.station().GetStation(context.get(), {}, &info);
  if (!status.ok()) return session.Fail(status);
  if (session.options().json) {
    session.PrintJson(info);
    return kExitOk;
  }
  const Texts& texts = session.texts();
  const auto line = [&](TextId label, absl::string_view value) {
    session.out() << Padded(texts.Get(label), kLabelColumns) << value << "\n";
  };
  line(TextId::kStation, absl::StrCat(info.station_id(), "  (kilnd ", info.version(), ")"));
  line(TextId::kSince, HumanTime(absl::FromUnixSeconds(info.start_time().seconds())));
  line(TextId::kDeployments,
       texts.Format(TextId::kWaitingAndRunning, {absl::StrCat(info.deployments_pending()),
                                                 absl::StrCat(info.deployments_running())}));
  line(TextId::kLedger,
       absl::StrCat(info.ledger_path(), "  (#", info.last_sequence(), ", schema ",
                    info.ledger_schema(), ", SQLite ", info.sqlite_version(), ")"));
  line(TextId::kExports, info.export_directory());
  std::string chips;
  for (const std::string& chip : info.stub_chips()) {
    absl::StrAppend(&chips, chips.empty() ? "" : ", ", chip);
  }
  line(TextId::kStubs, chips.empty() ? "–" : chips);
  if (info.draining()) session.out() << texts.Get(TextId::kDraining) << "\n";
  return kExitOk;
}

int Verify(Session& session) {
  // Every event is hashed again; a large ledger takes a while.
  const auto context = Session::NewContext(absl::Minutes(10));
  v1::VerifyLedgerResponse response;
  const grpc::Status status = session.station().VerifyLedger(context.get(), {}, &response);
  if (!status.ok()) return session.Fail(status);
  if (session.options().json) {
    session.PrintJson(response);
  } else if (response.ok()) {
    session.out() << session.texts().Format(
                         TextId::kLedgerGood,
                         {absl::StrCat(response.events_checked()), response.head().substr(0, 16)})
                  << "\n";
  } else {
    session.err() << session.texts().Format(TextId::kLedgerBad, {response.problem()}) << "\n";
  }
  return response.ok() ? kExitOk : kExitUnhealthy;
}

int Health(Session& session) {
  const auto context = Session::NewContext(absl::Seconds(3));
  v1::Health health;
  const grpc::Status status = session.station().GetHealth(context.get(), {}, &health);
  if (!status.ok()) return session.Fail(status);
  if (session.options().json) {
    session.PrintJson(health);
  } else {
    const Texts& texts = session.texts();
    session.out() << texts.Of(health.level()) << "\n";
    const auto word = [&texts](TextId id) { return std::string(texts.Get(id)); };
    Table table({word(TextId::kCheck), word(TextId::kResult), word(TextId::kMessage)});
    for (const v1::HealthCheck& check : health.checks()) {
      table.AddRow(
          {check.name(), word(check.ok() ? TextId::kOk : TextId::kFails), check.message()});
    }
    session.out() << table.Render();
  }
  return health.level() == v1::Health::LEVEL_UNHEALTHY ? kExitUnhealthy : kExitOk;
}

}  // namespace

void AddStationCommand(CLI::App& app, Run& run) {
  CLI::App* station = app.add_subcommand("station", "What the station is and where things are");
  station->require_subcommand(0, 1);
  CLI::App* show = station->add_subcommand("show", "Versions, folders, work (the default)");
  show->callback([&run] { run = Show; });
  CLI::App* verify =
      station->add_subcommand("verify", "Check every link of the ledger's event chain");
  verify->callback([&run] { run = Verify; });
  station->callback([&run, station] {
    if (station->get_subcommands().empty()) run = Show;
  });
}

void AddHealthCommand(CLI::App& app, Run& run) {
  CLI::App* health =
      app.add_subcommand("health", "Is the station well? Exit code 6 when it is not");
  health->callback([&run] { run = Health; });
}

}  // namespace kiln::cli
