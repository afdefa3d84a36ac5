// kiln-sim: boards made of software, for demonstrations and tests.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "simulator/demo_image.h"
#include "simulator/faults.h"
#include "simulator/flash_memory.h"
#include "simulator/server.h"
#include "simulator/usb/usb_models.h"

namespace kiln::simulator {
namespace {

struct RunArguments {
  std::string folder;
  std::string state_folder;
  std::vector<std::string> boards;
  std::vector<std::string> faults;
  int count = 0;
  bool pace = false;
  bool vhci = false;
  bool download_mode = false;
  std::string flash_part;
};

absl::StatusOr<std::vector<BoardSpec>> MakeBoards(const RunArguments& arguments) {
  std::vector<std::string> texts = arguments.boards;
  if (texts.empty()) {
    // Every chip in turn.
    const int count = arguments.count > 0 ? arguments.count : 1;
    for (int i = 0; i < count; ++i) {
      const esp::Chip chip = esp::AllChips()[static_cast<size_t>(i) % esp::AllChips().size()];
      texts.push_back(absl::StrCat("board-", i + 1, ":", esp::TraitsOf(chip).stub_name));
    }
  } else if (arguments.count > 1) {
    // So many of each: NAME-1, NAME-2 …
    std::vector<std::string> repeated;
    for (const std::string& text : texts) {
      const size_t colon = text.find(':');
      if (colon == std::string::npos || absl::StrContains(text, "mac=")) {
        return absl::InvalidArgumentError("--count needs boards as NAME:CHIP without a MAC");
      }
      for (int i = 1; i <= arguments.count; ++i) {
        repeated.push_back(absl::StrCat(text.substr(0, colon), "-", i, text.substr(colon)));
      }
    }
    texts = repeated;
  }
  std::vector<BoardSpec> boards;
  for (size_t i = 0; i < texts.size(); ++i) {
    ASSIGN_OR_RETURN(BoardSpec spec, ParseBoardSpec(texts[i], static_cast<int>(i)));
    for (const BoardSpec& other : boards) {
      if (other.name == spec.name) {
        return absl::InvalidArgumentError(absl::StrCat("two boards are called ", spec.name));
      }
    }
    spec.config.model_times = arguments.pace;
    if (arguments.download_mode) spec.config.start_in_download_mode = true;
    if (!arguments.flash_part.empty()) {
      if (FindFlashPart(arguments.flash_part) == nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat("unknown flash part ", arguments.flash_part));
      }
      if (spec.config.flash_part.empty()) spec.config.flash_part = arguments.flash_part;
    }
    for (const std::string& fault : arguments.faults) {
      RETURN_IF_ERROR(ParseFault(fault, spec.config.faults));
    }
    boards.push_back(std::move(spec));
  }
  return boards;
}

absl::Status Run(const RunArguments& arguments) {
  ServerOptions options;
  options.folder = std::filesystem::absolute(arguments.folder).lexically_normal().string();
  options.state_folder = arguments.state_folder;
  options.vhci = arguments.vhci;
  ASSIGN_OR_RETURN(options.boards, MakeBoards(arguments));
  Server server(std::move(options), base::SystemClock());
  return server.Run();
}

int Main(int argc, char** argv) {
  CLI::App app{"Boards of the ESP32 family made of software"};
  app.require_subcommand(1);

  RunArguments run_arguments;
  CLI::App* run = app.add_subcommand("run", "Run boards until stopped, on pseudo-terminals or USB");
  run->add_option("--dir", run_arguments.folder, "Folder for the boards' links and sockets")
      ->required();
  run->add_option(
      "--board", run_arguments.boards,
      "NAME:CHIP[,mac=…][,flash=4MB][,part=…][,fault=…][,download][,adapter=…][,line-test]; "
      "may be repeated; adapters (with --vhci): " +
          absl::StrJoin(UsbModelKinds(), ", "));
  run->add_option("--count", run_arguments.count, "So many boards (of each --board)")
      ->check(CLI::Range(1, 256));
  run->add_flag("--pace", run_arguments.pace, "Model the time of the wire and of the flash");
  run->add_flag("--vhci", run_arguments.vhci,
                "Plug the boards in at this machine's USB (module vhci_hcd; as root)");
  std::vector<std::string> parts;
  for (const FlashPart& part : FlashParts()) parts.emplace_back(part.name);
  run->add_option("--flash-part", run_arguments.flash_part,
                  "Flash part of all boards: " + absl::StrJoin(parts, ", "));
  run->add_flag("--download-mode", run_arguments.download_mode, "Power up in download mode");
  run->add_option("--fault", run_arguments.faults,
                  "A fault of all boards: " + absl::StrJoin(FaultNames(), ", "));
  run->add_option("--state", run_arguments.state_folder,
                  "Folder that keeps the flash contents between runs");

  std::string control_folder;
  std::vector<std::string> words;
  CLI::App* control = app.add_subcommand("ctl", "Send a command to a running kiln-sim");
  control->add_option("--dir", control_folder, "Its folder")->required();
  control->add_option("command", words, "unplug A, replug A, reset A, fault A …, stats A, list")
      ->required();

  std::string chip_name;
  std::string bundle_folder;
  std::string version = "1.0.0";
  uint32_t size = 1048576;
  uint64_t seed = 1;
  CLI::App* bundle = app.add_subcommand(
      "make-bundle", "Write a demonstration firmware as an ESP-IDF build folder");
  bundle->add_option("--chip", chip_name, "Chip")->required();
  bundle->add_option("--size", size, "Bytes of the application")
      ->check(CLI::Range(4096, 12 * 1024 * 1024));
  bundle->add_option("--seed", seed, "Other seeds give other contents");
  bundle->add_option("--firmware-version", version, "Version in the application's description");
  bundle->add_option("folder", bundle_folder, "Where")->required();

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }

  absl::Status status;
  if (run->parsed()) {
    status = Run(run_arguments);
  } else if (control->parsed()) {
    const absl::StatusOr<std::string> answer =
        SendCommand(control_folder, absl::StrJoin(words, " "));
    status = answer.status();
    if (answer.ok()) {
      absl::PrintF("%s", *answer);
      return absl::StartsWith(*answer, "error:") ? 1 : 0;
    }
  } else {
    const std::optional<esp::Chip> chip = esp::ParseChip(chip_name);
    const uint32_t needed = DemoImage::kApplicationOffset + size;
    uint32_t flash_size = 4 * 1024 * 1024;
    while (flash_size < needed) flash_size *= 2;
    status =
        chip.has_value()
            ? WriteDemoBundle(MakeDemoImage(*chip, size, seed, version, flash_size), bundle_folder)
            : absl::InvalidArgumentError(absl::StrCat("unknown chip ", chip_name));
  }
  if (!status.ok()) {
    absl::FPrintF(stderr, "kiln-sim: %s\n", status.message());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace kiln::simulator

int main(int argc, char** argv) { return kiln::simulator::Main(argc, argv); }
