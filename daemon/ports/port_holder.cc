#include "daemon/ports/port_holder.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace kiln::ports {
namespace {

namespace fs = std::filesystem;

// The kernel's limit for a process's name is 15 bytes (TASK_COMM_LEN); they are
// another program's choice, so only what is printable is shown.
std::string CommandOf(const fs::path& process) {
  std::ifstream file(process / "comm");
  std::string name;
  std::getline(file, name);
  std::replace_if(name.begin(), name.end(), [](char c) { return !absl::ascii_isprint(c); }, '?');
  return name.empty() ? "a process" : name.substr(0, 15);
}

bool HasOpen(const fs::path& process, const fs::path& device) {
  std::error_code error;
  // Links are only read, never followed: following one may wait on a network.
  for (fs::directory_iterator it(process / "fd", error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;
    if (fs::read_symlink(it->path(), ignored) == device) return true;
  }
  return false;
}

}  // namespace

std::string FindHolder(const std::string& path, const std::string& proc_root) {
  std::error_code error;
  const fs::path device = fs::canonical(path, error);
  return error ? "" : FindHolderOfNode(device.string(), proc_root);
}

std::string FindHolderOfNode(const std::string& node, const std::string& proc_root) {
  std::error_code error;
  for (fs::directory_iterator it(proc_root, error), end; !error && it != end; it.increment(error)) {
    int pid = 0;
    if (!absl::SimpleAtoi(it->path().filename().string(), &pid)) continue;
    if (HasOpen(it->path(), node)) {
      return absl::StrCat(CommandOf(it->path()), " (pid ", pid, ")");
    }
  }
  return "";
}

}  // namespace kiln::ports
