#include "daemon/identity/board_report.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "daemon/identity/pattern.h"
#include "errors/error.h"
#include "nlohmann/json.hpp"

namespace kiln::identity {
namespace {

using errors::ErrorCode;
using errors::MakeError;

absl::Status NotConfirmed(absl::string_view detail) {
  return MakeError(ErrorCode::kBoardNotConfirmed, detail);
}

// A board's text in a message for people: printable ASCII, for noise is seldom UTF-8, and short.
std::string Quoted(absl::string_view text) {
  constexpr size_t kShown = 80;
  std::string shown = absl::CHexEscape(text.substr(0, kShown));
  if (text.size() > kShown) shown += "…";
  return shown;
}

// Copies the string field `name` to `out`; a missing optional field leaves it empty.
absl::Status TakeField(const nlohmann::json& object, const char* name, bool required,
                       std::string& out) {
  const auto it = object.find(name);
  if (it == object.end()) {
    if (required) return NotConfirmed(absl::StrCat("the report has no \"", name, "\""));
    return absl::OkStatus();
  }
  if (!it->is_string()) {
    return NotConfirmed(absl::StrCat("\"", name, "\" in the report is not a text"));
  }
  out = it->get_ref<const std::string&>();
  if (required && out.empty()) {
    return NotConfirmed(absl::StrCat("\"", name, "\" in the report is empty"));
  }
  if (std::any_of(out.begin(), out.end(),
                  [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); })) {
    return NotConfirmed(absl::StrCat("\"", name, "\" in the report has control characters"));
  }
  return absl::OkStatus();
}

enum class Source { kSerialLine, kHttpAnswer };

absl::StatusOr<BoardReport> Parse(absl::string_view json, Source source) {
  if (json.size() > kMaxBoardReportBytes) {
    return NotConfirmed(absl::StrCat("the report has ", json.size(), " bytes; at most ",
                                     kMaxBoardReportBytes, " are allowed"));
  }
  // Refuses ill-formed UTF-8, too.
  const nlohmann::json object =
      nlohmann::json::parse(json.begin(), json.end(), /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return NotConfirmed(absl::StrCat("the report is not a JSON object: ", Quoted(json)));
  }
  const auto version = object.find("kiln");
  if (version != object.end() ? *version != 1 : source == Source::kSerialLine) {
    return NotConfirmed("the report is not of version 1 (\"kiln\":1)");
  }
  if (const auto status = object.find("status");
      source == Source::kHttpAnswer && status != object.end() && *status != "ok") {
    return NotConfirmed(
        absl::StrCat("the board's status is not \"ok\" but ",
                     Quoted(status->is_string() ? status->get_ref<const std::string&>()
                                                : std::string(status->type_name()))));
  }
  BoardReport report;
  RETURN_IF_ERROR(TakeField(object, "mac_address", /*required=*/true, report.mac_address));
  RETURN_IF_ERROR(TakeField(object, "customer_id", /*required=*/true, report.customer_id));
  RETURN_IF_ERROR(TakeField(object, "organization", /*required=*/false, report.organization));
  RETURN_IF_ERROR(TakeField(object, "application", /*required=*/false, report.application));
  RETURN_IF_ERROR(TakeField(object, "wifi_ssid", /*required=*/false, report.wifi_ssid));
  RETURN_IF_ERROR(TakeField(object, "deployment", /*required=*/false, report.deployment));
  RETURN_IF_ERROR(TakeField(object, "firmware", /*required=*/false, report.firmware));
  absl::AsciiStrToLower(&report.mac_address);
  if (!IsMacAddress(report.mac_address)) {
    return NotConfirmed(
        absl::StrCat("\"mac_address\" in the report is not a MAC: ", Quoted(report.mac_address)));
  }
  return report;
}

// Where a report begins in a line; noise may stand in front of it.
constexpr absl::string_view kReportStart = "{\"kiln\":1,";

}  // namespace

absl::StatusOr<BoardReport> ParseBoardReport(absl::string_view json) {
  return Parse(json, Source::kSerialLine);
}

absl::StatusOr<BoardReport> ParseMacAnswer(absl::string_view body) {
  return Parse(absl::StripAsciiWhitespace(body), Source::kHttpAnswer);
}

absl::Status CheckBoardReport(const BoardReport& report, const ExpectedBoard& expected) {
  std::vector<std::string> differences;
  const auto compare = [&differences](absl::string_view field, const std::string& reported,
                                      const std::string& ordered) {
    if (reported == ordered) return;
    differences.push_back(
        absl::StrCat(field, " is ", Quoted(reported), " instead of ", Quoted(ordered)));
  };
  const auto compare_if_known = [&compare](absl::string_view field, const std::string& reported,
                                           const std::string& ordered) {
    if (!reported.empty() && !ordered.empty()) compare(field, reported, ordered);
  };
  compare("mac_address", report.mac_address, absl::AsciiStrToLower(expected.mac));
  compare("customer_id", report.customer_id, expected.customer_id);
  compare_if_known("wifi_ssid", report.wifi_ssid, expected.wifi_ssid);
  compare_if_known("deployment", report.deployment, expected.deployment);
  if (differences.empty()) return absl::OkStatus();
  return MakeError(ErrorCode::kIdentityMismatch, absl::StrCat("the board's own report differs: ",
                                                              absl::StrJoin(differences, "; ")));
}

