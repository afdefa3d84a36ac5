#include "clients/cli/customer_list.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/safe_text.h"
#include "base/status_macros.h"

namespace kiln::cli {
namespace {

// Longest cell: twice what the longest field of a customer may have, in UTF-8.
constexpr size_t kMaxCellBytes = 2000;
constexpr size_t kMaxColumns = 50;

struct Row {
  std::vector<std::string> cells;
  int line = 0;  // where it begins
};

// Cuts a text into rows of cells, one by one.
class Reader {
 public:
  Reader(absl::string_view text, char separator) : text_(text), separator_(separator) {}

  bool AtEnd() const { return position_ >= text_.size(); }
  int line() const { return line_; }

  // The message of a problem is without its place.
  absl::StatusOr<Row> Next() {
    Row row{.line = line_};
    for (;;) {
      ASSIGN_OR_RETURN(std::string cell, Cell());
      row.cells.push_back(std::move(cell));
      if (row.cells.size() > kMaxColumns) return absl::InvalidArgumentError("too many columns");
      if (AtEnd()) return row;
      const char end = text_[position_++];
      if (end == separator_) continue;
      if (end == '\r' && !AtEnd() && text_[position_] == '\n') ++position_;
      ++line_;
      return row;
    }
  }

 private:
  bool AtCellEnd() const {
    return AtEnd() || text_[position_] == separator_ || text_[position_] == '\n' ||
           text_[position_] == '\r';
  }

  absl::StatusOr<std::string> Cell() {
    std::string cell;
    if (!AtEnd() && text_[position_] == '"') {
      RETURN_IF_ERROR(Quoted(cell));
      if (!AtCellEnd()) return absl::InvalidArgumentError("there is more after a closing quote");
    } else {
      while (!AtCellEnd()) {
        if (text_[position_] == '"') {
          return absl::InvalidArgumentError("a quote stands inside of a cell without quotes");
        }
        cell.push_back(text_[position_++]);
      }
    }
    if (cell.size() > kMaxCellBytes) return absl::InvalidArgumentError("a cell is too long");
    for (const char c : cell) {
      if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
        return absl::InvalidArgumentError("a cell holds a line break or a control character");
      }
    }
    // What is no text comes back changed.
    if (base::SafeText(cell, kMaxCellBytes) != cell) {
      return absl::InvalidArgumentError("this is no UTF-8; save the table as \"CSV UTF-8\"");
    }
    return std::string(absl::StripAsciiWhitespace(cell));
  }

  absl::Status Quoted(std::string& cell) {
    ++position_;
    while (!AtEnd()) {
      const char c = text_[position_++];
      if (c != '"') {
        if (c == '\n') ++line_;
        cell.push_back(c);
      } else if (!AtEnd() && text_[position_] == '"') {
        cell.push_back('"');
        ++position_;
      } else {
        return absl::OkStatus();
      }
    }
    return absl::InvalidArgumentError("a quote is never closed");
  }

  const absl::string_view text_;
  const char separator_;
  size_t position_ = 0;
  int line_ = 1;
};

// The one that the first line has most of.
char SeparatorOf(absl::string_view text) {
  const absl::string_view first = text.substr(0, text.find_first_of("\r\n"));
  char best = ',';
  for (const char c : {';', '\t'}) {
    if (std::count(first.begin(), first.end(), c) > std::count(first.begin(), first.end(), best)) {
      best = c;
    }
  }
  return best;
}

constexpr absl::string_view kColumns[] = {"organization", "customer_id", "application_name",
                                          "expiry_date"};

absl::Status CheckHeading(const Row& heading) {
  std::set<std::string> seen;
  for (const std::string& name : heading.cells) {
    if (std::find(std::begin(kColumns), std::end(kColumns), name) == std::end(kColumns)) {
      return absl::InvalidArgumentError(
          absl::StrCat("there is no column \"", base::SafeText(name, 60),
                       "\"; there are organization, customer_id, application_name, expiry_date"));
    }
    if (!seen.insert(name).second) {
      return absl::InvalidArgumentError(absl::StrCat("the column ", name, " is there twice"));
    }
  }
  for (const absl::string_view name : {kColumns[0], kColumns[1], kColumns[2]}) {
    if (seen.find(std::string(name)) == seen.end()) {
      return absl::InvalidArgumentError(absl::StrCat("the column ", name, " is missing"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Customer> CustomerOf(const Row& heading, const Row& row) {
  if (row.cells.size() != heading.cells.size()) {
    return absl::InvalidArgumentError(absl::StrCat("there are ", row.cells.size(),
                                                   " cells, but the first line names ",
                                                   heading.cells.size(), " columns"));
  }
  v1::Customer customer;
  for (size_t i = 0; i < row.cells.size(); ++i) {
    const std::string& name = heading.cells[i];
    const std::string& cell = row.cells[i];
    if (cell.empty() && name != "expiry_date") {
      return absl::InvalidArgumentError(absl::StrCat(name, " is empty"));
    }
    if (name == "organization") customer.set_organization(cell);
    if (name == "customer_id") customer.set_customer_id(absl::AsciiStrToUpper(cell));
    if (name == "application_name") customer.set_application_name(cell);
    if (name == "expiry_date") customer.set_expiry_date(cell);
  }
  return customer;
}

bool IsEmpty(const Row& row) { return row.cells.size() == 1 && row.cells.front().empty(); }

}  // namespace

absl::StatusOr<std::vector<ListedCustomer>> ParseCustomerList(absl::string_view text,
                                                              const std::string& source) {
  const auto at = [&source](int line, const absl::Status& problem) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ", line ", line, ": ", problem.message()));
  };
  if (text.size() > kMaxCustomerListBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, " has more than ", kMaxCustomerListBytes, " bytes"));
  }
  absl::ConsumePrefix(&text, "\xef\xbb\xbf");
  Reader reader(text, SeparatorOf(text));
  const absl::StatusOr<Row> heading = reader.Next();
  if (!heading.ok()) return at(1, heading.status());
  if (const absl::Status status = CheckHeading(*heading); !status.ok()) return at(1, status);
  std::vector<ListedCustomer> customers;
  while (!reader.AtEnd()) {
    const int line = reader.line();
    const absl::StatusOr<Row> row = reader.Next();
    if (!row.ok()) return at(line, row.status());
    if (IsEmpty(*row)) continue;
    absl::StatusOr<v1::Customer> customer = CustomerOf(*heading, *row);
    if (!customer.ok()) return at(line, customer.status());
    if (customers.size() == kMaxListedCustomers) {
      return at(line, absl::InvalidArgumentError(
                          absl::StrCat("more than ", kMaxListedCustomers, " customers")));
    }
    customers.push_back({*std::move(customer), line});
  }
  if (customers.empty())
    return absl::InvalidArgumentError(absl::StrCat(source, " has no customers"));
  return customers;
}

}  // namespace kiln::cli
