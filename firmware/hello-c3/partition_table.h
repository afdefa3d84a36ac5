#ifndef KILN_FIRMWARE_HELLO_C3_PARTITION_TABLE_H_
#define KILN_FIRMWARE_HELLO_C3_PARTITION_TABLE_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Where ESP-IDF puts the table, and the most it may fill ("Partition Tables").
#define PARTITION_TABLE_OFFSET 0x8000u
#define PARTITION_TABLE_SIZE 0xC00u

// Finds the first partition of type data, subtype nvs, in the table's bytes. Answers whether there
// is one of whole pages below 16 MiB, which is what the ROM's reading reaches.
int find_nvs_partition(const uint8_t* table, uint32_t table_size, uint32_t* offset, uint32_t* size);

#ifdef __cplusplus
}
#endif

#endif  // KILN_FIRMWARE_HELLO_C3_PARTITION_TABLE_H_
