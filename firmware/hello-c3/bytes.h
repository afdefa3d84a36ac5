#ifndef KILN_FIRMWARE_HELLO_C3_BYTES_H_
#define KILN_FIRMWARE_HELLO_C3_BYTES_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Numbers in little-endian bytes, wherever they lie.
static inline uint16_t load_le16(const uint8_t* at) { return (uint16_t)(at[0] | at[1] << 8); }
static inline uint32_t load_le32(const uint8_t* at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

// The CRC-32 of zlib and Ethernet, in pieces: feed a seed with bytes, then finish. NVS calls zlib's
// crc32() with 0xFFFFFFFF as the sum so far, which is this register at 0.
#define NVS_CRC_SEED 0u
uint32_t crc32_feed(uint32_t crc, const uint8_t* bytes, uint32_t size);
static inline uint32_t crc32_finish(uint32_t crc) { return ~crc; }

#ifdef __cplusplus
}
#endif

#endif  // KILN_FIRMWARE_HELLO_C3_BYTES_H_
