// The functions that GCC may call for plain C, also without a C library.

#include <stddef.h>
#include <stdint.h>

void* memset(void* to, int value, size_t size) {
  uint8_t* at = to;
  while (size-- > 0) *at++ = (uint8_t)value;
  return to;
}

void* memcpy(void* restrict to, const void* restrict from, size_t size) {
  uint8_t* at = to;
  const uint8_t* source = from;
  while (size-- > 0) *at++ = *source++;
  return to;
}
