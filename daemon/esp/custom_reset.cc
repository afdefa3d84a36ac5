#include "daemon/esp/custom_reset.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "daemon/esp/reset.h"

namespace kiln::esp {
namespace {

constexpr size_t kMaxText = 512;
constexpr size_t kMaxSteps = 64;
constexpr double kMaxWaitSeconds = 10;
// The step that connects tries several times, must still end in time, and is not interrupted
// meanwhile.
constexpr absl::Duration kMaxTotal = absl::Seconds(10);
// "0.05", "10": as many characters as a wait may have.
constexpr size_t kMaxNumber = 8;

// Reads the text from left to right and knows where it is.
class Reader {
 public:
  explicit Reader(absl::string_view text) : text_(text) {}

  bool done() const { return at_ == text_.size(); }
  char Next() { return done() ? '\0' : text_[at_++]; }
  char Peek() const { return done() ? '\0' : text_[at_]; }

  absl::Status Expect(char wanted) {
    if (Peek() == wanted) {
      ++at_;
      return absl::OkStatus();
    }
    return Error(absl::StrCat("'", std::string(1, wanted), "' belongs here"));
  }
  absl::StatusOr<bool> Level() {
    if (Peek() == '0' || Peek() == '1') return Next() == '1';
    return Error("0 or 1 belongs here");
  }
  absl::StatusOr<absl::Duration> Seconds() {
    const size_t start = at_;
    while (absl::ascii_isdigit(static_cast<unsigned char>(Peek())) || Peek() == '.') ++at_;
    const absl::string_view digits = text_.substr(start, at_ - start);
    double seconds = 0;
    const bool good = !digits.empty() && digits.size() <= kMaxNumber &&
                      absl::ascii_isdigit(static_cast<unsigned char>(digits.front())) &&
                      absl::ascii_isdigit(static_cast<unsigned char>(digits.back())) &&
                      absl::SimpleAtod(digits, &seconds) && seconds <= kMaxWaitSeconds;
    if (good) return absl::Seconds(seconds);
    at_ = start;
    return Error(absl::StrCat("seconds from 0 to ", kMaxWaitSeconds, " belong here"));
  }
  absl::Status Error(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("character ", at_ + 1, ": ", what));
  }

 private:
  const absl::string_view text_;
  size_t at_ = 0;
};

}  // namespace

absl::StatusOr<CustomReset> CustomReset::Parse(absl::string_view text) {
  Reader reader(text.substr(0, kMaxText));
  if (text.size() > kMaxText) return reader.Error("the sequence is too long");
  CustomReset reset;
  reset.text_ = std::string(text);
  bool dtr = false;
  bool rts = false;
  absl::Duration total;
  for (;;) {
    const Reader before = reader;
    switch (reader.Next()) {
      case 'D': {
        ASSIGN_OR_RETURN(dtr, reader.Level());
        break;
      }
      case 'R': {
        ASSIGN_OR_RETURN(rts, reader.Level());
        break;
      }
      case 'U': {
        ASSIGN_OR_RETURN(dtr, reader.Level());
        RETURN_IF_ERROR(reader.Expect(','));
        ASSIGN_OR_RETURN(rts, reader.Level());
        break;
      }
      case 'W': {
        ASSIGN_OR_RETURN(const absl::Duration wait, reader.Seconds());
        if (reset.steps_.empty()) return before.Error("a line must be set before the first wait");
        total += wait;
        if (total > kMaxTotal) {
          return before.Error(
              absl::StrCat("all waits together are more than ", absl::FormatDuration(kMaxTotal)));
        }
        reset.steps_.back().hold += wait;
        break;
      }
      default:
        return before.Error("D, R, U or W belongs here");
    }
    const bool sets_lines = before.Peek() != 'W';
    if (sets_lines) reset.steps_.push_back({dtr, rts, absl::ZeroDuration()});
    if (reset.steps_.size() > kMaxSteps) return before.Error("there are too many steps");
    if (reader.done()) break;
    RETURN_IF_ERROR(reader.Expect('|'));
  }
  const auto resets = [](const LineStep& step) { return step.rts && !step.dtr; };
  if (std::none_of(reset.steps_.begin(), reset.steps_.end(), resets)) {
    return Reader("").Error("nowhere is RTS asserted alone, so the chip is never reset");
  }
  if (dtr || rts) return reader.Error("the sequence ends with a line asserted");
  return reset;
}

}  // namespace kiln::esp
