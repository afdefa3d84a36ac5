#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "daemon/identity/identity.h"
#include "daemon/pipeline/deployment_context.h"
#include "daemon/pipeline/flash_layout.h"
#include "errors/error.h"

namespace kiln::pipeline {
namespace {

using errors::ErrorCode;
using errors::MakeError;

absl::StatusOr<std::vector<uint8_t>> LoadPiece(const firmware::BundleStore& bundles,
                                               const ImagePiece& piece) {
  ASSIGN_OR_RETURN(std::vector<uint8_t> bytes, bundles.LoadImage(*piece.image));
  if (bytes.size() < size_t{piece.begin} + piece.size) {
    return MakeError(ErrorCode::kBundleDamaged,
                     absl::StrCat("image ", piece.image->label, " has ", bytes.size(),
                                  " bytes; the manifest says ", piece.image->size));
  }
  if (piece.begin == 0 && piece.size == bytes.size()) return bytes;
  return std::vector<uint8_t>(bytes.begin() + piece.begin,
                              bytes.begin() + piece.begin + piece.size);
}

}  // namespace

// Loads and compresses the bundle's images, or takes them from a port that has them already. The
// identity follows after identify, because it holds the MAC; but whether it can be made at all is
// asked here, before a board is touched.
absl::Status RunPrepare(DeploymentContext& context) {
  const PipelineParts& parts = context.shared.parts;
  ASSIGN_OR_RETURN(context.bundle, parts.bundles->Get(context.row.bundle_id));
  const firmware::Partition* identity = context.bundle.identity_partition();
  if (identity == nullptr) {
    return MakeError(ErrorCode::kIdentityDoesNotFit,
                     absl::StrCat("bundle ", context.bundle.id, " has no NVS partition"));
  }
  // Any MAC is as long as any other.
  constexpr char kSomeMac[] = "00:00:00:00:00:00";
  const identity::IdentityOptions& options = context.shared.options.identity;
  identity::Identity sample;
  ASSIGN_OR_RETURN(sample.wifi_ssid, identity::MakeSsid(options, context.customer(), kSomeMac));
  sample.wifi_password = std::string(static_cast<size_t>(options.password_length), 'x');
  RETURN_IF_ERROR(identity::BuildIdentityPartition(options, context.customer(), sample, kSomeMac,
                                                   context.row.id, context.bundle.nvs_values,
                                                   identity->size)
                      .status());
  context.images.clear();
  const std::vector<ImagePiece> pieces = PiecesAround(context.bundle, *identity);
  for (size_t i = 0; i < pieces.size(); ++i) {
    RETURN_IF_ERROR(context.stop.Check());
    const ImagePiece& piece = pieces[i];
    ASSIGN_OR_RETURN(ImageCache::Image image, context.shared.images.Get(piece.CacheKey(), [&] {
      return LoadPiece(*parts.bundles, piece);
    }));
    context.images.push_back(
        {.label = piece.image->label, .offset = piece.flash_offset(), .image = std::move(image)});
    context.progress.Report(i + 1, pieces.size());
  }
  return absl::OkStatus();
}

}  // namespace kiln::pipeline
