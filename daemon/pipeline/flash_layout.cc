#include "daemon/pipeline/flash_layout.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kiln::pipeline {

std::string ImagePiece::CacheKey() const {
  return absl::StrCat(image->sha256, ":", begin, "+", size);
}

std::vector<ImagePiece> PiecesAround(const firmware::Bundle& bundle,
                                     const firmware::Partition& identity) {
  // 64 bits, so that no sum of two untrusted numbers wraps.
  const uint64_t hole_begin = identity.offset;
  const uint64_t hole_end = hole_begin + identity.size;
  std::vector<ImagePiece> pieces;
  for (const firmware::BundleImage& image : bundle.images) {
    const uint64_t begin = image.offset;
    const uint64_t end = begin + image.size;
    const auto add = [&](uint64_t from, uint64_t to) {
      if (from >= to) return;
      pieces.push_back({.image = &image,
                        .begin = static_cast<uint32_t>(from - begin),
                        .size = static_cast<uint32_t>(to - from)});
    };
    if (end <= hole_begin || begin >= hole_end) {
      add(begin, end);
    } else {
      add(begin, std::min(end, hole_begin));
      add(std::max(begin, hole_end), end);
    }
  }
  return pieces;
}

}  // namespace kiln::pipeline
