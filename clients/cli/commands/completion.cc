#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/session.h"

namespace kiln::cli {
namespace {

// The words that may follow `command`: its subcommands and its long options.
std::string WordsOf(const CLI::App* command) {
  std::string words;
  for (const CLI::App* sub : command->get_subcommands([](const CLI::App*) { return true; })) {
    absl::StrAppend(&words, " ", sub->get_name());
  }
  for (const CLI::Option* option : command->get_options()) {
    for (const std::string& name : option->get_lnames()) absl::StrAppend(&words, " --", name);
  }
  return std::string(absl::StripAsciiWhitespace(words));
}

// One `case` arm for each command, keyed by the commands before the cursor ("deployments show").
void AppendCases(const CLI::App* command, const std::string& path, std::string& script) {
  absl::StrAppend(&script, "    \"", path, "\") words=\"", WordsOf(command), "\" ;;\n");
  for (const CLI::App* sub : command->get_subcommands([](const CLI::App*) { return true; })) {
    AppendCases(sub, absl::StrCat(path, path.empty() ? "" : " ", sub->get_name()), script);
  }
}

// bash and, through bashcompinit, zsh.
std::string BashScript(const CLI::App& app) {
  std::string cases;
  AppendCases(&app, "", cases);
  return absl::StrReplaceAll(
      R"(# Completion of kiln for bash; zsh: autoload -U bashcompinit && bashcompinit first.
_kiln() {
  local path="" word words=""
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in
      -*) ;;
      *) path="${path:+$path }$word" ;;
    esac
  done
  case "$path" in
@CASES@  esac
  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
  [ -n "$words" ] || COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _kiln kiln
)",
      {{"@CASES@", cases}});
}

}  // namespace

void AddCompletionCommand(CLI::App& app, Run& run) {
  CLI::App* completion =
      app.add_subcommand("completion", "Print shell completion: source <(kiln completion)");
  completion->callback([&app, &run] {
    run = [script = BashScript(app)](Session& session) {
      session.out() << script;
      return kExitOk;
    };
  });
}

}  // namespace kiln::cli
