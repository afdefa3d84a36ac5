#include <cstddef>
#include <cstdint>

#include "base/digest.h"
#include "daemon/firmware/bundle_checks.h"
#include "daemon/firmware/importer.h"
#include "daemon/firmware/package.h"

// The whole way of an import up to the store: unpacking, the importers, the checks.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kiln::firmware;
  const ImportLimits limits{
      .max_package_bytes = 1 << 20, .max_unpacked_bytes = 4 << 20, .max_files = 50};
  const ImportRequest request{.file_name = "fuzz"};
  const auto package = Package::Open(kiln::base::AsChars({data, size}), request.file_name, limits);
  if (!package.ok()) return 0;
  const auto imported = ImportPackage(*package, request);
  if (!imported.ok()) return 0;
  const auto checked = CheckFirmware(*imported, request.chip);
  if (checked.ok() && (checked->images.size() < 3 || checked->partitions.empty())) {
    __builtin_trap();
  }
  return 0;
}
