#include "daemon/pipeline/pipeline_fixture.h"

#include <stdlib.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/digest.h"
#include "daemon/pipeline/messages.h"
#include "daemon/pipeline/step.h"
#include "errors/error.h"
#include "simulator/demo_image.h"

namespace kiln::pipeline {

using storage::Deployment;
using storage::DeploymentState;

absl::Status SwitchedLedger::Refuse() {
  absl::MutexLock lock(&mutex_);
  if (!next_.ok()) return std::exchange(next_, absl::OkStatus());
  if (!fail_) return absl::OkStatus();
  ++refused_;
  return errors::MakeError(errors::ErrorCode::kLedgerWriteFailed, "switched off by the test");
}

absl::StatusOr<storage::Ledger::CreateOutcome> SwitchedLedger::CreateDeployment(
    const Deployment& deployment, storage::PayloadOf payload) {
  const absl::Status refused = Refuse();
  if (!refused.ok()) return refused;
  return real_.CreateDeployment(deployment, payload);
}

absl::StatusOr<Deployment> SwitchedLedger::UpdateDeployment(const Deployment& deployment,
                                                            int64_t expected_sequence,
                                                            storage::PayloadOf payload) {
  const absl::Status refused = Refuse();
  if (!refused.ok()) return refused;
  return real_.UpdateDeployment(deployment, expected_sequence, payload);
}

absl::Status SwitchedLedger::ForgetDueRecord(const std::string& id, int attempt) {
  const absl::Status refused = Refuse();
  if (!refused.ok()) return refused;
  return real_.ForgetDueRecord(id, attempt);
}

absl::StatusOr<std::string> FakeHttp::Get(const std::string& url, absl::Duration) {
  absl::MutexLock lock(&mutex_);
  asked_.push_back(url);
  if (answers_.empty()) {
    return errors::MakeError(errors::ErrorCode::kBoardNetworkUnreachable, "no route");
  }
  absl::StatusOr<std::string> answer = answers_.front();
  if (answers_.size() > 1) answers_.erase(answers_.begin());
  return answer;
}

PipelineFixture::PipelineFixture()
    : PipelineFixture([]() -> base::Clock& {
        static FastClock clock;
        return clock;
      }()) {}

PipelineFixture::PipelineFixture(base::Clock& clock)
    : clock_(clock), registry_(base::SystemClock()) {
  char pattern[] = "/tmp/kiln-pipeline-XXXXXX";
  folder_ = ::mkdtemp(pattern);
  real_ledger_ =
      *storage::Ledger::Open(folder_ + "/ledger.db", base::SystemClock(), {.durable = false});
  ledger_ = std::make_unique<SwitchedLedger>(*real_ledger_);
  ledger_->SetCommitObserver([this](const storage::EventRecord&) {
    absl::MutexLock lock(&mutex_);
    ++commits_;
  });
  bundles_ = *firmware::BundleStore::Open("/bundles", files_, clock_, {});
  options_.station_id = "bench-1";
  options_.tool_version = "kiln test";
  options_.export_directory = "/export";
  options_.time_zone = absl::UTCTimeZone();
  options_.replug_window = absl::Seconds(20);
  options_.timeouts.confirm = absl::Seconds(20);
  bundle_ = Import(esp::Chip::kEsp32C3);
}

PipelineFixture::~PipelineFixture() {
  Resume();
  StopStation();
  ledger_ = nullptr;
  real_ledger_ = nullptr;
  base::SystemFileSystem().RemoveAll(folder_).IgnoreError();
}

void PipelineFixture::StartStation() {
  PipelineParts parts{.ledger = ledger_.get(),
                      .boards = known_boards_,
                      .bundles = bundles_.get(),
                      .files = &files_,
                      .clock = &clock_,
                      .random = &base::SystemRandom(),
                      .metrics = metrics_.get(),
                      .http = &http_,
                      .progress =
                          [this](const v1::Progress& progress) {
                            if (on_progress_) on_progress_(progress);
                            absl::MutexLock lock(&mutex_);
                            progress_.push_back(progress);
                          },
                      .usb_mac = usb_mac_};
  SchedulerSeams seams{.make_flasher = esp::Flasher::Create,
                       .halt = [this](const std::string& point) {
                         absl::MutexLock lock(&mutex_);
                         points_.insert(point);
                         if (point == hold_point_) {
                           held_ = true;
                           const auto released = [this, &point] {
                             mutex_.AssertHeld();
                             return hold_point_ != point;
                           };
                           mutex_.Await(absl::Condition(&released));
                           held_ = false;
                         }
                         if (point == crash_point_ && --crash_count_ == 0) crashed_ = true;
                         return crashed_;
                       }};
  scheduler_ = CreateScheduler(parts, options_, seams);
  const absl::Status started = scheduler_->Start();
  {
    absl::MutexLock lock(&mutex_);
    EXPECT_TRUE(started.ok() || crashed_) << started;
  }
  registry_.SetObserver(
      [this](const boards::BoardInfo& board) { scheduler_->OnBoardChange(board); });
}

void PipelineFixture::StopStation() {
  registry_.SetObserver([](const boards::BoardInfo&) {});
  scheduler_ = nullptr;
}

void PipelineFixture::CrashAt(const std::string& point, int count) {
  absl::MutexLock lock(&mutex_);
  crash_point_ = point;
  crash_count_ = count;
}

void PipelineFixture::AwaitCrash() {
  absl::MutexLock lock(&mutex_);
  EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&crashed_), absl::Seconds(30)))
      << "the daemon never came to " << crash_point_;
}

