#include "daemon/esp/region_writer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "daemon/esp/loader_client.h"
#include "daemon/esp/loader_link.h"
#include "daemon/esp/loader_protocol.h"
#include "daemon/esp/prepared_image.h"
#include "daemon/esp/write_plan.h"
#include "errors/error.h"

namespace kiln::esp {
namespace {

using errors::ErrorCode;

// A stub may erase one block for each window it inflates, and one ahead.
constexpr uint32_t kInflateWindowBytes = 32 * 1024;
constexpr uint32_t kEraseBlockBytes = 64 * 1024;

}  // namespace

absl::Status RegionWriter::CheckMd5(const FlashRegion& region, absl::Duration patience) {
  const uint32_t size = static_cast<uint32_t>(region.image->padded().size());
  ASSIGN_OR_RETURN(const base::Md5Digest digest, loader_.FlashMd5(region.offset, size, patience));
  if (digest == region.image->md5()) return absl::OkStatus();
  return errors::MakeError(
      ErrorCode::kFlashVerifyFailed,
      absl::StrFormat("%s at 0x%x: the chip has MD5 %s, the image %s", region.label, region.offset,
                      base::HexOf(digest), base::HexOf(region.image->md5())));
}

absl::Status RegionWriter::Verify(const FlashRegion& region) {
  return CheckMd5(region, absl::ZeroDuration());
}

absl::StatusOr<base::Md5Digest> RegionWriter::Md5On(const FlashRegion& region, Extent extent) {
  return loader_.FlashMd5(region.offset + extent.begin, extent.size());
}

absl::StatusOr<RegionState> RegionWriter::Compare(const FlashRegion& region) {
  const PreparedImage& image = *region.image;
  RegionState state;
  state.size = static_cast<uint32_t>(image.padded().size());
  state.content_end = image.content_end();
  const Extent all = {0, state.size};
  const Extent content = {0, state.content_end};
  const Extent tail = {state.content_end, state.size};
  const std::vector<Extent> segments = state.content_end <= kSegmentBytes
                                           ? std::vector<Extent>{content}
                                           : SegmentsOf(region.offset, state.content_end);

  // Hashing a MiB takes a chip a tenth of a second or more. So a large region is first judged by
  // its beginning: where that is blank, nothing has been written yet; only where it is right may
  // all of it be.
  bool first_differs = false;
  if (segments.size() > 1) {
    const Extent& first = segments.front();
    ASSIGN_OR_RETURN(const base::Md5Digest digest, Md5On(region, first));
    first_differs = digest != image.Md5Of(first.begin, first.end);
    if (first_differs && digest == BlankMd5(first.size())) state.different.push_back(content);
  }
  if (!first_differs) {
    ASSIGN_OR_RETURN(const base::Md5Digest digest, Md5On(region, all));
    if (digest == image.md5()) {
      state.different.clear();
      state.tail_blank = true;
      return state;
    }
    state.blank = digest == BlankMd5(all.size());
    if (state.blank) return state;
  }
  if (tail.size() > 0) {
    ASSIGN_OR_RETURN(const base::Md5Digest digest, Md5On(region, tail));
    state.tail_blank = digest == BlankMd5(tail.size());
  }
  if (!state.different.empty()) return state;
  if (segments.size() == 1) {
    if (content.size() > 0) state.different.push_back(content);
    return state;
  }
  if (first_differs) state.different.push_back(segments.front());
  for (size_t i = 1; i < segments.size(); ++i) {
    ASSIGN_OR_RETURN(const base::Md5Digest digest, Md5On(region, segments[i]));
    if (digest != image.Md5Of(segments[i].begin, segments[i].end)) {
      state.different.push_back(segments[i]);
    }
    if (MostlyDifferent(state.different.size(), segments.size())) {
      state.different = {content};
      break;
    }
  }
  return state;
}

absl::Status RegionWriter::Write(const FlashRegion& region, RegionProgress progress,
                                 WriteCounters& counters) {
  ASSIGN_OR_RETURN(const RegionState state, Compare(region));
  const RegionWrites plan = PlanWrites(state, loader_.stub());
  if (plan.writes.empty() && !plan.erase.has_value() && !state.blank) {
    progress(region.image->size());
    return absl::OkStatus();
  }
  const auto image_bytes = [&](Extent extent) {
    return std::min(extent.end, region.image->size()) -
           std::min(extent.begin, region.image->size());
  };
  uint32_t done = region.image->size();
  for (const Extent& extent : plan.writes) done -= image_bytes(extent);
  progress(done);

  last_patience_ = absl::ZeroDuration();
  if (plan.erase.has_value()) {
    RETURN_IF_ERROR(loader_.EraseRegion(region.offset + plan.erase->begin, plan.erase->size()))
        << region.label;
    counters.written_bytes += image_bytes(*plan.erase);
  }
  for (const Extent& extent : plan.writes) {
    RETURN_IF_ERROR(WriteExtent(
        region, extent,
        [&](uint32_t plain) { progress(done + std::min(plain, image_bytes(extent))); }, counters))
        << absl::StrFormat("%s at 0x%x", region.label, region.offset + extent.begin);
    done += image_bytes(extent);
    counters.written_bytes += image_bytes(extent);
  }
  return CheckMd5(region, last_patience_);
}

absl::Duration RegionWriter::Patience(const DeflateStream& stream, uint32_t first_block,
                                      uint32_t last_block) const {
  const uint32_t plain = stream.PlainBytesAfter(size_t{last_block} * block_bytes_) -
                         stream.PlainBytesAfter(size_t{first_block} * block_bytes_);
  const uint32_t erases = plain / kInflateWindowBytes + 1;
  return kErasePerMebibyte * (static_cast<double>(erases) * kEraseBlockBytes / (1024 * 1024));
}

absl::Status RegionWriter::WriteExtent(const FlashRegion& region, Extent extent,
                                       RegionProgress progress, WriteCounters& counters) {
  const std::shared_ptr<const DeflateStream> stream =
      region.image->Compressed(extent.begin, extent.end);
  const absl::Span<const uint8_t> bytes = stream->bytes();
  const uint32_t blocks = static_cast<uint32_t>((bytes.size() + block_bytes_ - 1) / block_bytes_);
  RETURN_IF_ERROR(loader_.BeginCompressedWrite(extent.size(), blocks, block_bytes_,
                                               region.offset + extent.begin, extra_word_));
  const auto frame = [&](uint32_t block) {
    EncodeDataRequest(LoaderCommand::kFlashDeflData, block,
                      bytes.subspan(size_t{block} * block_bytes_, block_bytes_),
                      frames_[block % frames_.size()]);
  };
  LoaderLink& link = loader_.link();
  frame(0);
  for (uint32_t block = 0; block < blocks; ++block) {
    RETURN_IF_ERROR(link.Send(frames_[block % frames_.size()].frame()));
    counters.sent_bytes +=
        std::min<size_t>(block_bytes_, bytes.size() - size_t{block} * block_bytes_);
    // While the wire is busy. More than one block outstanding would be lost: a stub listens again
    // only when it has taken the block before.
    if (block + 1 < blocks) frame(block + 1);
    // The stub answers before it writes, so this answer waits for the block before; the ROM
    // answers afterwards.
    const absl::Duration patience = Patience(*stream, block == 0 ? 0 : block - 1, block + 1);
    // A block whose answer is lost must not be sent again: the loader may have inflated it. The
    // caller starts the region over.
    RETURN_IF_ERROR(
        link.AwaitSuccess(LoaderCommand::kFlashDeflData, 0, kDefaultTimeout + patience).status())
        << "block " << block + 1 << " of " << blocks;
    last_patience_ = patience;
    progress(stream->PlainBytesAfter(size_t{block + 1} * block_bytes_));
  }
  return absl::OkStatus();
}

}  // namespace kiln::esp
