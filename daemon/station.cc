#include "daemon/station.h"

#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "daemon/api/methods.h"
#include "daemon/backup/restore.h"
#include "daemon/boards/bridge.h"
#include "daemon/boards/configured_ports.h"
#include "daemon/boards/create_registry.h"
#include "daemon/health_probes.h"
#include "daemon/pipeline/curl_http_getter.h"
#include "daemon/pipeline/messages.h"
#include "daemon/version.h"

namespace kiln::daemon {
namespace {

constexpr uint32_t kPrivateFolder = 0700;  // the ledger holds passwords
constexpr uint32_t kSharedFolder = 0755;
// Certificates and keys are a few KiB.
constexpr size_t kMaxPemBytes = size_t{1} << 20;
// After the drain, how long calls may take to end.
constexpr absl::Duration kServerStopTimeout = absl::Seconds(2);

uint64_t SizeOf(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

// INVALID_ARGUMENT names the key of [tls] whose file cannot be used.
absl::StatusOr<std::string> ReadPem(base::FileSystem& files, absl::string_view key,
                                    const std::string& path) {
  absl::StatusOr<std::string> content = files.ReadFile(path, kMaxPemBytes);
  if (content.ok()) return content;
  return absl::InvalidArgumentError(absl::StrCat("[tls] ", key, ": ", content.status().message()));
}

// Kills this process at the failpoint that KILN_FAILPOINT names, as a power cut would.
std::function<void(const std::string&)> FailpointOf(const Config& config) {
  const char* name = config.failpoints ? std::getenv("KILN_FAILPOINT") : nullptr;
  if (name == nullptr || *name == '\0') return {};
  return [wanted = std::string(name)](const std::string& point) {
    if (point == wanted) ::raise(SIGKILL);
  };
}

api::BoardIdentifier IdentifierOf(base::Clock& clock, const esp::FlasherOptions& station_options,
                                  esp::PortProfiles& profiles) {
  return [&clock, station_options, &profiles](
             const std::string& port, ports::StreamOpener& opener,
             const base::Cancellation& cancellation) -> absl::StatusOr<esp::BoardFacts> {
    esp::FlasherOptions options = station_options;
    options.profile = &profiles.Of(port);
    ASSIGN_OR_RETURN(const std::unique_ptr<ports::ByteStream> stream, opener.Open());
    const auto flasher = esp::Flasher::Create(*stream, clock, cancellation, options);
    const absl::Status connected = flasher->Connect();
    const absl::StatusOr<esp::BoardFacts> facts =
        connected.ok() ? flasher->Identify() : absl::StatusOr<esp::BoardFacts>(connected);
    // However it ended, the board must not stay in its loader: neither a client that went away
    // nor a loader that did not answer may keep it there.
    const base::Cancellation never;
    const auto releaser = esp::Flasher::Create(*stream, clock, never, options);
    const absl::Status booted = facts.ok() ? flasher->Boot() : releaser->Boot();
    return facts.ok() && !booted.ok() ? absl::StatusOr<esp::BoardFacts>(booted) : facts;
  };
}

}  // namespace

Station::Station(const Config& config, telemetry::Log& log)
    : config_(config),
      log_(log),
      ledger_path_(absl::StrCat(config.state_directory, "/ledger.db")) {}

absl::StatusOr<std::unique_ptr<Station>> Station::Start(const Config& config, telemetry::Log& log) {
  std::unique_ptr<Station> station(new Station(config, log));
  RETURN_IF_ERROR(station->OpenStores());
  RETURN_IF_ERROR(station->BuildBoards());
  station->BuildHealth();
  station->BuildPipeline();
  RETURN_IF_ERROR(station->RecordStart());
  // What is plugged in already is known before the first order can come.
  station->boards_->ScanNow();
  station->usb_->Connect(*station->boards_);
  RETURN_IF_ERROR(station->boards_->Start()) << "looking for boards";
  station->health_->Start();
  RETURN_IF_ERROR(station->scheduler_->Start()) << "continuing deployments";
  RETURN_IF_ERROR(backup::ForgetRestored(config.state_directory, station->files_));
  RETURN_IF_ERROR(station->StartServing());
  return station;
}

Station::~Station() {
  // Callers first, then what they call.
  server_.reset();
  metrics_server_.reset();
  if (usb_ != nullptr) usb_->Disconnect();
  if (boards_ != nullptr) boards_->Stop();
  {
    absl::MutexLock lock(&pipeline_mutex_);
    observing_ = nullptr;
  }
  scheduler_.reset();  // joins its workers, which may still make the registry tell of changes
}

absl::Status Station::OpenStores() {
  RETURN_IF_ERROR(files_.CreateDirectories(config_.state_directory, kPrivateFolder))
      << "making the state folder";
  // A missing export or temp folder is a matter of health, not a reason to stay down.
  for (const std::string& folder : {config_.export_directory, config_.temp_directory}) {
    if (const absl::Status status = files_.CreateDirectories(folder, kSharedFolder); !status.ok()) {
      log_.Warn("cannot make a folder", {{"error", std::string(status.message())}});
    }
  }
  telemetry::PrometheusOptions metrics{
      .version = kVersion, .revision = kRevision, .rpc_methods = {}};
  metrics.rpc_methods.assign(std::begin(api::kAllMethods), std::end(api::kAllMethods));
  metrics_ = telemetry::PrometheusMetrics::Create(metrics, clock_);

  RETURN_IF_ERROR(CompleteRestore());
  ASSIGN_OR_RETURN(ledger_, storage::Ledger::Open(ledger_path_, clock_), _ << ledger_path_);
  ASSIGN_OR_RETURN(const int64_t last_sequence, ledger_->LastSequence());
  api::EventHubOptions hub;
  hub.last_sequence = last_sequence;
  hub_ = std::make_unique<api::EventHub>(hub, clock_, *metrics_);
  hub_->Start();
  ledger_->SetBatchPayload(pipeline::BatchEventPayload);
  ledger_->SetCommitObserver([this](const storage::EventRecord& record) { hub_->Publish(record); });
  ASSIGN_OR_RETURN(bundles_,
                   firmware::BundleStore::Open(absl::StrCat(config_.state_directory, "/firmware"),
                                               files_, clock_, config_.firmware),
                   _ << "opening the bundles");
  firmware::BuilderOptions builds = config_.builder;
  if (builds.core_directory.empty()) {
    builds.core_directory = absl::StrCat(config_.state_directory, "/platformio");
  }
  builds.temp_directory = config_.temp_directory;
  builds.cache_directory = absl::StrCat(config_.state_directory, "/firmware/builds");
  children_ = firmware::MakeChildRunner(clock_);
  builder_ = firmware::Builder::Create(builds, *children_, *bundles_, files_);
  return absl::OkStatus();
}

absl::Status Station::CompleteRestore() {
  ASSIGN_OR_RETURN(const std::optional<backup::CompletedRestore> completed,
                   backup::CompleteRestore({.state_directory = config_.state_directory,
                                            .export_directory = config_.export_directory,
                                            .failpoint = FailpointOf(config_)},
                                           files_),
                   _ << "completing a restore that was interrupted");
  if (!completed.has_value()) return absl::OkStatus();
  if (!completed->records_missing.ok()) {
    log_.Warn("records of the restored backup cannot be written yet",
              {{"error", std::string(completed->records_missing.message())}});
  }
  log_.Info("completed a restore that was interrupted",
            {{"old_state", completed->outcome.old_state}});
  return absl::OkStatus();
}

absl::Status Station::BuildBoards() {
  if (!config_.stub_directory.empty()) {
    stubs_ = esp::StubStore::Load(files_, config_.stub_directory);
    flasher_options_.stubs = &stubs_;
  }
  flasher_options_.baud_rate = config_.baud_rate;
  std::vector<boards::PortConfig> configured;
  for (const PortConfig& port : config_.ports) {
    configured.push_back({.name = port.name, .alias = port.alias, .address = port.address});
    esp::PortProfile::Settings settings;
    settings.baud_rate = port.baud_rate;
    if (!port.reset.empty()) {
      ASSIGN_OR_RETURN(settings.loader_reset, esp::CustomReset::Parse(port.reset),
                       _ << "port " << port.name);
    }
    profiles_.Configure(port.name, std::move(settings));
  }
  std::vector<std::unique_ptr<boards::PortSource>> sources;
  ASSIGN_OR_RETURN(sources.emplace_back(), boards::MakeConfiguredPorts(configured, clock_));
  usb_ = std::make_unique<UsbSide>(config_, ports::UsbContext::Create(), clock_, *metrics_,
                                   UsbSide::Roots());
  sources.push_back(usb_->MakeSource());
  boards_ = boards::CreateRegistry(std::move(sources), clock_);
  boards_->SetObserver([this](const boards::BoardInfo& board) { OnBoardChange(board); });
  return absl::OkStatus();
}

void Station::BuildHealth() {
  std::vector<telemetry::HealthProbe> probes =
      MakeHealthProbes(config_, {ledger_.get(), boards_.get(), bundles_.get(), &stubs_, &files_,
                                 usb_.get(), metrics_.get(), &clock_, builder_.get()});
  for (telemetry::HealthProbe& probe : probes) {
    if (probe.name != "export_folder") continue;
    // Asking for the free space may hang as the check may, so it happens where the check does.
    probe.probe = [this, check = probe.probe](std::string& message) {
      const absl::Status status = check(message);
      metrics_->SetExportFolder(status.ok(),
                                files_.FreeBytes(config_.export_directory).value_or(0));
      return status;
    };
  }
  health_ = std::make_unique<telemetry::HealthMonitor>(std::move(probes), clock_, *metrics_);
  health_->SetOnChange([this](const v1::Health& health) { OnHealthChange(health); });
}

void Station::BuildPipeline() {
  http_ = std::make_unique<pipeline::CurlHttpGetter>();
  pipeline::PipelineParts parts{};
  parts.ledger = ledger_.get();
  parts.boards = boards_.get();
  parts.bundles = bundles_.get();
  parts.files = &files_;
  parts.clock = &clock_;
  parts.random = &base::SystemRandom();
  parts.metrics = metrics_.get();
  parts.http = http_.get();
  parts.log = &log_;
  parts.profiles = &profiles_;
  parts.usb_mac = [this](const std::string& topology) { return usb_->MacAt(topology); };
  parts.progress = [this](const v1::Progress& progress) { hub_->PublishProgress(progress); };

  pipeline::PipelineOptions options;
  options.station_id = config_.station_id;
  options.tool_version = kVersion;
  options.export_directory = config_.export_directory;
  options.deployed_by = config_.deployed_by;
  if (!absl::LoadTimeZone(config_.time_zone, &options.time_zone)) {
    options.time_zone = absl::UTCTimeZone();  // checked when the configuration was read
  }
  options.max_pending = config_.max_pending;
  options.replug_window = config_.replug_window;
  options.max_replugs = config_.max_replugs;
  options.any_takes_used_boards = config_.any_takes_used_boards;
  options.max_running = config_.max_running;
  options.max_running_per_hub = config_.max_running_per_hub;
  options.batch_ports = config_.batch_ports;
  options.timeouts = config_.timeouts;
  options.confirm = config_.confirm;
  options.identity = config_.identity;
  options.flasher = flasher_options_;
  options.restored = backup::WasRestored(config_.state_directory, files_);
  options.failpoint = FailpointOf(config_);
  scheduler_ = pipeline::Scheduler::Create(parts, options);
  batches_ =
      std::make_unique<pipeline::Batches>(*ledger_, *bundles_, clock_, *parts.random,
                                          options.time_zone, [this] { scheduler_->LookForWork(); });
  absl::MutexLock lock(&pipeline_mutex_);
  observing_ = scheduler_.get();
}

absl::Status Station::StartServing() {
  api::ApiParts parts;
  parts.ledger = ledger_.get();
  parts.boards = boards_.get();
  parts.bundles = bundles_.get();
  parts.scheduler = scheduler_.get();
  parts.batches = batches_.get();
  parts.hub = hub_.get();
  parts.health = health_.get();
  parts.metrics = metrics_.get();
  parts.clock = &clock_;
  parts.identify = IdentifierOf(clock_, flasher_options_, profiles_);
  parts.power_cycle = [this](const boards::UsbFacts& usb, absl::Duration off_time,
                             const base::Cancellation& cancellation) {
    return usb_->PowerCycle(usb, off_time, cancellation);
  };
  parts.builder = builder_.get();
  parts.import_limits = config_.firmware;
  parts.facts = {config_.station_id,       kVersion, ledger_path_,
                 config_.export_directory, {},       start_time_};
  for (const esp::Chip chip : stubs_.chips()) {
    parts.facts.stub_chips.emplace_back(esp::TraitsOf(chip).name);
  }

  api::ServerOptions options;
  options.socket_path = config_.socket;
  options.socket_mode = config_.socket_mode;
  options.socket_group = config_.socket_group;
  options.tls_address = config_.tls.address;
  if (!options.tls_address.empty()) {
    ASSIGN_OR_RETURN(options.tls_certificate,
                     ReadPem(files_, "certificate_file", config_.tls.certificate_file));
    ASSIGN_OR_RETURN(options.tls_key, ReadPem(files_, "key_file", config_.tls.key_file));
    ASSIGN_OR_RETURN(options.tls_client_ca,
                     ReadPem(files_, "client_ca_file", config_.tls.client_ca_file));
  }
  ASSIGN_OR_RETURN(server_, api::Server::Start(parts, options));
  if (!config_.metrics_address.empty() && !absl::EndsWith(config_.metrics_address, ":0")) {
    ASSIGN_OR_RETURN(metrics_server_,
                     telemetry::MetricsServer::Start(config_.metrics_address, *metrics_));
  }
  log_.Info("serving", {{"socket", config_.socket},
                        {"version", kVersion},
                        {"metrics", config_.metrics_address},
                        {"tls", config_.tls.address}});
  return absl::OkStatus();
}

absl::Status Station::RecordStart() {
  ASSIGN_OR_RETURN(const int64_t last, ledger_->LastSequence());
  // A clean stop leaves STOPPED as the very last event; anything else was a crash.
  bool clean = last == 0;
  if (!clean) {
    storage::EventQuery query;
    query.after_sequence = last - 1;
    query.limit = 1;
    ASSIGN_OR_RETURN(const std::vector<storage::EventRecord> events, ledger_->ListEvents(query));
    if (!events.empty()) {
      const absl::StatusOr<v1::Event> event = pipeline::ToMessage(events.front());
      clean = event.ok() && event->station().type() == v1::StationEvent::TYPE_STOPPED;
    }
  }
  RecordStationEvent(clean ? v1::StationEvent::TYPE_STARTED : v1::StationEvent::TYPE_RECOVERED);
  return absl::OkStatus();
}

void Station::RecordStationEvent(v1::StationEvent::Type type) {
  v1::Event event;
  event.set_kind(v1::EVENT_KIND_STATION);
  event.mutable_station()->set_type(type);
  event.mutable_station()->set_version(kVersion);
  Append(event, "station");
  log_.Info("station", {{"event", v1::StationEvent::Type_Name(type)}});
}

void Station::OnBoardChange(const boards::BoardInfo& board) {
  {
    absl::MutexLock lock(&boards_mutex_);
    absl::string_view& bridge = bridges_[board.port];
    if (bridge.empty() == board.present) {
      metrics_->BoardEvent(board.present ? "arrived" : "left");
      if (board.present) usb_->BoardArrived(board);
    }
    bridge = board.present ? boards::BridgeOf(board) : absl::string_view();
    for (const absl::string_view family : telemetry::Bridges()) {
      const auto count = std::count_if(bridges_.begin(), bridges_.end(),
                                       [family](const auto& at) { return at.second == family; });
      metrics_->SetBoardsConnected(family, static_cast<int>(count));
    }
  }
  v1::Event event;
  event.set_kind(v1::EVENT_KIND_BOARD);
  absl::ReaderMutexLock lock(&pipeline_mutex_);
  *event.mutable_board() = pipeline::ToMessage(
      board, observing_ == nullptr ? std::string() : observing_->RunningOn(board.port));
  Append(event, event.board().name());
  if (observing_ != nullptr) observing_->OnBoardChange(board);
}

void Station::OnHealthChange(const v1::Health& health) {
  v1::Event event;
  event.set_kind(v1::EVENT_KIND_HEALTH);
  *event.mutable_health() = health;
  Append(event, "station");
  for (const v1::HealthCheck& check : health.checks()) {
    if (!check.ok()) {
      log_.Warn("health check fails", {{"check", check.name()}, {"reason", check.message()}});
    }
  }
}

void Station::Append(const v1::Event& event, const std::string& subject) {
  const absl::Status status = ledger_->AppendEvent(pipeline::DraftOf(event, subject)).status();
  if (!status.ok()) {
    log_.Error("cannot append an event",
               {{"subject", subject}, {"error", std::string(status.message())}});
  }
}

void Station::Tick() {
  const v1::Health health = health_->Evaluate();  // never waits for a folder
  metrics_->SetLedgerSize(SizeOf(ledger_path_), SizeOf(ledger_path_ + "-wal"));
  for (const v1::HealthCheck& check : health.checks()) {
    if (check.name() == "export_folder" && !check.ok()) metrics_->SetExportFolder(false, 0);
  }
  // For boards that a batch could not take while the ledger did not write.
  scheduler_->LookForWork();
}

void Station::Drain() {
  server_->SetNotServing();
  RecordStationEvent(v1::StationEvent::TYPE_DRAINING);
  if (const absl::Status status = scheduler_->Drain(config_.drain_timeout); !status.ok()) {
    log_.Warn("not everything reached a safe point in time; it continues after the next start",
              {{"error", std::string(status.message())}});
  }
  server_->Stop(kServerStopTimeout);
  usb_->Disconnect();
  boards_->Stop();
  health_->Stop();  // STOPPED is to be the last event
  RecordStationEvent(v1::StationEvent::TYPE_STOPPED);
}

}  // namespace kiln::daemon
