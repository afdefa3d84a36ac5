#include "daemon/boards/fake_usb_tree.h"

#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kiln::boards {

namespace fs = std::filesystem;

FakeUsbTree::FakeUsbTree() {
  std::string pattern = (fs::temp_directory_path() / "kiln-usb-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) std::abort();
  root_ = pattern;
  fs::create_directories(root_ / "dev");
  fs::create_directories(root_ / "proc/self/fd");
  fs::create_directories(root_ / "sys/bus/usb/devices");
}

FakeUsbTree::~FakeUsbTree() {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

void FakeUsbTree::Write(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

FakeUsbTree::Adapter FakeUsbTree::Cp2102(const std::string& tty) {
  Adapter adapter;
  adapter.interfaces[0].tty = tty;
  if (tty.empty()) adapter.interfaces[0].driver.clear();
  return adapter;
}

void FakeUsbTree::Plug(const std::string& topology, const Adapter& adapter) {
  Unplug(topology);
  const fs::path path = device(topology);
  ++last_number_;
  Write(path / "idVendor", adapter.vendor + "\n");
  Write(path / "idProduct", adapter.product + "\n");
  Write(path / "busnum", topology.substr(0, topology.find('-')) + "\n");
  Write(path / "devnum", absl::StrCat(last_number_, "\n"));
  Write(path / "speed", adapter.speed + "\n");
  // A device descriptor, then a configuration, of which only lengths, types and bMaxPower matter.
  std::string descriptors(18 + 9, '\0');
  descriptors[0] = 18;
  descriptors[1] = 1;
  descriptors[18] = 9;
  descriptors[19] = 2;
  descriptors[18 + 8] = static_cast<char>(adapter.max_power_ma / 2);
  Write(path / "descriptors", descriptors);
  std::vector<std::string>& files = files_[topology];
  files.push_back(bus_file(topology));
  Write(files.back(), "");
  for (const Interface& interface : adapter.interfaces) {
    const fs::path folder =
        path / absl::StrCat(topology, ":1.", std::stoi(interface.number, nullptr, 16));
    Write(folder / "bInterfaceNumber", interface.number + "\n");
    Write(folder / "bInterfaceClass", interface.class_code + "\n");
    Write(folder / "bInterfaceSubClass", interface.subclass + "\n");
    if (!interface.driver.empty()) {
      fs::create_symlink(root_ / "sys/bus/usb/drivers" / interface.driver, folder / "driver");
    }
    if (interface.tty.empty()) continue;
    // As devtmpfs does, the file first: whoever sees the terminal finds it.
    files.push_back((root_ / "dev" / interface.tty).string());
    Write(files.back(), "");
    const bool acm = absl::StartsWith(interface.tty, "ttyACM");
    fs::create_directories(acm ? folder / "tty" / interface.tty
                               : folder / interface.tty / "tty" / interface.tty);
  }
}

void FakeUsbTree::Unplug(const std::string& topology) {
  fs::remove_all(device(topology));
  for (const std::string& file : files_[topology]) fs::remove(file);
  files_.erase(topology);
}

std::string FakeUsbTree::bus_file(const std::string& topology) const {
  int number = 0;
  std::ifstream(device(topology) / "devnum") >> number;
  return absl::StrFormat("%s/bus/usb/%03d/%03d", dev(), std::stoi(topology), number);
}

void FakeUsbTree::AddHub(const std::string& hub, int ports, bool switched) {
  Write(device(hub) / "maxchild", absl::StrCat(ports, "\n"));
  for (int port = 1; port <= ports; ++port) {
    fs::create_directories(hub_port(hub, port));
    if (switched) Write(hub_port(hub, port) / "disable", "0");
  }
}

fs::path FakeUsbTree::hub_port(const std::string& hub, int port) const {
  const bool root = absl::StartsWith(hub, "usb");
  const std::string interface =
      root ? absl::StrCat(hub.substr(3), "-0:1.0") : absl::StrCat(hub, ":1.0");
  return device(interface) / absl::StrCat(hub, "-port", port);
}

void FakeUsbTree::AddProcess(int pid, const std::string& command, const std::string& open_file) {
  const fs::path process = root_ / "proc" / absl::StrCat(pid);
  Write(process / "comm", command + "\n");
  fs::create_directories(process / "fd");
  if (!open_file.empty()) fs::create_symlink(fs::canonical(open_file), process / "fd/7");
}

void FakeUsbTree::EndProcess(int pid) { fs::remove_all(root_ / "proc" / absl::StrCat(pid)); }

}  // namespace kiln::boards
