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

// A template project as zip bytes, for `kiln firmware build`: every regular file but hidden ones
// and what is in hidden folders (.pio, .git), up to eight folders deep. Errors as above.
absl::StatusOr<std::string> ZipTemplate(const std::string& folder, uint64_t max_bytes);

}  // namespace kiln::cli

#endif  // KILN_CLIENTS_CLI_ZIP_FOLDER_H_
