// `kiln`: the station's command line. Composition only: reads the command line, makes the session,
// runs the chosen command.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <string>

#include "clients/cli/commands/commands.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/session.h"
#include "clients/cli/texts.h"

namespace {

constexpr char kDefaultAddress[] = "unix:///run/kiln/kilnd.sock";

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread.
  return value == nullptr ? "" : value;
}

// The order POSIX gives the locale variables.
std::string MessagesLocale() {
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    if (std::string value = FromEnvironment(name); !value.empty()) return value;
  }
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Kiln turns blank ESP32 boards into finished, recorded products.", "kiln"};
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", KILN_VERSION);
  app.footer(
      "Exit codes: 0 done, 1 a deployment did not succeed, 2 wrong command line, 3 station not\n"
      "reachable, 4 not found, 5 refused, 6 unhealthy, 7 anything else.\n"
      "Environment: KILN_ADDRESS (the station), LANG (th… for Thai).");

  kiln::cli::Session::Options options;
  options.address = FromEnvironment("KILN_ADDRESS");
  if (options.address.empty()) options.address = kDefaultAddress;
  std::string language;
  app.add_option("--address", options.address, "The station: unix:///path or host:port")
      ->capture_default_str();
  app.add_option("--lang", language, "en or th; default: the locale")
      ->check(CLI::IsMember({"en", "th"}));
  app.add_flag("--json", options.json, "JSON, one message a line, for machines");

  kiln::cli::Run run;
  kiln::cli::AddBoardsCommand(app, run);
  kiln::cli::AddFirmwareCommand(app, run);
  kiln::cli::AddDeployCommand(app, run);
  kiln::cli::AddDeploymentsCommand(app, run);
  kiln::cli::AddBatchCommand(app, run);
  kiln::cli::AddEventsCommand(app, run);
  kiln::cli::AddHealthCommand(app, run);
  kiln::cli::AddStationCommand(app, run);
  kiln::cli::AddPortCommand(app, run);
  kiln::cli::AddBackupCommand(app, run);
  kiln::cli::AddRestoreCommand(app, run);
  kiln::cli::AddCompletionCommand(app, run);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kiln::cli::kExitOk : kiln::cli::kExitUsage;
  }

  options.language = kiln::cli::ChooseLanguage(language, MessagesLocale());
  options.terminal = ::isatty(STDOUT_FILENO) == 1;
  kiln::cli::Session session(options, std::cout, std::cerr);
  return run(session);
}
