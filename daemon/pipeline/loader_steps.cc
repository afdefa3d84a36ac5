#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "daemon/esp/chip.h"
#include "daemon/identity/identity.h"
#include "daemon/pipeline/board_arrival.h"
#include "daemon/pipeline/deployment_context.h"
#include "daemon/pipeline/order.h"
#include "errors/error.h"
#include "google/protobuf/util/time_util.h"

namespace kiln::pipeline {
namespace {

using errors::ErrorCode;
using errors::MakeError;

// How many successes of one board at one port are looked at; nobody makes a board so often.
constexpr int kMostSuccessesOfABoard = 100;

// The checks that keep a bundle from the wrong board. Nothing has been written before they pass.
absl::Status CheckBoard(const DeploymentContext& context, const esp::BoardFacts& facts) {
  if (facts.chip != context.bundle.chip) {
    return MakeError(ErrorCode::kChipMismatch,
                     absl::StrCat("the board has an ", esp::TraitsOf(facts.chip).name,
                                  ", the bundle is for ", esp::TraitsOf(context.bundle.chip).name));
  }
  uint64_t end = 0;
  for (const firmware::BundleImage& image : context.bundle.images) {
    end = std::max(end, uint64_t{image.offset} + image.size);
  }
  const firmware::Partition* identity = context.bundle.identity_partition();
  if (identity != nullptr) end = std::max(end, uint64_t{identity->offset} + identity->size);
  if (end > facts.flash_size_bytes) {
    return MakeError(
        ErrorCode::kFlashTooSmall,
        absl::StrCat("the bundle ends at ", end, " bytes, the flash has ", facts.flash_size_bytes));
  }
  return absl::OkStatus();
}

// An order for any board takes no finished product, however it came to be at its port: plugged in
// again, or there since before the station's restart. The ledger knows it by its MAC.
absl::Status CheckNotFinished(DeploymentContext& context, const std::string& mac) {
  if (context.row.requested_port != kAnyPort || context.details.bound() ||
      context.shared.options.any_takes_used_boards) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::vector<storage::Deployment> finished,
                   context.shared.parts.ledger->ListDeployments(
                       {.states = {storage::DeploymentState::kSucceeded}, .mac = mac, .limit = 1}));
  if (finished.empty()) return absl::OkStatus();
  context.give_back = true;
  return absl::FailedPreconditionError(absl::StrCat(
      "the board ", mac, " is the finished product of deployment ", finished.front().id));
}

// A batch leaves another order's finished product alone until that is plugged in again. What has
// come and gone in the daemon's time the scheduler knows; of a board that may have stayed at its
// port since before, the ledger tells: the port's last success was with this MAC.
absl::Status CheckNotLeftThere(DeploymentContext& context, const std::string& mac) {
  if (!context.there_since_before || context.row.batch_id.empty() || context.details.bound()) {
    return absl::OkStatus();
  }
  storage::Ledger& ledger = *context.shared.parts.ledger;
  storage::DeploymentQuery query{.states = {storage::DeploymentState::kSucceeded},
                                 .mac = mac,
                                 .port = context.port,
                                 .limit = kMostSuccessesOfABoard};
  ASSIGN_OR_RETURN(const std::vector<storage::Deployment> made, ledger.ListDeployments(query));
  if (made.empty()) return absl::OkStatus();
  const auto last = std::max_element(
      made.begin(), made.end(), [](const storage::Deployment& a, const storage::Deployment& b) {
        return a.sequence < b.sequence;
      });
  // The batch's own boards, and those that may come again, are the ledger's matter.
  if (last->batch_id == context.row.batch_id) return absl::OkStatus();
  ASSIGN_OR_RETURN(const storage::Batch batch, ledger.GetBatch(context.row.batch_id));
  if (absl::c_linear_search(batch.allowed_macs, mac)) return absl::OkStatus();
  query.mac.clear();
  query.limit = 1;
  ASSIGN_OR_RETURN(const std::vector<storage::Deployment> newest, ledger.ListDeployments(query));
  // Another board was made at the port since: this one has left it and was plugged in again.
  if (!newest.empty() && newest.front().sequence > last->sequence) return absl::OkStatus();
  context.row.mac = mac;
  return MakeError(ErrorCode::kBoardAlreadyMade,
                   absl::StrCat("the board ", mac, " is the finished product of deployment ",
                                last->id, " and may be at ", context.port,
                                " since then; plugged in again, the batch takes it"));
}

// A board is made once in a batch, by one deployment at a time. The ledger decides, in the
// transaction that gives the board to this deployment.
absl::Status ClaimForBatch(DeploymentContext& context, const std::string& mac) {
  if (context.row.batch_id.empty() || context.details.bound()) return absl::OkStatus();
  context.row.mac = mac;
  return context.Save();
}

// The plan: the bundle's images, shared, and the identity of this one board. Same row, same bytes.
absl::Status CompletePlan(DeploymentContext& context) {
  const firmware::Partition* partition = context.bundle.identity_partition();
  if (partition == nullptr) {
    return MakeError(ErrorCode::kIdentityDoesNotFit, "the bundle has no NVS partition");
  }
  const identity::Identity identity{.wifi_ssid = context.row.wifi_ssid,
                                    .wifi_password = context.row.wifi_password};
  ASSIGN_OR_RETURN(
      std::vector<uint8_t> bytes,
      identity::BuildIdentityPartition(context.shared.options.identity, context.customer(),
                                       identity, context.row.mac, context.row.id,
                                       context.bundle.nvs_values, partition->size));
  context.plan = context.images;
  context.plan.push_back({.label = "identity",
                          .offset = partition->offset,
                          .image = esp::PrepareImage(std::move(bytes))});
  std::sort(
      context.plan.begin(), context.plan.end(),
      [](const esp::FlashRegion& a, const esp::FlashRegion& b) { return a.offset < b.offset; });
  return absl::OkStatus();
}

}  // namespace

