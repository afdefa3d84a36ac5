#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/civil_time.h"
#include "daemon/identity/identity.h"
#include "daemon/identity/text.h"
#include "errors/error.h"

namespace kiln::identity {
namespace {

constexpr size_t kMinCustomerId = 3;
constexpr size_t kMaxCustomerId = 10;
constexpr size_t kMaxOrganization = 200;
constexpr size_t kMaxApplicationName = 100;
// Further away is a mistake: above all a year of the Buddhist era, 543 ahead.
constexpr int kMaxYearsAhead = 100;

bool IsIdCharacter(char c) { return absl::ascii_isdigit(c) || absl::ascii_isupper(c); }

std::string ProblemWithCustomerId(const std::string& id) {
  if (id.empty()) return "is empty";
  // The kind of character first: it is what the person can see and change.
  if (std::any_of(id.begin(), id.end(), [](char c) { return !absl::ascii_isascii(c); })) {
    return "has characters that are not A-Z or 0-9 of the English keyboard (Thai or full-width)";
  }
  if (std::any_of(id.begin(), id.end(), [](char c) { return absl::ascii_islower(c); })) {
    return "has lower-case letters; only A-Z and 0-9 are allowed";
  }
  if (!std::all_of(id.begin(), id.end(), IsIdCharacter)) {
    return "has characters other than A-Z and 0-9";
  }
  if (id.size() < kMinCustomerId || id.size() > kMaxCustomerId) {
    return absl::StrCat("has ", id.size(), " characters; ", kMinCustomerId, " to ", kMaxCustomerId,
                        " are required");
  }
  return "";
}

// A day of the Gregorian calendar in exactly the form YYYY-MM-DD.
std::optional<absl::CivilDay> ParseDay(absl::string_view text) {
  if (text.size() != 10) return std::nullopt;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool good = i == 4 || i == 7 ? text[i] == '-' : absl::ascii_isdigit(text[i]);
    if (!good) return std::nullopt;
  }
  int year = 0;
  int month = 0;
  int day = 0;
  if (!absl::SimpleAtoi(text.substr(0, 4), &year) || !absl::SimpleAtoi(text.substr(5, 2), &month) ||
      !absl::SimpleAtoi(text.substr(8, 2), &day)) {
    return std::nullopt;
  }
  // CivilDay carries 31 April over to 1 May; a real day comes back as it was.
  const absl::CivilDay civil(year, month, day);
  if (civil.year() != year || civil.month() != month || civil.day() != day) return std::nullopt;
  return civil;
}

std::string ProblemWithExpiryDate(const std::string& date, const std::string& today) {
  if (date.empty()) return "";
  const std::optional<absl::CivilDay> expiry = ParseDay(date);
  if (!expiry.has_value()) return "is not a day of the calendar in the form YYYY-MM-DD";
  const std::optional<absl::CivilDay> now = ParseDay(today);
  if (!now.has_value()) return "cannot be compared: the station does not know the date";
  if (*expiry <= *now) return absl::StrCat("is not after today (", today, ")");
  if (expiry->year() - now->year() > kMaxYearsAhead) {
    return absl::StrCat("is more than ", kMaxYearsAhead,
                        " years ahead; give the year of the Common Era, which is the Buddhist year "
                        "less 543");
  }
  return "";
}

}  // namespace

absl::Status ValidateCustomer(const Customer& customer, const std::string& today) {
  std::vector<std::string> problems;
  const auto note = [&problems](absl::string_view field, const std::string& problem) {
    if (!problem.empty()) problems.push_back(absl::StrCat(field, " ", problem));
  };
  note("organization", ProblemWithText(customer.organization, kMaxOrganization));
  note("customer_id", ProblemWithCustomerId(customer.customer_id));
  note("application_name", ProblemWithText(customer.application_name, kMaxApplicationName));
  note("expiry_date", ProblemWithExpiryDate(customer.expiry_date, today));
  if (problems.empty()) return absl::OkStatus();
  return errors::MakeError(errors::ErrorCode::kCustomerInvalid, absl::StrJoin(problems, "; "));
}

}  // namespace kiln::identity
