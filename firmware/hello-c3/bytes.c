#include "firmware/hello-c3/bytes.h"

uint32_t crc32_feed(uint32_t crc, const uint8_t* bytes, uint32_t size) {
  // Bit by bit: a table would be larger than the rest of the program, and a page is small.
  for (uint32_t i = 0; i < size; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) {
      crc = crc >> 1 ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
  }
  return crc;
}
