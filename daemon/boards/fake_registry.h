#ifndef KILN_DAEMON_BOARDS_FAKE_REGISTRY_H_
#define KILN_DAEMON_BOARDS_FAKE_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "daemon/boards/port_source.h"
#include "daemon/boards/registry.h"
#include "daemon/ports/byte_stream.h"

namespace kiln::boards {

// A port source whose boards tests plug and unplug. Thread-safe.
class FakePorts {
 public:
  // A port with nothing in it. Adding it again changes its alias.
  void AddPort(const std::string& name, const std::string& alias = "");
  // A port with nothing in it, whose board is to show at `path`.
  void AwaitAt(const std::string& name, const std::string& path);
  // Puts a board at the port, which is added when new. `opener` is not owned
  // and may be null. A board that is there already is replaced.
  void Plug(const std::string& name, ports::StreamOpener* opener);
  // Takes the board away; the port stays known.
  void Unplug(const std::string& name);
  // Forgets the port altogether, as a source does whose ports exist only while
  // something is plugged in.
  void RemovePort(const std::string& name);
  // Says why the board at the port cannot be used, or OK that it can.
  void SetUsable(const std::string& name, absl::Status usable);
  // Puts the port on the USB bus.
  void SetUsb(const std::string& name, UsbFacts usb);
  // What the board's address leads to. Plug makes it the opener's own, Unplug clears it.
  void SetDevice(const std::string& name, const std::string& device);

  // A source that sees these ports; they must outlive it.
  std::unique_ptr<PortSource> MakeSource();

 private:
  class Source;

  mutable absl::Mutex mutex_;
  std::map<std::string, FoundPort> ports_ ABSL_GUARDED_BY(mutex_);
  int64_t plugs_ ABSL_GUARDED_BY(mutex_) = 0;
};

// The station's registry over fake ports, for tests of whoever uses a registry.
// Plugging and unplugging are seen at once, and the observer is called on the
// caller's thread before they return. Facts reach the observer with the next
// such change, or, once started, by the registry's thread. Thread-safe.
class FakeRegistry final : public Registry {
 public:
  // `clock` must outlive the registry and, if Start is called, be a real one.
  explicit FakeRegistry(base::Clock& clock = base::SystemClock());

  void AddPort(const std::string& name, const std::string& alias = "");
  void Plug(const std::string& name, ports::StreamOpener* opener);
  void Unplug(const std::string& name);
  void SetUsable(const std::string& name, absl::Status usable);
  void SetUsb(const std::string& name, UsbFacts usb);

  std::vector<BoardInfo> List() const override { return registry_->List(); }
  absl::StatusOr<BoardInfo> Get(const std::string& port_or_alias) const override {
    return registry_->Get(port_or_alias);
  }
  absl::StatusOr<ports::StreamOpener*> OpenerOf(const std::string& port) override {
    return registry_->OpenerOf(port);
  }
  void SetFacts(const std::string& port, uint64_t arrival, const std::string& chip,
                const std::string& mac, uint32_t flash_size_bytes) override {
    registry_->SetFacts(port, arrival, chip, mac, flash_size_bytes);
  }
  void SetObserver(std::function<void(const BoardInfo&)> observer) override {
    registry_->SetObserver(std::move(observer));
  }
  absl::Status Start() override { return registry_->Start(); }
  void Stop() override { registry_->Stop(); }
  void ScanNow() override { registry_->ScanNow(); }
  void Wake() override { registry_->Wake(); }

 private:
  FakePorts ports_;
  std::unique_ptr<Registry> registry_;
};

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_FAKE_REGISTRY_H_
