#include "daemon/boards/fake_registry.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "daemon/boards/create_registry.h"
#include "daemon/boards/port_source.h"
#include "daemon/ports/byte_stream.h"

namespace kiln::boards {

class FakePorts::Source final : public PortSource {
 public:
  explicit Source(FakePorts& ports) : ports_(ports) {}

  std::vector<FoundPort> Scan() override {
    absl::MutexLock lock(&ports_.mutex_);
    std::vector<FoundPort> found;
    found.reserve(ports_.ports_.size());
    for (const auto& [name, port] : ports_.ports_) found.push_back(port);
    return found;
  }

 private:
  FakePorts& ports_;
};

std::unique_ptr<PortSource> FakePorts::MakeSource() { return std::make_unique<Source>(*this); }

void FakePorts::AddPort(const std::string& name, const std::string& alias) {
  absl::MutexLock lock(&mutex_);
  FoundPort& port = ports_[name];
  port.name = name;
  port.alias = alias;
}

void FakePorts::AwaitAt(const std::string& name, const std::string& path) {
  absl::MutexLock lock(&mutex_);
  FoundPort& port = ports_[name];
  port.name = name;
  port.awaited = path;
}

void FakePorts::Plug(const std::string& name, ports::StreamOpener* opener) {
  absl::MutexLock lock(&mutex_);
  FoundPort& port = ports_[name];
  port.name = name;
  port.address = opener == nullptr ? "" : opener->address();
  // One opener is one device, whatever openers call themselves.
  port.device = opener == nullptr ? "" : absl::StrCat(reinterpret_cast<uintptr_t>(opener));
  port.present = true;
  port.instance = absl::StrCat(++plugs_);
  port.usable = absl::OkStatus();
  // Not owned: the test keeps it.
  port.opener = std::shared_ptr<ports::StreamOpener>(opener, [](ports::StreamOpener*) {});
}

void FakePorts::Unplug(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  const auto it = ports_.find(name);
  if (it == ports_.end()) return;
  it->second.present = false;
  it->second.device.clear();
  it->second.instance.clear();
  it->second.opener = nullptr;
}

void FakePorts::RemovePort(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  ports_.erase(name);
}

void FakePorts::SetUsable(const std::string& name, absl::Status usable) {
  absl::MutexLock lock(&mutex_);
  const auto it = ports_.find(name);
  if (it != ports_.end()) it->second.usable = std::move(usable);
}

void FakePorts::SetUsb(const std::string& name, UsbFacts usb) {
  absl::MutexLock lock(&mutex_);
  const auto it = ports_.find(name);
  if (it != ports_.end()) it->second.usb = std::move(usb);
}

void FakePorts::SetDevice(const std::string& name, const std::string& device) {
  absl::MutexLock lock(&mutex_);
  const auto it = ports_.find(name);
  if (it != ports_.end()) it->second.device = device;
}

FakeRegistry::FakeRegistry(base::Clock& clock) {
  std::vector<std::unique_ptr<PortSource>> sources;
  sources.push_back(ports_.MakeSource());
  registry_ = CreateRegistry(std::move(sources), clock);
}

void FakeRegistry::AddPort(const std::string& name, const std::string& alias) {
  ports_.AddPort(name, alias);
  registry_->ScanNow();
}

void FakeRegistry::Plug(const std::string& name, ports::StreamOpener* opener) {
  ports_.Plug(name, opener);
  registry_->ScanNow();
}

void FakeRegistry::Unplug(const std::string& name) {
  ports_.Unplug(name);
  registry_->ScanNow();
}

void FakeRegistry::SetUsable(const std::string& name, absl::Status usable) {
  ports_.SetUsable(name, std::move(usable));
  registry_->ScanNow();
}

void FakeRegistry::SetUsb(const std::string& name, UsbFacts usb) {
  ports_.SetUsb(name, std::move(usb));
  registry_->ScanNow();
}

}  // namespace kiln::boards
