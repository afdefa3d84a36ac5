#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "daemon/esp/image/image_header.h"
#include "daemon/esp/image/partition_table.h"

// The first byte chooses the parser, the rest is its input.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::Span<const uint8_t> input(data + 1, size - 1);
  if (data[0] % 2 == 0) {
    if (const auto facts = kiln::esp::ParseImage(input);
        facts.ok() && facts->total_bytes > input.size()) {
      __builtin_trap();
    }
  } else {
    if (const auto table = kiln::esp::ParsePartitionTable(input); table.ok()) {
      for (const auto& entry : table->entries) {
        if (entry.end() > kiln::esp::kMaxFlashBytes) __builtin_trap();
      }
    }
  }
  return 0;
}
