#ifndef KILN_DAEMON_TELEMETRY_METRICS_H_
#define KILN_DAEMON_TELEMETRY_METRICS_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "errors/error.h"

namespace kiln::telemetry {

// What the parts report. Names of the Prometheus series are in metrics.cc; no label ever holds a
// customer, a MAC, a serial or an id. Thread-safe, never blocks for long.
class Metrics {
 public:
  virtual ~Metrics() = default;

  // `result`: succeeded, failed, canceled, interrupted. `first_pass`: ended well in its first
  // attempt.
  virtual void DeploymentEnded(absl::string_view result, absl::Duration elapsed,
                               bool first_pass) = 0;
  virtual void StepEnded(absl::string_view step, absl::Duration elapsed) = 0;
  virtual void DeploymentFailed(absl::string_view step, errors::ErrorClass error_class) = 0;
  virtual void SetDeploymentsQueued(int count) = 0;
  // +1 when a step begins, -1 when it ends.
  virtual void AddInProgress(absl::string_view step, int delta) = 0;
  // `step`: where the attempt before ended; "none" when it had not begun.
  virtual void RetryStarted(absl::string_view step) = 0;
  virtual void BytesFlashed(uint64_t bytes, double bytes_per_second) = 0;
  virtual void VerifyFailed() = 0;
  virtual void ConnectAttempt(bool ok) = 0;
  virtual void BoardEvent(absl::string_view action) = 0;  // arrived, left
  // `bridge`: the family of the adapter, one of Bridges().
  virtual void SetBoardsConnected(absl::string_view bridge, int count) = 0;
  // From the reset into the loader until chip, MAC and flash were known.
  virtual void BoardIdentified(absl::Duration elapsed) = 0;
  // Whether a board answered when it was asked over the network.
  virtual void NetworkChecked(bool up) = 0;
  // A board on the USB bus was found after start; `by`: event, scan.
  virtual void DeviceFound(absl::string_view by) = 0;
  // How arrivals are learnt of: udev, netlink, or poll for the scan alone.
  virtual void SetHotplugMode(absl::string_view mode) = 0;
  // A transfer of Kiln's own USB drivers failed: ports::UsbContext::ErrorObserver's words.
  virtual void UsbTransferFailed(absl::string_view operation, absl::string_view code) = 0;
  virtual void IdentityChecked(bool matched) = 0;
  virtual void RecordExported(bool ok, absl::Duration elapsed) = 0;
  virtual void LedgerTransaction(absl::Duration elapsed, bool ok) = 0;
  // `ok` also for a critical check that only degrades the station: an alert on a critical check
  // is not to fire for it.
  virtual void SetHealthCheck(absl::string_view check, bool ok) = 0;
  virtual void SetEventSubscribers(int count) = 0;
  virtual void EventsDropped(int count) = 0;
  virtual void RpcHandled(absl::string_view method, absl::string_view code,
                          absl::Duration elapsed) = 0;
};

// cp210x, ch34x, ftdi, cdc_acm, pty, socket, other: all families that boards are counted by.
absl::Span<const absl::string_view> Bridges();

// Counts nothing; for tests and tools.
std::unique_ptr<Metrics> NullMetrics();

}  // namespace kiln::telemetry

#endif  // KILN_DAEMON_TELEMETRY_METRICS_H_
