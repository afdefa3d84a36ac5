#ifndef KILN_CLIENTS_CLI_COMMANDS_COMMANDS_H_
#define KILN_CLIENTS_CLI_COMMANDS_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <functional>

#include "clients/cli/session.h"

namespace kiln::cli {

// Every command of `kiln`: a function that adds its words to the command line. When the person
// chose it, CLI11 calls back, and the callback stores in `run` what main shall do with the finished
// session; it answers an ExitCode.
using Run = std::function<int(Session&)>;

void AddBoardsCommand(CLI::App& app, Run& run);
void AddFirmwareCommand(CLI::App& app, Run& run);
// `kiln firmware build`, a word of the command above.
void AddFirmwareBuildCommand(CLI::App& firmware, Run& run);
void AddDeployCommand(CLI::App& app, Run& run);
void AddDeploymentsCommand(CLI::App& app, Run& run);
void AddBatchCommand(CLI::App& app, Run& run);
void AddEventsCommand(CLI::App& app, Run& run);
void AddHealthCommand(CLI::App& app, Run& run);
void AddStationCommand(CLI::App& app, Run& run);
void AddPortCommand(CLI::App& app, Run& run);
// `kiln backup` and `kiln restore`: work on the station's folders and need no running station.
void AddBackupCommand(CLI::App& app, Run& run);
void AddRestoreCommand(CLI::App& app, Run& run);
// `kiln completion bash`: made from the commands above, so it goes last.
void AddCompletionCommand(CLI::App& app, Run& run);

}  // namespace kiln::cli

#endif  // KILN_CLIENTS_CLI_COMMANDS_COMMANDS_H_
