#include "tests/usb/watched_station.h"

#include <stdlib.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/internal/raw_logging.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/file_system.h"
#include "daemon/config.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "simulator/simulated_board.h"
#include "simulator/usb/usb_models.h"

namespace kiln {
namespace {

daemon::Config ConfigIn(const std::string& folder) {
  daemon::Config config;
  config.state_directory = folder + "/state";
  config.export_directory = folder + "/exports";
  config.temp_directory = folder + "/tmp";
  config.socket = folder + "/kilnd.sock";
  config.socket_mode = 0600;
  config.stub_directory.clear();
  config.metrics_address.clear();
  config.log_level = "error";
  return config;
}

}  // namespace

WatchedStation::WatchedStation() {
  char pattern[] = "/tmp/kiln-watched-XXXXXX";
  folder_ = ::mkdtemp(pattern);
  const daemon::Config config = ConfigIn(folder_);
  log_ = std::move(telemetry::Log::Create(config.station_id, config.log_level)).value();
  auto station = daemon::Station::Start(config, *log_);
  if (!station.ok()) ABSL_RAW_LOG(FATAL, "%s", station.status().ToString().c_str());
  station_ = *std::move(station);
  stub_ = v1::Station::NewStub(
      grpc::CreateChannel("unix:" + config.socket, grpc::InsecureChannelCredentials()));
  v1::WatchEventsRequest request;
  request.mutable_filter()->add_kinds(v1::EVENT_KIND_BOARD);
  reader_ = stub_->WatchEvents(&context_, request);
  v1::WatchEventsResponse first;
  ABSL_RAW_CHECK(reader_->Read(&first) && first.has_snapshot(), "the stream does not begin");
}

WatchedStation::~WatchedStation() {
  context_.TryCancel();
  v1::WatchEventsResponse message;
  while (reader_->Read(&message)) {
  }
  reader_->Finish();
  station_ = nullptr;
  base::SystemFileSystem().RemoveAll(folder_).IgnoreError();
}

std::optional<absl::Duration> WatchedStation::TimeArrival(const std::string& place) {
  auto model = simulator::MakeUsbModel("cp2102", simulator::BoardConfig());
  ABSL_RAW_CHECK(model.ok(), "no such model");
  bus_.Plug(place, *std::move(model), {.kernel_driver = "cp210x"});
  const absl::Duration start = clock_.Monotonic();
  const std::optional<absl::Duration> seen = AwaitEvent(place, true);
  if (!seen.has_value()) return std::nullopt;
  return *seen - start;
}

std::optional<absl::Duration> WatchedStation::TimeAbsence(const std::string& place) {
  const absl::Duration start = clock_.Monotonic();
  bus_.Unplug(place);
  const std::optional<absl::Duration> seen = AwaitEvent(place, false);
  if (!seen.has_value()) return std::nullopt;
  return *seen - start;
}

std::optional<absl::Duration> WatchedStation::AwaitEvent(const std::string& place, bool present) {
  const std::string port = absl::StrCat("usb-", place);
  v1::WatchEventsResponse message;
  while (reader_->Read(&message)) {
    if (!message.has_event() || !message.event().has_board()) continue;
    const v1::Board& board = message.event().board();
    if (board.port() == port && (board.state() != v1::Board::STATE_ABSENT) == present) {
      return clock_.Monotonic();
    }
  }
  return std::nullopt;
}

}  // namespace kiln
