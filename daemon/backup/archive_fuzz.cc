#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "daemon/backup/archive.h"
#include "daemon/backup/contents.h"

// A whole archive, packed or not: zlib reads what is not packed as it is, so that the fuzzer need
// not learn gzip's sums to reach the tar file in it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kiln;
  const base::UniqueFd fd(::memfd_create("archive", MFD_CLOEXEC));
  if (!fd.valid() || ::write(fd.get(), data, size) != static_cast<ssize_t>(size)) return 0;
  const auto archive = backup::ArchiveReader::Open(absl::StrCat("/proc/self/fd/", fd.get()));
  if (!archive.ok()) return 0;
  const auto check_name = [](const std::string& name) -> absl::StatusOr<backup::ContentSink> {
    // What would be opened below the state folder.
    if (!backup::IsBackupName(name) || name[0] == '/' || name.find("/.") != std::string::npos) {
      __builtin_trap();
    }
    return backup::ContentSink();
  };
  (void)backup::ReadBackup(**archive, {}, check_name);
  return 0;
}
