#include "daemon/esp/flasher.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/chip_detection.h"
#include "daemon/esp/connector.h"
#include "daemon/esp/flash_attach.h"
#include "daemon/esp/loader_client.h"
#include "daemon/esp/loader_link.h"
#include "daemon/esp/loader_traits.h"
#include "daemon/esp/port_profile.h"
#include "daemon/esp/prepared_image.h"
#include "daemon/esp/region_writer.h"
#include "daemon/esp/reset.h"
#include "daemon/esp/stub_store.h"
#include "daemon/ports/byte_stream.h"
#include "errors/error.h"

namespace kiln::esp {
namespace {

using errors::ErrorCode;

// How often one region, one look at the board, or one comparison is tried on a bad line.
constexpr int kTries = 3;
// Rates to fall back to when the wanted one does not carry.
constexpr uint32_t kLowerRates[] = {921600, 460800, 230400};
constexpr int kRateProbes = 3;
constexpr absl::Duration kRateProbeTimeout = absl::Milliseconds(100);
// So often may one region be in trouble at a rate before a lower one is tried.
constexpr int kTroublesPerRate = 2;

uint32_t WantedRate(const FlasherOptions& options) {
  const bool own = options.profile != nullptr && options.profile->settings().baud_rate != 0;
  return std::max(own ? options.profile->settings().baud_rate : options.baud_rate,
                  kFirstContactBaudRate);
}

class FlasherImpl final : public Flasher {
 public:
  FlasherImpl(ports::ByteStream& stream, base::Clock& clock, const base::Cancellation& cancellation,
              const FlasherOptions& options)
      : link_(stream, clock, cancellation),
        loader_(link_),
        connector_(loader_, options.profile),
        stubs_(options.stubs),
        profile_(options.profile),
        rate_(WantedRate(options)) {}

  absl::Status Connect() override {
    connected_ = false;
    facts_.reset();
    RETURN_IF_ERROR(link_.CheckCancelled());
    if (!rate_chosen_ && profile_ != nullptr) rate_ = profile_->RateToTry(rate_);
    rate_chosen_ = true;
    RETURN_IF_ERROR(connector_.Connect(rate_));
    connected_ = true;
    return absl::OkStatus();
  }

  absl::StatusOr<BoardFacts> Identify() override {
    RETURN_IF_ERROR(link_.CheckCancelled());
    if (!connected_) return absl::FailedPreconditionError("Identify before Connect");
    facts_.reset();
    RETURN_IF_ERROR(WithRecovery([this] { return LookAndPrepare(); },
                                 [this] { return connector_.ResetIntoLoader(); }));
    return *facts_;
  }

  absl::StatusOr<FlashResult> Flash(const FlashPlan& plan,
                                    const ProgressCallback& progress) override;
  absl::Status Verify(const FlashPlan& plan, const ProgressCallback& progress) override;
  absl::Status Boot() override;
  absl::StatusOr<bool> LoaderAnswers() override;

 private:
  // Runs `work` up to kTries times, with `recover` between tries, as long as it fails by trouble on
  // the line.
  absl::Status WithRecovery(absl::FunctionRef<absl::Status()> work,
                            absl::FunctionRef<absl::Status()> recover);
  // Detects the chip, refuses a secured one, and makes everything ready for writing.
  absl::Status LookAndPrepare();
  absl::Status RaiseRate(Chip chip);
  // What is above the next rate below `failed` is given up, for this board and the next ones.
  void StepDownFrom(uint32_t failed);
  absl::Status StartStub(const DetectedChip& detected);
  // Gets a loader to answer again in the middle of the work: the present one, or after a reset
  // the same board's ROM.
  absl::Status Recover();
  absl::Status CheckPlan(const FlashPlan& plan) const;
  absl::Status FlashRegionWithRetries(const FlashRegion& region, RegionProgress progress,
                                      WriteCounters& counters);
  RegionWriter MakeWriter();

