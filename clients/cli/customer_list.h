#ifndef KILN_CLIENTS_CLI_CUSTOMER_LIST_H_
#define KILN_CLIENTS_CLI_CUSTOMER_LIST_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kiln/v1/deployments.pb.h"

namespace kiln::cli {

// As many customers as the contract takes in one batch, and far more bytes than they need.
inline constexpr size_t kMaxListedCustomers = 1000;
inline constexpr size_t kMaxCustomerListBytes = size_t{1} << 20;

struct ListedCustomer {
  v1::Customer customer;
  int line = 0;  // of the file, from 1
};

// A table of customers as spreadsheets save it: CSV (RFC 4180) in UTF-8, with or without a byte
// order mark, separated by commas, semicolons or tabs. The first line names the columns, in any
// order: organization, customer_id, application_name, and expiry_date, which may be missing; others
// are refused. Empty lines count as lines only. INVALID_ARGUMENT names `source` and the line.
absl::StatusOr<std::vector<ListedCustomer>> ParseCustomerList(absl::string_view text,
                                                              const std::string& source);

}  // namespace kiln::cli

#endif  // KILN_CLIENTS_CLI_CUSTOMER_LIST_H_
