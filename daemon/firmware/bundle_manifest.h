#ifndef KILN_DAEMON_FIRMWARE_BUNDLE_MANIFEST_H_
#define KILN_DAEMON_FIRMWARE_BUNDLE_MANIFEST_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "daemon/firmware/bundle.h"

// The manifest of a stored bundle as JSON. Pure functions.

namespace kiln::firmware {

inline constexpr size_t kMaxManifestBytes = size_t{4} << 20;

// The bundle's id: the SHA-256, in hexadecimal, of the chip's name, every image's offset, size and
// digest, and every NVS value. Reads nothing else of the bundle.
std::string BundleId(const Bundle& bundle);

std::string EncodeManifest(const Bundle& bundle);

// INVALID_ARGUMENT when `text` is no manifest, or its content does not give the id it claims.
absl::StatusOr<Bundle> DecodeManifest(absl::string_view text);

// Exactly 64 digits of lower-case hexadecimal.
bool IsDigestText(absl::string_view text);

}  // namespace kiln::firmware

#endif  // KILN_DAEMON_FIRMWARE_BUNDLE_MANIFEST_H_
