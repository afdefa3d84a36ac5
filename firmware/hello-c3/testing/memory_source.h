#ifndef KILN_FIRMWARE_HELLO_C3_TESTING_MEMORY_SOURCE_H_
#define KILN_FIRMWARE_HELLO_C3_TESTING_MEMORY_SOURCE_H_

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "absl/types/span.h"
#include "firmware/hello-c3/nvs.h"

namespace kiln::hello_c3 {

// An NVS partition in memory, for tests. Ends the program when it is asked for bytes that the
// partition does not have. One thread at a time; the bytes must outlive it.
class MemorySource {
 public:
  explicit MemorySource(absl::Span<const uint8_t> bytes)
      : bytes_(bytes), source_{&MemorySource::Read, this, static_cast<uint32_t>(bytes.size())} {}
  MemorySource(const MemorySource&) = delete;
  MemorySource& operator=(const MemorySource&) = delete;

  const nvs_source* get() const { return &source_; }
  // After so many readings, none works any more.
  void FailAfter(int reads) { reads_left_ = reads; }

 private:
  static int Read(void* context, uint32_t offset, void* to, uint32_t size) {
    auto* self = static_cast<MemorySource*>(context);
    if (offset > self->bytes_.size() || size > self->bytes_.size() - offset) std::abort();
    if (self->reads_left_ == 0) return 0;
    if (self->reads_left_ > 0) --self->reads_left_;
    std::memcpy(to, self->bytes_.data() + offset, size);
    return 1;
  }

  const absl::Span<const uint8_t> bytes_;
  int reads_left_ = -1;
  const nvs_source source_;
};

}  // namespace kiln::hello_c3

#endif  // KILN_FIRMWARE_HELLO_C3_TESTING_MEMORY_SOURCE_H_