absl::Status RunConnect(DeploymentContext& context) {
  RETURN_IF_ERROR(OpenSession(context));
  absl::Status status = context.session.flasher().Connect();
  context.shared.parts.metrics->ConnectAttempt(status.ok());
  const bool deaf = errors::Is(status, ErrorCode::kBoardSilent) ||
                    errors::Is(status, ErrorCode::kBoardWrongBootMode);
  if (deaf && context.starter == DeploymentContext::Starter::kAskedFor) {
    return MakeError(
        ErrorCode::kBoardNotConfirmed,
        absl::StrCat("the board that came back at ", context.port,
                     " started, but does not show its MAC as its USB serial number, prints no "
                     "report, and cannot be reset into its loader: ",
                     std::string(status.message())));
  }
  return status;
}

// Learns which board this is, and gives it its identity: SSID by MAC, and a password, made once and
// kept through every retry. The runner stores both before flash begins, so that whatever reaches a
// board is in the ledger.
absl::Status RunIdentify(DeploymentContext& context) {
  ASSIGN_OR_RETURN(const esp::BoardFacts facts, context.session.flasher().Identify());
  storage::Deployment& row = context.row;
  const std::string mac = esp::FormatMac(facts.mac);
  const std::string chip(esp::TraitsOf(facts.chip).name);
  context.shared.parts.boards->SetFacts(context.port, context.session.arrival(), chip, mac,
                                        facts.flash_size_bytes);
  if (context.details.bound() && row.mac != mac) {
    return MakeError(ErrorCode::kBoardSwapped,
                     absl::StrCat("this deployment belongs to ", row.mac, ", the board at ",
                                  context.port, " is ", mac));
  }
  RETURN_IF_ERROR(CheckNotFinished(context, mac));
  RETURN_IF_ERROR(CheckNotLeftThere(context, mac));
  RETURN_IF_ERROR(ClaimForBatch(context, mac));
  row.mac = mac;
  row.chip = chip;
  row.flash_size_bytes = facts.flash_size_bytes;
  context.details.set_flash_jedec_id(facts.flash_jedec_id);
  RETURN_IF_ERROR(CheckBoard(context, facts));
  const identity::IdentityOptions& options = context.shared.options.identity;
  if (!context.details.bound()) {
    ASSIGN_OR_RETURN(row.wifi_ssid, identity::MakeSsid(options, context.customer(), mac));
  }
  if (row.wifi_password.empty()) {
    ASSIGN_OR_RETURN(row.wifi_password,
                     identity::MakePassword(*context.shared.parts.random, options.password_length));
  }
  context.details.set_bound(true);
  if (context.starter == DeploymentContext::Starter::kAskedFor) {
    context.starter = DeploymentContext::Starter::kIdentified;
  }
  return absl::OkStatus();
}

absl::Status RunFlash(DeploymentContext& context) {
  RETURN_IF_ERROR(CompletePlan(context));
  bool half_told = false;
  bool save_failed = false;
  const auto on_progress = [&](const esp::FlashProgress& flashed) {
    if (context.halted) return;
    context.progress.Report(flashed.done_bytes, flashed.total_bytes);
    if (!half_told && flashed.done_bytes * 2 >= flashed.total_bytes) {
      half_told = true;
      if (context.shared.Failpoint("flash:half")) {
        context.halted = true;
        context.session.Interrupt();
        return;
      }
    }
    // A percentage that cannot be stored is no reason to stop: the next step's entry tells.
    if (!save_failed && context.progress.durable_due()) save_failed = !context.Save().ok();
  };
  const absl::Duration start = context.clock().Monotonic();
  ASSIGN_OR_RETURN(const esp::FlashResult result,
                   context.session.flasher().Flash(context.plan, on_progress));
  const absl::Duration elapsed = context.clock().Monotonic() - start;
  v1::FlashStatistics* statistics = context.details.mutable_flash();
  statistics->set_image_bytes(result.image_bytes);
  statistics->set_written_bytes(result.written_bytes);
  statistics->set_sent_bytes(result.sent_bytes);
  statistics->set_baud_rate(result.baud_rate);
  *statistics->mutable_elapsed() =
      google::protobuf::util::TimeUtil::MicrosecondsToDuration(absl::ToInt64Microseconds(elapsed));
  const double seconds = absl::ToDoubleSeconds(elapsed);
  context.shared.parts.metrics->BytesFlashed(
      result.written_bytes,
      seconds > 0 ? static_cast<double>(result.written_bytes) / seconds : 0.0);
  return absl::OkStatus();
}

absl::Status RunVerify(DeploymentContext& context) {
  // After a restart the plan is not in memory, only its images are.
  if (context.plan.empty()) {
    RETURN_IF_ERROR(CompletePlan(context));
  }
  const absl::Status status =
      context.session.flasher().Verify(context.plan, [&context](const esp::FlashProgress& checked) {
        context.progress.Report(checked.done_bytes, checked.total_bytes);
      });
  if (errors::Is(status, ErrorCode::kFlashVerifyFailed)) {
    context.shared.parts.metrics->VerifyFailed();
  }
  return status;
}

}  // namespace kiln::pipeline
