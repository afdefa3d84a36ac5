#ifndef KILN_DAEMON_BOARDS_FAKE_USB_TREE_H_
#define KILN_DAEMON_BOARDS_FAKE_USB_TREE_H_

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace kiln::boards {

// A folder with what the code looks at of a system's USB bus: sysfs, device files, processes. For
// tests, which plug adapters in and pull them out. Used by one thread at a time.
class FakeUsbTree {
 public:
  struct Interface {
    std::string number = "00";
    std::string class_code = "ff";
    std::string subclass = "00";
    std::string driver = "cp210x";  // empty: none
    std::string tty;                // empty: none
  };
  struct Adapter {
    std::string vendor = "10c4";
    std::string product = "ea60";
    std::vector<Interface> interfaces = {Interface()};
    std::string speed = "12";
    int max_power_ma = 100;
  };

  FakeUsbTree();
  ~FakeUsbTree();
  FakeUsbTree(const FakeUsbTree&) = delete;
  FakeUsbTree& operator=(const FakeUsbTree&) = delete;

  std::filesystem::path root() const { return root_; }
  std::string sysfs() const { return (root_ / "sys").string(); }
  std::string dev() const { return (root_ / "dev").string(); }
  std::string proc() const { return (root_ / "proc").string(); }
  std::filesystem::path device(const std::string& topology) const {
    return root_ / "sys/bus/usb/devices" / topology;
  }
  // "/…/dev/bus/usb/001/004" of what is plugged in there.
  std::string bus_file(const std::string& topology) const;

  // A CP2102 with the terminal; without one when `tty` is empty.
  static Adapter Cp2102(const std::string& tty);

  // Plugs the adapter in, under a new device number; what was there is pulled out first.
  void Plug(const std::string& topology, const Adapter& adapter);
  void Unplug(const std::string& topology);
  // A hub, "1-2" or "usb1". With `switched`, its ports have the kernel's switch.
  void AddHub(const std::string& hub, int ports, bool switched);
  // The folder of a hub's port.
  std::filesystem::path hub_port(const std::string& hub, int port) const;
  // A process that has the file open.
  void AddProcess(int pid, const std::string& command, const std::string& open_file);
  void EndProcess(int pid);

  // One line of text, with the folders it needs.
  static void Write(const std::filesystem::path& path, const std::string& content);

 private:
  std::filesystem::path root_;
  std::map<std::string, std::vector<std::string>> files_;  // in dev, by topology
  int last_number_ = 0;
};

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_FAKE_USB_TREE_H_
