#include "firmware/hello-c3/partition_table.h"

#include "firmware/hello-c3/bytes.h"

// ESP-IDF Programming Guide, "Partition Tables": entries of 32 bytes, magic AA 50.
enum { kEntrySize = 32, kMagic = 0x50AA, kTypeData = 1, kSubtypeNvs = 2 };
#define REACH 0x1000000u
#define PAGE_MASK 0xFFFu

int find_nvs_partition(const uint8_t* table, uint32_t table_size, uint32_t* offset,
                       uint32_t* size) {
  for (uint32_t at = 0; table_size - at >= kEntrySize; at += kEntrySize) {
    const uint8_t* entry = table + at;
    if (load_le16(entry) != kMagic) return 0;
    if (entry[2] != kTypeData || entry[3] != kSubtypeNvs) continue;
    *offset = load_le32(entry + 4);
    *size = load_le32(entry + 8);
    return *size != 0 && ((*offset | *size) & PAGE_MASK) == 0 && *offset < REACH &&
           *size <= REACH - *offset;
  }
  return 0;
}