  LoaderLink link_;
  LoaderClient loader_;
  LoaderConnector connector_;
  const StubStore* const stubs_;
  PortProfile* const profile_;
  uint32_t rate_;  // what to go up to; lowered when it did not carry
  bool rate_chosen_ = false;
  int troubles_ = 0;  // with the present region at the present rate
  bool stub_failed_ = false;
  bool connected_ = false;
  std::optional<BoardFacts> facts_;
};

absl::Status FlasherImpl::WithRecovery(absl::FunctionRef<absl::Status()> work,
                                       absl::FunctionRef<absl::Status()> recover) {
  for (int i = 1;; ++i) {
    absl::Status status = work();
    if (i == kTries || !IsLineTrouble(status)) return status;
    RETURN_IF_ERROR(recover()) << "after: " << std::string(status.message());
  }
}

absl::Status FlasherImpl::LookAndPrepare() {
  ASSIGN_OR_RETURN(const DetectedChip detected, DetectChip(loader_));
  if (facts_.has_value() && (facts_->mac != detected.mac || facts_->chip != detected.chip)) {
    return errors::MakeError(
        ErrorCode::kBoardSwapped,
        absl::StrCat("began with ", FormatMac(facts_->mac), ", now ", FormatMac(detected.mac)));
  }
  RETURN_IF_ERROR(CheckUnsecured(detected));
  if (link_.traits().kind == ports::LinkKind::kUsbSerialJtag) {
    RETURN_IF_ERROR(StopWatchdogs(loader_, detected.chip)) << "stopping the watchdogs";
  }
  RETURN_IF_ERROR(RaiseRate(detected.chip));
  RETURN_IF_ERROR(StartStub(detected));
  ASSIGN_OR_RETURN(const AttachedFlash flash, AttachFlash(loader_, detected.chip));
  BoardFacts facts;
  facts.chip = detected.chip;
  facts.mac = detected.mac;
  facts.flash_size_bytes = flash.size_bytes;
  facts.flash_jedec_id = flash.jedec_id;
  facts.stub_running = loader_.stub();
  facts_ = facts;
  return absl::OkStatus();
}

absl::Status FlasherImpl::RaiseRate(Chip chip) {
  if (!link_.traits().has_baud_rate) return absl::OkStatus();
  while (rate_ > link_.baud_rate()) {
    ASSIGN_OR_RETURN(const uint32_t loader_rate, FindRomBaudRate(loader_, chip, rate_));
    const uint32_t before = link_.baud_rate();
    absl::Status status = loader_.ChangeBaudRate(loader_rate, rate_);
    // A loader that refuses stays where it is, and so do we.
    if (errors::Is(status, ErrorCode::kProtocolError) && link_.baud_rate() == before) {
      rate_ = before;
      return absl::OkStatus();
    }
    for (int i = 0; i < kRateProbes && link_.baud_rate() == rate_; ++i) {
      status = loader_.ReadRegister(kMagicRegister, kRateProbeTimeout).status();
      // Even a refusal arrived legibly.
      if (status.ok() || errors::Is(status, ErrorCode::kProtocolError)) return absl::OkStatus();
      if (!IsLineTrouble(status)) return status;
    }
    if (!IsLineTrouble(status) && !errors::Is(status, ErrorCode::kBaudRateUnsupported)) {
      return status;
    }
    // Nothing legible at this rate, or none that the adapter makes: begin anew and stay lower.
    StepDownFrom(rate_);
    RETURN_IF_ERROR(connector_.ResetIntoLoader()) << "after a change of the baud rate";
  }
  return absl::OkStatus();
}

void FlasherImpl::StepDownFrom(uint32_t failed) {
  const auto* const lower = std::find_if(std::begin(kLowerRates), std::end(kLowerRates),
                                         [failed](uint32_t rate) { return rate < failed; });
  rate_ = lower == std::end(kLowerRates) ? kFirstContactBaudRate : *lower;
  troubles_ = 0;
  if (profile_ != nullptr) profile_->RateFailed(rate_);
}

absl::Status FlasherImpl::StartStub(const DetectedChip& detected) {
  if (loader_.stub() || stubs_ == nullptr || stub_failed_) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string name, FindStubName(loader_, detected));
  const StubImage* const stub = stubs_->Find(name);
  if (stub == nullptr) return absl::OkStatus();
  const uint32_t block = link_.traits().kind == ports::LinkKind::kUsbOtg
                             ? std::min(kMemoryBlock, kUsbOtgBlockCap)
                             : kMemoryBlock;
  absl::Status status = loader_.RunStub(*stub, block);
  if (!IsLineTrouble(status)) return status;
  // The ROM does everything too, slower.
  stub_failed_ = true;
  RETURN_IF_ERROR(connector_.ResetIntoLoader())
      << "the stub does not start (" << std::string(status.message()) << ")";
  return RaiseRate(detected.chip);
}

absl::Status FlasherImpl::Recover() {
  // A rate may carry short requests and break down under load.
  const bool too_fast = link_.traits().has_modem_lines &&
                        link_.baud_rate() > kFirstContactBaudRate &&
                        ++troubles_ >= kTroublesPerRate;
  if (too_fast) {
    StepDownFrom(link_.baud_rate());
  } else {
    const bool was_stub = loader_.stub();
    absl::Status status = connector_.Resynchronise();
    if (status.ok() && loader_.stub() == was_stub) return absl::OkStatus();
    if (!status.ok() && !IsLineTrouble(status)) return status;
  }
  RETURN_IF_ERROR(connector_.ResetIntoLoader());
  return WithRecovery([this] { return LookAndPrepare(); },
                      [this] { return connector_.ResetIntoLoader(); });
}

absl::Status FlasherImpl::CheckPlan(const FlashPlan& plan) const {
  uint64_t end = 0;
  for (const FlashRegion& region : plan) {
    if (region.image == nullptr || region.offset % kFlashSectorBytes != 0 || region.offset < end) {
      return absl::InvalidArgumentError(
          absl::StrFormat("plan: \"%s\" at 0x%x has no image, starts within a sector or overlaps",
                          region.label, region.offset));
    }
    // The last sector is erased whole.
    end = (uint64_t{region.offset} + region.image->padded().size() + kFlashSectorBytes - 1) /
          kFlashSectorBytes * kFlashSectorBytes;
    if (end > facts_->flash_size_bytes) {
      return errors::MakeError(ErrorCode::kFlashTooSmall,
                               absl::StrFormat("%s ends at 0x%x, the flash at 0x%x", region.label,
                                               end, facts_->flash_size_bytes));
    }
  }
  return absl::OkStatus();
}

RegionWriter FlasherImpl::MakeWriter() {
  uint32_t block = loader_.stub() ? kStubFlashBlock : kRomFlashBlock;
  if (link_.traits().kind == ports::LinkKind::kUsbOtg) block = std::min(block, kUsbOtgBlockCap);
  return RegionWriter(loader_, block, LoaderTraitsOf(facts_->chip).begin_has_extra_word);
}

absl::Status FlasherImpl::FlashRegionWithRetries(const FlashRegion& region, RegionProgress progress,
                                                 WriteCounters& counters) {
  absl::Status last;
  troubles_ = 0;
  for (int i = 1, mismatches = 0; i <= kTries; ++i) {
    // Recovery may have changed the loader, and with it the block size.
    RegionWriter writer = MakeWriter();
    last = writer.Write(region, progress, counters);
    const bool mismatch = errors::Is(last, ErrorCode::kFlashVerifyFailed);
    if (mismatch && ++mismatches == 2) return last;
    if (!mismatch && !IsLineTrouble(last)) return last;
    if (i < kTries) {
      RETURN_IF_ERROR(Recover()) << "after: " << std::string(last.message());
    }
  }
  if (errors::Is(last, ErrorCode::kFlashVerifyFailed)) return last;
  return errors::MakeError(
      ErrorCode::kFlashWriteFailed,
      absl::StrCat(region.label, ", ", kTries, " tries: ", std::string(last.message())));
}

absl::StatusOr<FlashResult> FlasherImpl::Flash(const FlashPlan& plan,
                                               const ProgressCallback& progress) {
  RETURN_IF_ERROR(link_.CheckCancelled());
  if (!facts_.has_value()) return absl::FailedPreconditionError("Flash before Identify");
  RETURN_IF_ERROR(CheckPlan(plan));
  FlashResult result;
  for (const FlashRegion& region : plan) result.image_bytes += region.image->size();
  FlashProgress report = {0, result.image_bytes};
  uint64_t finished = 0;
  for (const FlashRegion& region : plan) {
    WriteCounters counters;
    RETURN_IF_ERROR(FlashRegionWithRetries(
        region,
        [&](uint32_t done) {
          // A region that starts over does not take progress back.
          report.done_bytes = std::max(report.done_bytes, finished + done);
          if (progress) progress(report);
        },
        counters));
    finished += region.image->size();
    result.written_bytes += std::min<uint64_t>(counters.written_bytes, region.image->size());
    result.sent_bytes += counters.sent_bytes;
  }
  result.baud_rate = link_.traits().has_baud_rate ? link_.baud_rate() : 0;
  result.stub = loader_.stub();
  if (profile_ != nullptr && result.sent_bytes > 0) profile_->RateWorked(result.baud_rate);
  return result;
}

absl::Status FlasherImpl::Verify(const FlashPlan& plan, const ProgressCallback& progress) {
  RETURN_IF_ERROR(link_.CheckCancelled());
  if (!facts_.has_value()) return absl::FailedPreconditionError("Verify before Identify");
  RETURN_IF_ERROR(CheckPlan(plan));
  FlashProgress report;
  for (const FlashRegion& region : plan) report.total_bytes += region.image->size();
  for (const FlashRegion& region : plan) {
    RETURN_IF_ERROR(
        WithRecovery([&] { return MakeWriter().Verify(region); }, [&] { return Recover(); }));
    report.done_bytes += region.image->size();
    if (progress) progress(report);
  }
  return absl::OkStatus();
}

absl::Status FlasherImpl::Boot() {
  RETURN_IF_ERROR(link_.CheckCancelled());
  const ports::LinkTraits traits = link_.traits();
  if (!traits.has_modem_lines) {
    const bool extra_word = facts_.has_value() && LoaderTraitsOf(facts_->chip).begin_has_extra_word;
    RETURN_IF_ERROR(loader_.LeaveLoader(extra_word));
    RETURN_IF_ERROR(link_.stream().Drain(kDefaultTimeout));
  } else if (traits.kind == ports::LinkKind::kUsbSerialJtag ||
             traits.kind == ports::LinkKind::kUsbOtg) {
    const uint32_t force_download =
        facts_.has_value() ? LoaderTraitsOf(facts_->chip).force_download_register : 0;
    if (force_download != 0) {
      absl::Status status = loader_.WriteRegister(force_download, 0, 1);
      // Without an answer the reset is still worth trying.
      if (!status.ok() && !IsLineTrouble(status)) return status;
    }
  }
  bool resets_itself = false;
  if (traits.kind == ports::LinkKind::kUsbOtg && facts_.has_value() &&
      LoaderTraitsOf(facts_->chip).leaves_usb_otg_by_watchdog) {
    absl::Status status = ResetByWatchdog(loader_, facts_->chip);
    const bool left = errors::Is(status, ErrorCode::kBoardUnplugged);
    if (!status.ok() && !left && !IsLineTrouble(status)) return status;
    // A loader that does not answer may still hear the lines.
    resets_itself = status.ok() || left;
  }
  connected_ = false;
  facts_.reset();
  // There is no rate to set, and perhaps nothing to set it at any more.
  if (resets_itself) return absl::OkStatus();
  RETURN_IF_ERROR(link_.SetBaudRate(kFirstContactBaudRate));
  // Without lines the program is on its way already, and what it says is the caller's.
  if (!traits.has_modem_lines) return absl::OkStatus();
  RETURN_IF_ERROR(link_.DiscardInput());
  return RunResetSequence(HardReset(traits), link_.stream(), link_.clock());
}

absl::StatusOr<bool> FlasherImpl::LoaderAnswers() {
  RETURN_IF_ERROR(link_.CheckCancelled());
  absl::Status status = connector_.Resynchronise();
  if (status.ok()) return true;
  if (IsLineTrouble(status)) return false;
  return status;
}

}  // namespace

std::unique_ptr<Flasher> Flasher::Create(ports::ByteStream& stream, base::Clock& clock,
                                         const base::Cancellation& cancellation,
                                         const FlasherOptions& options) {
  return std::make_unique<FlasherImpl>(stream, clock, cancellation, options);
}

}  // namespace kiln::esp
