#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/types/span.h"
#include "firmware/hello-c3/partition_table.h"
#include "firmware/hello-c3/report.h"
#include "firmware/hello-c3/testing/memory_source.h"

// Whatever the flash holds: the table, the NVS pages and the report made of them.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  uint32_t offset = 0;
  uint32_t length = 0;
  if (find_nvs_partition(data, static_cast<uint32_t>(size), &offset, &length) != 0 &&
      (offset % 4096 != 0 || length == 0 || uint64_t{offset} + length > 0x1000000)) {
    __builtin_trap();
  }
  kiln::hello_c3::MemorySource source(absl::MakeConstSpan(data, size));
  constexpr uint8_t kMac[6] = {};
  char out[REPORT_SIZE];
  std::memset(out, '#', sizeof out);
  const int complete = write_report(source.get(), kMac, "fuzz", out);
  const void* end = std::memchr(out, '\0', sizeof out);
  if (end == nullptr || (complete != 0) != (out[0] == '{')) __builtin_trap();
  // One line, whatever it says.
  if (std::strpbrk(out, "\r\n") != nullptr) __builtin_trap();
  return 0;
}
