#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "simulator/faults.h"
#include "simulator/flash_memory.h"
#include "simulator/server.h"
#include "simulator/usb/usb_models.h"

namespace kiln::simulator {
namespace {

absl::Status ApplyOption(absl::string_view option, BoardSpec& spec) {
  BoardConfig& config = spec.config;
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(option, absl::MaxSplits('=', 1));
  const auto& [key, value] = parts;
  if (key == "mac") {
    const std::optional<esp::MacAddress> mac = esp::ParseMac(value);
    if (!mac.has_value()) return absl::InvalidArgumentError(absl::StrCat("no MAC: ", value));
    config.mac = *mac;
    return absl::OkStatus();
  }
  if (key == "flash") {
    uint32_t megabytes = 0;
    absl::string_view digits = value;
    if (absl::EndsWithIgnoreCase(digits, "MB")) digits.remove_suffix(2);
    const FlashPart* part = nullptr;
    if (absl::SimpleAtoi(digits, &megabytes) && megabytes > 0 && megabytes < 4096) {
      part = DefaultFlashPart(megabytes << 20);
    }
    if (part == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("no flash part of ", value, "; there are 2MB, 4MB, 8MB, 16MB and 32MB"));
    }
    config.flash_part = std::string(part->name);
    return absl::OkStatus();
  }
  if (key == "part") {
    if (FindFlashPart(value) == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("unknown flash part ", value));
    }
    config.flash_part = std::string(value);
    return absl::OkStatus();
  }
  if (key == "fault") return ParseFault(value, config.faults);
  if (key == "adapter") {
    const std::vector<std::string> kinds = UsbModelKinds();
    if (std::find(kinds.begin(), kinds.end(), std::string(value)) == kinds.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown adapter ", value, "; there are ", absl::StrJoin(kinds, ", ")));
    }
    spec.adapter = std::string(value);
    return absl::OkStatus();
  }
  if (option == "download") {
    config.start_in_download_mode = true;
    return absl::OkStatus();
  }
  if (option == "line-test") {
    config.line_test = true;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown board option ", option));
}

}  // namespace

absl::StatusOr<BoardSpec> ParseBoardSpec(absl::string_view text, int index) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ',');
  const std::pair<absl::string_view, absl::string_view> head =
      absl::StrSplit(parts[0], absl::MaxSplits(':', 1));
  BoardSpec spec;
  spec.name = std::string(head.first);
  bool plain = !spec.name.empty() && spec.name != "control";
  for (const char c : spec.name) plain = plain && (absl::ascii_isalnum(c) || c == '-' || c == '_');
  if (!plain) {
    return absl::InvalidArgumentError(
        absl::StrCat("board \"", text, "\": a name has letters, digits, - and _"));
  }
  const std::optional<esp::Chip> chip = esp::ParseChip(head.second);
  if (!chip.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("board \"", text, "\": unknown chip \"", head.second, "\""));
  }
  spec.config.chip = *chip;
  const uint32_t serial = static_cast<uint32_t>(index) + 1;
  spec.config.mac = {0x7C,
                     0xDF,
                     0xA1,
                     static_cast<uint8_t>(serial >> 16),
                     static_cast<uint8_t>(serial >> 8),
                     static_cast<uint8_t>(serial)};
  for (size_t i = 1; i < parts.size(); ++i) {
    RETURN_IF_ERROR(ApplyOption(parts[i], spec)) << "board " << spec.name;
  }
  return spec;
}

}  // namespace kiln::simulator
