#include "simulator/usb/mock/mocked_testbed.h"

#include <linux/capability.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "absl/base/internal/raw_logging.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace kiln::simulator {
namespace {

namespace fs = std::filesystem;

// For a listener that is busy with a whole step of a deployment.
constexpr int kRoomTimeoutMs = 30'000;
// Of the sockets by which umockdev reaches the listeners in its folder, and of those it must not.
constexpr char kListenerPrefix[] = "event";
constexpr char kDeafPrefix[] = "deaf-event";

// Root may open any file. Without these two capabilities it is refused what others are: the mode of
// a node means something. Of this thread and those it starts.
void ObeyFileModes() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return;
  data[0].effective &= ~(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH);
  ::syscall(SYS_capset, &header, data);
}

std::string TakeString(gchar* text) {
  const std::string copy = text;
  g_free(text);
  return copy;
}

}  // namespace

MockedTestbed::MockedTestbed()
    : testbed_(umockdev_testbed_new()), root_(TakeString(umockdev_testbed_get_root_dir(testbed_))) {
  ABSL_RAW_CHECK(umockdev_in_mock_environment(), "to be run under umockdev-wrapper");
  ObeyFileModes();
  // libusb does not start without these.
  fs::create_directories(PathOf("/dev/bus/usb/001"));
  fs::create_directories(PathOf("/sys/bus/usb/devices"));
}

MockedTestbed::~MockedTestbed() { g_object_unref(testbed_); }

std::string MockedTestbed::PathOf(absl::string_view path) const {
  return absl::StrCat(root_, path);
}

void MockedTestbed::Add(const std::string& description) {
  for (absl::string_view device : absl::StrSplit(description, "\n\n", absl::SkipWhitespace())) {
    AwaitRoomForEvent();
    GError* error = nullptr;
    const std::string text = absl::StrCat(device, "\n\n");
    if (!umockdev_testbed_add_from_string(testbed_, text.c_str(), &error)) {
      ABSL_RAW_LOG(FATAL, "umockdev: %s", error->message);
    }
  }
}

void MockedTestbed::Remove(const std::string& devpath) {
  const std::string path = absl::StrCat("/sys", devpath);
  AwaitRoomForEvent();
  // Removing alone sends no event.
  umockdev_testbed_uevent(testbed_, path.c_str(), "remove");
  umockdev_testbed_remove_device(testbed_, path.c_str());
}

void MockedTestbed::MakeNode(const std::string& path) {
  const fs::path real = PathOf(path);
  fs::create_directories(real.parent_path());
  std::ofstream node(real);
}

void MockedTestbed::SetOpenable(const std::string& path, bool openable) {
  constexpr fs::perms kEverybody = fs::perms::owner_read | fs::perms::owner_write |
                                   fs::perms::group_read | fs::perms::group_write |
                                   fs::perms::others_read | fs::perms::others_write;
  fs::permissions(PathOf(path), openable ? kEverybody : fs::perms::none);
}

void MockedTestbed::AttachIoctl(const std::string& path, UMockdevIoctlBase* handler) {
  GError* error = nullptr;
  if (!umockdev_testbed_attach_ioctl(testbed_, path.c_str(), handler, &error)) {
    ABSL_RAW_LOG(FATAL, "umockdev: %s", error->message);
  }
}

void MockedTestbed::DetachIoctl(const std::string& path) {
  umockdev_testbed_detach_ioctl(testbed_, path.c_str(), nullptr);
}

void MockedTestbed::LoseEvents(bool lose) {
  // umockdev sends to whoever has a socket of the first kind of name.
  const std::string from = lose ? kListenerPrefix : kDeafPrefix;
  const std::string to = lose ? kDeafPrefix : kListenerPrefix;
  std::vector<fs::path> sockets;
  for (const fs::directory_entry& entry : fs::directory_iterator(root_)) {
    if (absl::StartsWith(entry.path().filename().string(), from)) sockets.push_back(entry.path());
  }
  for (const fs::path& path : sockets) {
    fs::rename(path, path.parent_path() / (to + path.filename().string().substr(from.size())));
  }
}

void MockedTestbed::AwaitRoomForEvent() const {
  std::error_code unreadable;
  for (const fs::directory_entry& entry : fs::directory_iterator(root_, unreadable)) {
    const std::string path = entry.path().string();
    if (!absl::StartsWith(entry.path().filename().string(), kListenerPrefix)) continue;
    const base::UniqueFd probe(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    ABSL_RAW_CHECK(path.size() < sizeof(address.sun_path), "the testbed's path is too long");
    path.copy(address.sun_path, path.size());
    // Refused: nobody listens there any more.
    if (::connect(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      continue;
    }
    // A connected datagram socket can be written to when the other's queue has room.
    pollfd wait = {.fd = probe.get(), .events = POLLOUT, .revents = 0};
    ::poll(&wait, 1, kRoomTimeoutMs);
  }
}

}  // namespace kiln::simulator
