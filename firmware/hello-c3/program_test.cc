// The built program, as the parts that meet it see it: the importer, and a simulated board, which
// knows no more of it than that its image is valid.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/image/image_header.h"
#include "daemon/firmware/bundle_checks.h"
#include "daemon/firmware/importer.h"
#include "daemon/firmware/package.h"
#include "daemon/identity/nvs_partition.h"
#include "simulator/boot.h"
#include "simulator/faults.h"
#include "simulator/flash_memory.h"

namespace kiln::hello_c3 {
namespace {

using ::testing::HasSubstr;

constexpr esp::MacAddress kMac = {0x7C, 0xDF, 0xA1, 0x00, 0x00, 0x01};

std::vector<uint8_t> Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<uint8_t> Built(absl::string_view name) {
  return Contents(absl::StrCat(HELLO_C3_FOLDER, "/", name));
}

TEST(HelloC3Test, IsAValidImageForTheChip) {
  const std::vector<uint8_t> image = Built("hello-c3.bin");

  const auto facts = esp::ParseImage(image);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->header.chip, esp::Chip::kEsp32C3);
  EXPECT_TRUE(facts->header.hash_appended);
  EXPECT_EQ(facts->total_bytes, image.size());
  ASSERT_TRUE(facts->app.has_value());
  EXPECT_EQ(facts->app->project_name, "hello-c3");
  EXPECT_EQ(facts->app->version, "1.0.0");
  // Where the mask ROM looks, and where a second-stage bootloader looks.
  EXPECT_EQ(Built("bootloader.bin"), image);
}

std::vector<uint8_t> FlashWithIdentity() {
  std::vector<uint8_t> flash(0x20000, 0xFF);
  const auto put = [&flash](uint32_t offset, const std::vector<uint8_t>& bytes) {
    std::copy(bytes.begin(), bytes.end(), flash.begin() + offset);
  };
  put(0, Built("bootloader.bin"));
  put(0x8000, Built("partition-table.bin"));
  put(0x10000, Built("hello-c3.bin"));
  auto nvs = *identity::NvsPartition::Create(0x6000);
  EXPECT_TRUE(nvs.PutString("kiln", "customer_id", "BGK001").ok());
  put(0x9000, *nvs.Image());
  return flash;
}

TEST(HelloC3Test, ASimulatedBoardStartsIt) {
  simulator::FlashMemory flash(*simulator::FindFlashPart("GD25Q32C"));
  flash.Load(FlashWithIdentity());

  const simulator::BootResult result = simulator::BootFromFlash(
      esp::Chip::kEsp32C3, kMac, flash, simulator::Faults(), simulator::ResetCause::kPowerOn);

  std::string said;
  for (const simulator::BootLine& line : result.lines) said += line.text;
  EXPECT_TRUE(result.started) << said;
  EXPECT_THAT(said, HasSubstr("entry 0x40380000"));
  EXPECT_THAT(said, HasSubstr("Project name:     hello-c3"));
  EXPECT_THAT(said, HasSubstr("\"customer_id\":\"BGK001\""));
}

TEST(HelloC3Test, ASimulatedBoardRefusesADamagedCopy) {
  std::vector<uint8_t> contents = FlashWithIdentity();
  contents[0x100] ^= 1;
  simulator::FlashMemory flash(*simulator::FindFlashPart("GD25Q32C"));
  flash.Load(contents);

  EXPECT_FALSE(simulator::BootFromFlash(esp::Chip::kEsp32C3, kMac, flash, simulator::Faults(),
                                        simulator::ResetCause::kPowerOn)
                   .started);
}

// The build folder under `folder`, built anew there from a copy of the sources.
std::string BuiltElsewhere(const std::filesystem::path& folder) {
  const std::filesystem::path sources = folder / "firmware" / "hello-c3";
  std::filesystem::create_directories(sources.parent_path());
  std::filesystem::copy(HELLO_C3_SOURCES, sources, std::filesystem::copy_options::recursive);
  const std::string command =
      absl::StrCat("'", (sources / "build").string(), "' '", (folder / "out").string(), "'");
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  return (folder / "out").string();
}

TEST(HelloC3Test, TheSameSourceMakesTheSameBytesInAnyFolder) {
  const std::filesystem::path temp =
      std::filesystem::path(::testing::TempDir()) / "kiln-hello-c3-builds";
  std::filesystem::remove_all(temp);

  const std::string one = BuiltElsewhere(temp / "one");
  const std::string two = BuiltElsewhere(temp / "two, with another name");

  for (const absl::string_view name : {"hello-c3.bin", "partition-table.bin", "hello-c3.elf"}) {
    const auto digest = [name](absl::string_view folder) {
      return base::HexOf(base::Sha256(Contents(absl::StrCat(folder, "/", name))));
    };
    EXPECT_EQ(digest(one), digest(two)) << name;
    EXPECT_EQ(digest(one), digest(HELLO_C3_FOLDER)) << name;
  }
  std::filesystem::remove_all(temp);
}

}  // namespace
}  // namespace kiln::hello_c3
