#ifndef KILN_BASE_LITTLE_ENDIAN_H_
#define KILN_BASE_LITTLE_ENDIAN_H_

#include <cstdint>
#include <cstring>

namespace kiln::base {

// Loads and stores of little-endian integers at any alignment; the caller has
// checked the length. All ESP32 wire and flash formats are little-endian, and
// so is every host Kiln supports.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

template <typename T>
T LoadLe(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}
inline uint16_t LoadLe16(const uint8_t* bytes) { return LoadLe<uint16_t>(bytes); }
inline uint32_t LoadLe32(const uint8_t* bytes) { return LoadLe<uint32_t>(bytes); }

template <typename T>
void StoreLe(uint8_t* bytes, T value) {
  std::memcpy(bytes, &value, sizeof(value));
}
inline void StoreLe16(uint8_t* bytes, uint16_t value) { StoreLe(bytes, value); }
inline void StoreLe32(uint8_t* bytes, uint32_t value) { StoreLe(bytes, value); }

// Appends `value` to a byte container (std::vector<uint8_t> or std::string).
template <typename T, typename Container>
void AppendLe(Container& out, T value) {
  uint8_t bytes[sizeof(T)];
  StoreLe(bytes, value);
  out.insert(out.end(), bytes, bytes + sizeof(T));
}

}  // namespace kiln::base

#endif  // KILN_BASE_LITTLE_ENDIAN_H_