void PipelineFixture::Restart() {
  StopStation();
  {
    absl::MutexLock lock(&mutex_);
    crash_point_.clear();
    crashed_ = false;
  }
  StartStation();
}

void PipelineFixture::RestartAndCrashAt(const std::string& point) {
  StopStation();
  {
    absl::MutexLock lock(&mutex_);
    crashed_ = false;
  }
  CrashAt(point);
  StartStation();
  AwaitCrash();
}

std::string PipelineFixture::MacOf(uint8_t number) {
  return esp::FormatMac({0x7C, 0xDF, 0xA1, 0x00, 0x00, number});
}

simulator::SimulatedOpener& PipelineFixture::PlugBoard(const std::string& port, uint8_t number,
                                                       esp::Chip chip) {
  simulator::BoardConfig config;
  config.chip = chip;
  config.mac = {0x7C, 0xDF, 0xA1, 0x00, 0x00, number};
  boards_[port] = std::make_unique<simulator::SimulatedOpener>(config, clock_, port);
  registry_.Plug(port, boards_[port].get());
  return *boards_[port];
}

std::string PipelineFixture::Import(esp::Chip chip, uint64_t seed, uint32_t application_size) {
  const std::vector<uint8_t> merged =
      simulator::MergeDemoImage(simulator::MakeDemoImage(chip, application_size, seed));
  const auto outcome =
      bundles_->Import(base::AsChars(merged), {.file_name = "merged.bin", .title = "demo"}, false);
  EXPECT_TRUE(outcome.ok()) << outcome.status();
  return outcome.ok() ? outcome->bundle.id : "";
}

Order PipelineFixture::MakeOrder(const std::string& port, const std::string& request_id) {
  return {.request_id = request_id.empty() ? absl::StrCat("request-", ++requests_) : request_id,
          .customer = {.organization = "โรงพยาบาลกรุงเทพ",
                       .customer_id = "BGK001",
                       .application_name = "SMC_Cabinet_Ward_A"},
          .bundle = bundle_,
          .port = port};
}

Deployment PipelineFixture::Deploy(const std::string& port) {
  const auto created = scheduler_->Create(MakeOrder(port), false);
  EXPECT_TRUE(created.ok()) << created.status();
  return created.ok() ? *created : Deployment();
}

Deployment PipelineFixture::Get(const std::string& id) {
  const auto row = real_ledger_->GetDeployment(id);
  EXPECT_TRUE(row.ok()) << row.status();
  return row.ok() ? *row : Deployment();
}

Deployment PipelineFixture::Await(const std::string& id,
                                  const std::function<bool(const Deployment&)>& condition) {
  const absl::Time end = absl::Now() + absl::Seconds(30);
  for (;;) {
    int64_t seen;
    {
      absl::MutexLock lock(&mutex_);
      seen = commits_;
    }
    const Deployment row = Get(id);
    if (condition(row)) return row;
    absl::MutexLock lock(&mutex_);
    const auto more = [this, seen] {
      mutex_.AssertHeld();
      return commits_ != seen;
    };
    if (!mutex_.AwaitWithDeadline(absl::Condition(&more), end)) {
      ADD_FAILURE() << "waited in vain; state " << static_cast<int>(row.state) << ", step "
                    << row.step << ", " << row.error_code << ": " << row.error_detail;
      return row;
    }
  }
}

Deployment PipelineFixture::AwaitState(const std::string& id, DeploymentState state) {
  return Await(id, [state](const Deployment& row) { return row.state == state; });
}

Deployment PipelineFixture::AwaitEnd(const std::string& id) {
  return Await(id, [](const Deployment& row) {
    return row.state != DeploymentState::kPending && row.state != DeploymentState::kRunning;
  });
}

Deployment PipelineFixture::AwaitStep(const std::string& id, v1::Step step) {
  return Await(id, [step](const Deployment& row) { return row.step >= step; });
}

void PipelineFixture::HoldAt(const std::string& point) {
  absl::MutexLock lock(&mutex_);
  hold_point_ = point;
}

void PipelineFixture::AwaitHeld() {
  absl::MutexLock lock(&mutex_);
  EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&held_), absl::Seconds(30)))
      << "nobody came to " << hold_point_;
}

void PipelineFixture::Resume() { HoldAt(""); }

std::vector<DeploymentState> PipelineFixture::History(const std::string& id) {
  std::vector<DeploymentState> states;
  const auto events =
      real_ledger_->ListEvents({.subject = absl::StrCat("deployments/", id), .limit = 1000});
  EXPECT_TRUE(events.ok()) << events.status();
  for (const storage::EventRecord& record : *events) {
    const auto event = ToMessage(record);
    EXPECT_TRUE(event.ok()) << event.status();
    const auto state = static_cast<DeploymentState>(event->deployment().state());
    if (states.empty() || states.back() != state) states.push_back(state);
  }
  return states;
}

std::vector<std::string> PipelineFixture::Records(const std::string& folder) {
  std::vector<std::string> names;
  const auto all = files_.ListDirectory(folder);
  if (!all.ok()) return names;
  std::copy_if(all->begin(), all->end(), std::back_inserter(names),
               [](const std::string& name) { return absl::EndsWith(name, ".json"); });
  return names;
}

std::string PipelineFixture::RecordText(const std::string& path) {
  const auto text = files_.ReadFile(path, 1 << 20);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "";
}

}  // namespace kiln::pipeline
