#include "daemon/boards/configured_ports.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "daemon/boards/port_access.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::boards {
namespace {

using errors::ErrorCode;
using ::testing::HasSubstr;

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kiln-ports-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(ConfiguredPortsTest, SeesABoardComeGoAndComeAgain) {
  Folder folder;
  const std::string path = folder.path() + "/board";
  base::UniqueFd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_EQ(::unlockpt(master.get()), 0);
  char slave[64];
  ASSERT_EQ(::ptsname_r(master.get(), slave, sizeof(slave)), 0);
  auto source =
      MakeConfiguredPorts({{.name = "bench-1", .alias = "A1", .address = "pty://" + path}}).value();

  std::vector<FoundPort> found = source->Scan();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].name, "bench-1");
  EXPECT_EQ(found[0].alias, "A1");
  EXPECT_EQ(found[0].address, "pty://" + path);
  EXPECT_FALSE(found[0].present);

  ASSERT_EQ(::symlink(slave, path.c_str()), 0);
  found = source->Scan();
  EXPECT_TRUE(found[0].present);
  EXPECT_TRUE(found[0].usable.ok()) << found[0].usable;
  EXPECT_EQ(found[0].device, slave);
  const std::string instance = found[0].instance;

  ASSERT_EQ(::unlink(path.c_str()), 0);
  ASSERT_EQ(::symlink(slave, path.c_str()), 0);
  found = source->Scan();
  EXPECT_TRUE(found[0].present);
  EXPECT_NE(found[0].instance, instance) << "it was gone in between";
}

TEST(ConfiguredPortsTest, SocketsAreAlwaysThereAndNamesWithoutAddressNever) {
  auto source = MakeConfiguredPorts({{.name = "emulator", .address = "socket://localhost:5555"},
                                     {.name = "usb-1-2.3", .alias = "A1"}})
                    .value();
  const std::vector<FoundPort> found = source->Scan();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_TRUE(found[0].present);
  EXPECT_FALSE(found[1].present);
  EXPECT_EQ(found[1].opener, nullptr);
}

TEST(ConfiguredPortsTest, AnEmptyPortSaysWhereItAwaitsABoardOfTheBus) {
  Folder folder;
  const std::string path = folder.path() + "/usb-Silicon_Labs_CP2102N-if00-port0";
  auto source = MakeConfiguredPorts({{.name = "bench-1", .address = path},
                                     {.name = "simulated", .address = "pty://" + path + "2"},
                                     {.name = "emulator", .address = "socket://localhost:5555"}})
                    .value();
  ASSERT_EQ(::symlink("gone", path.c_str()), 0) << "a link that leads nowhere";
  std::vector<FoundPort> found = source->Scan();
  EXPECT_FALSE(found[0].present);
  EXPECT_EQ(found[0].awaited, path);
  EXPECT_EQ(found[1].awaited, "") << "a pseudo-terminal is not on the bus";
  EXPECT_EQ(found[2].awaited, "");
  ASSERT_EQ(::unlink(path.c_str()), 0);
  ASSERT_EQ(::symlink("/dev/null", path.c_str()), 0);
  found = source->Scan();
  EXPECT_TRUE(found[0].present);
  EXPECT_EQ(found[0].awaited, "");
}

struct BadCase {
  std::vector<PortConfig> configs;
  std::string why;
};

TEST(ConfiguredPortsTest, SaysWhichPortIsWrongAndWhy) {
  const std::string address = "/dev/ttyUSB0";
  for (const BadCase& test : {
           BadCase{{{"", "", address}}, "a name has"},
           BadCase{{{"พอร์ต", "", address}}, "a name has"},
           BadCase{{{"a/b", "", address}}, "a name has"},
           BadCase{{{"-a", "", address}}, "a name has"},
           BadCase{{{std::string(65, 'a'), "", address}}, "a name has"},
           BadCase{{{"a", "b c", address}}, "port \"a\": an alias has"},
           BadCase{{{"a", "", "COM3"}}, "port \"a\": address \"COM3\""},
           BadCase{{{"a", "", address}, {"a", "", "/dev/ttyUSB1"}}, "this name is used twice"},
           BadCase{{{"a", "a", address}}, "alias \"a\" is used twice"},
           BadCase{{{"a", "x", address}, {"b", "x", "/dev/ttyUSB1"}}, "port \"b\": the alias"},
           BadCase{{{"a", "", address}, {"b", "", address}}, "same address"},
       }) {
    const absl::Status status = MakeConfiguredPorts(test.configs).status();
    EXPECT_TRUE(errors::Is(status, ErrorCode::kRequestInvalid)) << test.why << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(test.why));
  }
}

TEST(PortAccessTest, TellsWhatThisUserMayNotOpen) {
  Folder folder;
  const std::string path = folder.path() + "/device";
  base::UniqueFd file(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  ASSERT_TRUE(file.valid());
  EXPECT_TRUE(CheckAccess("").ok());
  EXPECT_TRUE(CheckAccess(path).ok());
  EXPECT_TRUE(CheckAccess(folder.path() + "/gone").ok());
  if (::geteuid() == 0) GTEST_SKIP() << "root may open anything";
  ASSERT_EQ(::fchmod(file.get(), 0400), 0);
  EXPECT_TRUE(errors::Is(CheckAccess(path), ErrorCode::kPortPermission));
}

}  // namespace
}  // namespace kiln::boards
