#ifndef KILN_DAEMON_PIPELINE_FLASH_LAYOUT_H_
#define KILN_DAEMON_PIPELINE_FLASH_LAYOUT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/firmware/bundle.h"

namespace kiln::pipeline {

// A part of a bundle's image that goes to flash as one region.
struct ImagePiece {
  const firmware::BundleImage* image;  // of the bundle that was given
  uint32_t begin;                      // within the image, in bytes
  uint32_t size;

  uint32_t flash_offset() const { return image->offset + begin; }
  // Names the piece's content, for the image cache.
  std::string CacheKey() const;
};

// What of the bundle's images is written beside the identity: everything that does not lie in
// `identity`. A merged image usually covers the NVS partition with filler and is cut around it.
// Ascending, without overlap.
std::vector<ImagePiece> PiecesAround(const firmware::Bundle& bundle,
                                     const firmware::Partition& identity);

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_FLASH_LAYOUT_H_
