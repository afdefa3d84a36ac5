#include "daemon/ports/port_holder.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <system_error>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace kiln::ports {
namespace {

namespace fs = std::filesystem;

// ModemManager asks every new terminal whether it is a modem, brltty takes CP210x and CH34x for
// braille displays (espressif/esp-idf issue 9372).
constexpr std::array<absl::string_view, 2> kSeizers = {"ModemManager", "brltty"};

constexpr int kNobody = -1;  // no process is passed over

// Majors of pseudo-terminals (Linux, Documentation/admin-guide/devices.txt).
constexpr unsigned kFirstPtsMajor = 136;
constexpr unsigned kLastPtsMajor = 143;

// The kernel's limit for a process's name is 15 bytes (TASK_COMM_LEN); they are
// another program's choice, so only what is printable is shown.
std::string CommandOf(const fs::path& process) {
  std::ifstream file(process / "comm");
  std::string name;
  std::getline(file, name);
  std::replace_if(name.begin(), name.end(), [](char c) { return !absl::ascii_isprint(c); }, '?');
  return name.empty() ? "a process" : name.substr(0, 15);
}

std::string Describe(const fs::path& process, int pid) {
  return absl::StrCat(CommandOf(process), " (pid ", pid, ")");
}

bool IsSeizer(const std::string& command) {
  return std::find(kSeizers.begin(), kSeizers.end(), command) != kSeizers.end();
}

// Calls `visit` for each process until it answers false.
void ForEachProcess(const std::string& proc_root,
                    absl::FunctionRef<bool(const fs::path& process, int pid)> visit) {
  std::error_code error;
  for (fs::directory_iterator it(proc_root, error), end; !error && it != end; it.increment(error)) {
    int pid = 0;
    if (!absl::SimpleAtoi(it->path().filename().string(), &pid)) continue;
    if (!visit(it->path(), pid)) return;
  }
}

// Calls `visit` with each of the process's links to an open file, and the name of that file.
void ForEachOpenFile(const fs::path& process,
                     absl::FunctionRef<void(const fs::path& link, const std::string& file)> visit) {
  std::error_code error;
  // Links are only read, not followed: following one may wait on a network.
  for (fs::directory_iterator it(process / "fd", error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;
    visit(it->path(), fs::read_symlink(it->path(), ignored).string());
  }
}

// Whether a file that bears the name of `device` is another one all the same: a process in a
// container has a /dev of its own. Names are believed where there is nothing to compare.
bool IsAnotherDevice(const fs::path& link, const std::string& device) {
  struct stat theirs = {};
  struct stat ours = {};
  if (::stat(link.c_str(), &theirs) != 0 || ::stat(device.c_str(), &ours) != 0) return false;
  if (theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino) return false;
  // A node of its own may stand for the same device. Pseudo-terminals are numbered by each devpts.
  const bool pseudo_terminal =
      major(ours.st_rdev) >= kFirstPtsMajor && major(ours.st_rdev) <= kLastPtsMajor;
  return !S_ISCHR(theirs.st_mode) || !S_ISCHR(ours.st_mode) || theirs.st_rdev != ours.st_rdev ||
         pseudo_terminal;
}

// What the links of `paths` end in, and the path asked for.
std::map<std::string, std::string> DevicesOf(const std::vector<std::string>& paths) {
  std::map<std::string, std::string> by_device;
  for (const std::string& path : paths) {
    std::error_code error;
    const fs::path device = fs::canonical(path, error);
    if (!error) by_device[device.string()] = path;
  }
  return by_device;
}

// The holders of the devices, by the path asked for.
std::map<std::string, std::string> LookForHolders(
    const std::map<std::string, std::string>& by_device, const std::string& proc_root,
    int passed_over) {
  std::map<std::string, std::string> holders;
  if (by_device.empty()) return holders;
  ForEachProcess(proc_root, [&](const fs::path& process, int pid) {
    if (pid == passed_over) return true;
    ForEachOpenFile(process, [&](const fs::path& link, const std::string& file) {
      const auto it = by_device.find(file);
      if (it == by_device.end() || IsAnotherDevice(link, file)) return;
      holders.try_emplace(it->second, Describe(process, pid));
    });
    return holders.size() < by_device.size();
  });
  return holders;
}

}  // namespace

std::string FindHolder(const std::string& path, const std::string& proc_root) {
  const std::map<std::string, std::string> holders =
      LookForHolders(DevicesOf({path}), proc_root, kNobody);
  return holders.empty() ? "" : holders.begin()->second;
}

std::string FindHolderOfNode(const std::string& node, const std::string& proc_root) {
  const std::map<std::string, std::string> holders =
      LookForHolders({{node, node}}, proc_root, kNobody);
  return holders.empty() ? "" : holders.begin()->second;
}

std::map<std::string, std::string> FindHolders(const std::vector<std::string>& paths,
                                               const std::string& proc_root) {
  return LookForHolders(DevicesOf(paths), proc_root, ::getpid());
}

bool HeldByThisProcess(const std::string& path, const std::string& proc_root) {
  std::error_code error;
  const fs::path device = fs::canonical(path, error);
  if (error) return false;
  bool held = false;
  ForEachOpenFile(fs::path(proc_root) / "self",
                  [&](const fs::path& /*link*/, const std::string& file) {
                    held = held || file == device.string();
                  });
  return held;
}

std::string FindSeizer(const std::string& proc_root) {
  std::string seizer;
  ForEachProcess(proc_root, [&seizer](const fs::path& process, int pid) {
    if (IsSeizer(CommandOf(process))) seizer = Describe(process, pid);
    return seizer.empty();
  });
  return seizer;
}

std::string DescribeUse(const std::string& path, const std::string& holder,
                        const std::string& proc_root) {
  const std::string seizer = holder.empty() ? FindSeizer(proc_root) : "";
  std::string words = absl::StrCat(path, " is in use");
  if (!holder.empty()) {
    words = absl::StrCat(path, " is held by ", holder);
  } else if (!seizer.empty()) {
    absl::StrAppend(&words, ", perhaps by ", seizer);
  }
  if (!seizer.empty() || IsSeizer(holder.substr(0, holder.find(' ')))) {
    absl::StrAppend(&words, ", which tries out new adapters; Kiln's udev rules keep it away");
  }
  return words;
}

}  // namespace kiln::ports
