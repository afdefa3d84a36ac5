#ifndef KILN_CLIENTS_CLI_ZIP_FOLDER_H_
#define KILN_CLIENTS_CLI_ZIP_FOLDER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace kiln::cli {

// A firmware build folder as zip bytes, holding what the station's importers look at: .json, .bin
// and .txt files up to three folders deep. RESOURCE_EXHAUSTED above `max_bytes` of files, NOT_FOUND
// when there is nothing to take.
absl::StatusOr<std::string> ZipFolder(const std::string& folder, uint64_t max_bytes);

}  // namespace kiln::cli

#endif  // KILN_CLIENTS_CLI_ZIP_FOLDER_H_
