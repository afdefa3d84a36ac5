#ifndef KILN_DAEMON_IDENTITY_BOARD_REPORT_H_
#define KILN_DAEMON_IDENTITY_BOARD_REPORT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kiln::identity {

// The longest report a board may send, in bytes, without its line end.
inline constexpr size_t kMaxBoardReportBytes = 1024;

// What a board says about itself after it has booted: a line of JSON on its serial port that
// starts with {"kiln":1, or the answer to GET /mac. Untrusted, but of checked form: every field is
// valid UTF-8 without control characters. Never holds the WiFi password, even if the board sent it.
struct BoardReport {
  std::string mac_address;  // "7c:df:a1:00:00:01", lower case whatever the board sent
  std::string customer_id;
  std::string organization;  // this and the following: empty when not sent
  std::string application;
  std::string wifi_ssid;
  std::string deployment;
  std::string firmware;
};

// The report in `json`, one object with "kiln":1, "mac_address" and "customer_id".
// BoardNotConfirmed when it is longer than kMaxBoardReportBytes, not such an object, or a field has
// the wrong type or form.
absl::StatusOr<BoardReport> ParseBoardReport(absl::string_view json);

// The same for the body of GET http://{ip}/mac, where "kiln" may be missing and "status", when
// there, must be "ok".
absl::StatusOr<BoardReport> ParseMacAnswer(absl::string_view body);

// What the order says the board must report. Empty `deployment` and `wifi_ssid` are not compared,
// and neither is a field that the report leaves empty (except the first two).
struct ExpectedBoard {
  std::string mac;  // from the eFuses, lower case with colons
  std::string customer_id;
  std::string wifi_ssid;
  std::string deployment;
};

// IdentityMismatch naming every field that differs, both values in the text.
absl::Status CheckBoardReport(const BoardReport& report, const ExpectedBoard& expected);

// Cuts a serial stream into lines: any bytes in any pieces, CR or LF or both as line ends, at most
// kMaxLineBytes of a line kept. One thread at a time.
class LineScanner {
 public:
  // Twice a report, so that noise in front of one does not push it out.
  static constexpr size_t kMaxLineBytes = 2 * kMaxBoardReportBytes;

  // The lines that `bytes` complete, without their ends; empty ones are left out. A longer line
  // comes in pieces; a report that may have begun in one piece is kept together in the next.
  std::vector<std::string> Feed(absl::Span<const uint8_t> bytes);

 private:
  std::string line_;
};

// Reads what a board prints after a reset and tells whether it reported itself or keeps failing to
// boot. Owned by the step that waits for the board, which feeds it whatever the port gives, fresh
// for each reset; noise, other programs' lines and broken reports are passed over. Once it leaves
// kWaiting the state is final. One thread at a time.
class BootWatcher {
 public:
  enum class State {
    kWaiting,
    kReported,
    kBootLoop,  // the same trouble again and again: waiting longer will not help
  };

  // How often a sign is seen before it counts as a loop. One panic, brownout or restart happens on
  // sound boards, too (a first boot formats its storage and restarts, a regulator needs a moment).
  struct Limits {
    int failures = 3;  // of one kind: panics, aborts, brownouts, images the loaders refuse
    int resets = 5;    // ROM start-up lines; the first is the reset that started it all
  };

  BootWatcher() : BootWatcher(Limits{}) {}
  explicit BootWatcher(const Limits& limits) : limits_(limits) {}

  State Feed(absl::Span<const uint8_t> bytes);

  State state() const { return state_; }
  // Whether the newest start that was seen is the loader's: until another reset, no program runs.
  bool in_loader() const { return in_loader_; }
  // In kReported only.
  const BoardReport& report() const { return report_; }
  // In kBootLoop: one English sentence that names the trouble, with the board's own line.
  const std::string& reason() const { return reason_; }
  // What was seen so far, for the detail of a time-out: "saw 2 resets, 1 panic (Guru …)".
  std::string Summary() const;
  // BoardDidNotBoot with the reason in kBootLoop; OK in kReported; in kWaiting, BoardNotConfirmed
  // (or BoardDidNotBoot when a failure or the loader was seen) with the summary, for a caller that
  // gives up.
  absl::Status Outcome() const;

 private:
  enum Trouble { kReset, kBadImage, kPanic, kAbort, kBrownout, kTroubleCount };
  struct Sign {
    absl::string_view text;  // as the ROM, the bootloader or ESP-IDF prints it
    Trouble trouble;
  };
  static const Sign kSigns[];

  void TakeLine(const std::string& line);

  const Limits limits_;
  LineScanner scanner_;
  State state_ = State::kWaiting;
  BoardReport report_;
  std::string reason_;
  int counts_[kTroubleCount] = {};
  std::string first_line_[kTroubleCount];  // escaped, shortened
  bool in_loader_ = false;
  std::string bad_report_;  // why the last broken report was refused
};

}  // namespace kiln::identity

#endif  // KILN_DAEMON_IDENTITY_BOARD_REPORT_H_
