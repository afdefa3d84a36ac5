#ifndef KILN_TESTS_USB_WATCHED_STATION_H_
#define KILN_TESTS_USB_WATCHED_STATION_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/station.h"
#include "daemon/telemetry/logging.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/sync_stream.h"
#include "kiln/v1/station.grpc.pb.h"
#include "simulator/usb/mock/mocked_usb_bus.h"

namespace kiln {

// A whole station on a mocked bus, with one gRPC client that watches its events: tells how long
// after a board came or went the client knew it. To be run under umockdev-wrapper. One thread.
class WatchedStation {
 public:
  // Aborts when the station does not start.
  WatchedStation();
  ~WatchedStation();
  WatchedStation(const WatchedStation&) = delete;
  WatchedStation& operator=(const WatchedStation&) = delete;

  // From now on boards are found by the scan alone.
  void LoseEvents() { bus_.LoseEvents(true); }

  // Plugs a board in at `place` ("1-4"), or pulls it, and waits until the client has read the event
  // that says so: how long that took from the moment at which the device was in sysfs, or began to
  // be taken from it. Nothing when the stream ended instead.
  std::optional<absl::Duration> TimeArrival(const std::string& place);
  std::optional<absl::Duration> TimeAbsence(const std::string& place);

 private:
  // When the client read that the board at `place` is there, or is not.
  std::optional<absl::Duration> AwaitEvent(const std::string& place, bool present);

  base::Clock& clock_ = base::SystemClock();
  simulator::MockedUsbBus bus_;  // before libusb looks at it
  std::string folder_;
  std::unique_ptr<telemetry::Log> log_;
  std::unique_ptr<daemon::Station> station_;
  std::unique_ptr<v1::Station::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::WatchEventsResponse>> reader_;
};

}  // namespace kiln

#endif  // KILN_TESTS_USB_WATCHED_STATION_H_
