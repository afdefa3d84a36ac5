#ifndef KILN_CLIENTS_CLI_EXIT_CODE_H_
#define KILN_CLIENTS_CLI_EXIT_CODE_H_

namespace kiln::cli {

// What the process answers to scripts; documented in `kiln --help` and docs/cli.md. Never renumber.
enum ExitCode {
  kExitOk = 0,
  kExitDeploymentFailed = 1,  // it was accepted and did not succeed
  kExitUsage = 2,             // the command line itself
  kExitUnreachable = 3,       // no station answers
  kExitNotFound = 4,          // no such deployment, board or bundle
  kExitRefused = 5,           // the station understood and refused: invalid, conflict, wrong state
  kExitUnhealthy = 6,         // `kiln health`: unhealthy; `kiln station verify`: not sound
  kExitInternal = 7,          // anything else
};

}  // namespace kiln::cli

#endif  // KILN_CLIENTS_CLI_EXIT_CODE_H_
