#ifndef KILN_DAEMON_FIRMWARE_TESTING_PACKAGE_BUILDER_H_
#define KILN_DAEMON_FIRMWARE_TESTING_PACKAGE_BUILDER_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/image/testing/image_builder.h"

// Makes packages as they come from outside, for tests and demonstrations.

namespace kiln::firmware::testing {

// Paths and contents, in the zip's order.
using ZipFiles = std::vector<std::pair<std::string, std::string>>;

// Writes any paths, however wrong they are: the zip is made by hand, so hostile ones are possible.
struct ZipOptions {
  bool deflate = true;
  bool encrypted_flag = false;           // marks entries as encrypted (traditional PKWARE)
  bool symlinks = false;                 // marks entries as symbolic links
  uint16_t compression_method = 0xFFFF;  // 0xFFFF: the true one
};
std::string BuildZip(const ZipFiles& files, const ZipOptions& options = {});

std::string ToString(const std::vector<uint8_t>& bytes);

// A valid package of each kind, of the same firmware.
ZipFiles IdfFiles(const esp::testing::TestFirmware& firmware);
ZipFiles PlatformioFiles(const esp::testing::TestFirmware& firmware);
ZipFiles WebToolsFiles(const esp::testing::TestFirmware& firmware);

}  // namespace kiln::firmware::testing

#endif  // KILN_DAEMON_FIRMWARE_TESTING_PACKAGE_BUILDER_H_