std::vector<std::string> LineScanner::Feed(absl::Span<const uint8_t> bytes) {
  std::vector<std::string> lines;
  for (const uint8_t byte : bytes) {
    const char c = static_cast<char>(byte);
    if (c == '\r' || c == '\n') {
      if (!line_.empty()) lines.push_back(std::exchange(line_, std::string()));
      continue;
    }
    line_ += c;
    if (line_.size() <= kMaxLineBytes) continue;
    // Noise without line ends. Keeps what may be a report that has begun, and otherwise as much as
    // a split start of one needs; a start at the very front was too long a report.
    const size_t start = absl::string_view(line_).rfind(kReportStart);
    const size_t keep_from = start != absl::string_view::npos && start > 0
                                 ? start
                                 : line_.size() - (kReportStart.size() - 1);
    lines.push_back(line_.substr(0, keep_from));
    line_.erase(0, keep_from);
  }
  return lines;
}

// Texts from the ROM's and ESP-IDF's own start-up messages, as a serial monitor shows them.
const BootWatcher::Sign BootWatcher::kSigns[] = {
    {"rst:0x", kReset},
    {"invalid header: 0x", kBadImage},
    {"flash read err", kBadImage},
    {"Invalid image block", kBadImage},
    {"Failed to verify partition table", kBadImage},
    {"No bootable app partitions", kBadImage},
    {"image is corrupt", kBadImage},
    {"Guru Meditation Error", kPanic},
    {"abort() was called", kAbort},
    {"Brownout detector was triggered", kBrownout},
};

// The ROM's line once its straps, or a command before the reset, have led it into the loader.
constexpr absl::string_view kLoaderLine = "waiting for download";

BootWatcher::State BootWatcher::Feed(absl::Span<const uint8_t> bytes) {
  if (state_ != State::kWaiting) return state_;
  for (const std::string& line : scanner_.Feed(bytes)) {
    TakeLine(line);
    if (state_ != State::kWaiting) break;
  }
  return state_;
}

void BootWatcher::TakeLine(const std::string& line) {
  if (const size_t start = absl::string_view(line).find(kReportStart);
      start != absl::string_view::npos) {
    // Up to the last brace: what follows is a terminal's colour code or noise.
    const absl::string_view rest = absl::string_view(line).substr(start);
    const size_t end = rest.rfind('}');
    auto report = ParseBoardReport(rest.substr(0, end == rest.npos ? rest.npos : end + 1));
    if (report.ok()) {
      report_ = *std::move(report);
      state_ = State::kReported;
      in_loader_ = false;
    } else {
      bad_report_ = std::string(report.status().message());
    }
    return;
  }
  // The whole line: programs, too, wait for downloads, and say so with more words.
  if (line == kLoaderLine) {
    in_loader_ = true;
    return;
  }
  for (const Sign& sign : kSigns) {
    const size_t at = absl::string_view(line).find(sign.text);
    if (at == absl::string_view::npos) continue;
    if (sign.trouble == kReset) in_loader_ = false;
    if (counts_[sign.trouble]++ == 0) {
      first_line_[sign.trouble] = Quoted(absl::string_view(line).substr(at));
    }
    const int limit = sign.trouble == kReset ? limits_.resets : limits_.failures;
    if (counts_[sign.trouble] >= limit) {
      state_ = State::kBootLoop;
      reason_ = absl::StrCat("the board keeps failing to boot: ", Summary());
    }
    return;
  }
}

std::string BootWatcher::Summary() const {
  static constexpr absl::string_view kNames[kTroubleCount] = {"reset", "unbootable image", "panic",
                                                              "abort", "brownout"};
  std::vector<std::string> parts;
  for (int i = 0; i < kTroubleCount; ++i) {
    if (counts_[i] == 0) continue;
    parts.push_back(absl::StrCat(counts_[i], " ", kNames[i], counts_[i] == 1 ? "" : "s", " (",
                                 first_line_[i], ")"));
  }
  if (!bad_report_.empty()) parts.push_back(absl::StrCat("a broken report (", bad_report_, ")"));
  return parts.empty() ? "saw neither a report nor a failure"
                       : absl::StrCat("saw ", absl::StrJoin(parts, ", "));
}

absl::Status BootWatcher::Outcome() const {
  switch (state_) {
    case State::kReported:
      return absl::OkStatus();
    case State::kBootLoop:
      return MakeError(ErrorCode::kBoardDidNotBoot, reason_);
    case State::kWaiting:
      break;
  }
  if (in_loader_) {
    return MakeError(ErrorCode::kBoardDidNotBoot,
                     absl::StrCat("the board starts its loader instead of its program: is BOOT "
                                  "pressed, or GPIO0 low? ",
                                  Summary()));
  }
  const bool failed = std::any_of(counts_ + kBadImage, counts_ + kTroubleCount,
                                  [](int count) { return count > 0; });
  return MakeError(failed ? ErrorCode::kBoardDidNotBoot : ErrorCode::kBoardNotConfirmed, Summary());
}

}  // namespace kiln::identity
