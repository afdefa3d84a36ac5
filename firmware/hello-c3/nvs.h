#ifndef KILN_FIRMWARE_HELLO_C3_NVS_H_
#define KILN_FIRMWARE_HELLO_C3_NVS_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Reads strings from an NVS partition, format version 2, unencrypted, as ESP-IDF's nvs_flash and
// its partition generator write it (ESP-IDF Programming Guide, "Non-Volatile Storage Library").
// Needs neither a heap nor the C library, writes nothing, and takes any bytes for a partition:
// pages and entries whose checksums do not hold are passed over.

// Where the partition lies. `read` copies `size` bytes from `offset`, counted from the partition's
// start, to `to`, and answers whether it could; it is never asked for bytes beyond `size_bytes`.
struct nvs_source {
  int (*read)(void* context, uint32_t offset, void* to, uint32_t size);
  void* context;
  uint32_t size_bytes;
};

enum nvs_result {
  NVS_OK,
  NVS_NOT_FOUND,
  NVS_TOO_LONG,     // the text does not fit `out`
  NVS_READ_FAILED,  // `read` refused
};

// Copies the newest sound value of the string `key` in `name_space` to `out`, with a NUL behind it.
// In every other case `out` is the empty string. `out_size` must be at least 1.
enum nvs_result nvs_read_string(const struct nvs_source* source, const char* name_space,
                                const char* key, char* out, uint32_t out_size);

#ifdef __cplusplus
}
#endif

#endif  // KILN_FIRMWARE_HELLO_C3_NVS_H_
