#include "simulator/demo_image.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace kiln::simulator {
namespace {

TEST(DemoImageTest, IsTheSameForTheSameSeed) {
  const DemoImage one = MakeDemoImage(esp::Chip::kEsp32, 100000, 7);
  EXPECT_EQ(one.application, MakeDemoImage(esp::Chip::kEsp32, 100000, 7).application);
  EXPECT_NE(one.application, MakeDemoImage(esp::Chip::kEsp32, 100000, 8).application);
}

TEST(DemoImageTest, HasTheSizeAskedFor) {
  for (const uint32_t size : {4096u, 65536u, 200000u, 1048576u, 3000000u}) {
    EXPECT_EQ(MakeDemoImage(esp::Chip::kEsp32S3, size, 1).application.size(), size / 16 * 16);
  }
}

TEST(DemoImageTest, CompressesAsRealCodeDoes) {
  const std::vector<uint8_t> app = MakeDemoImage(esp::Chip::kEsp32, 1048576, 1).application;
  uLongf size = compressBound(app.size());
  std::vector<uint8_t> compressed(size);
  ASSERT_EQ(compress2(compressed.data(), &size, app.data(), app.size(), 9), Z_OK);
  const double ratio = static_cast<double>(size) / app.size();
  EXPECT_GT(ratio, 0.62);
  EXPECT_LT(ratio, 0.68);
}

TEST(DemoImageTest, WritesABuildFolder) {
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) / "kiln_demo_bundle";
  std::filesystem::remove_all(folder);

  const absl::Status status =
      WriteDemoBundle(MakeDemoImage(esp::Chip::kEsp32C6, 65536, 1), folder.string());

  ASSERT_TRUE(status.ok()) << status;
  std::ifstream file(folder / "flasher_args.json");
  const nlohmann::json args = nlohmann::json::parse(file);
  EXPECT_EQ(args["extra_esptool_args"]["chip"], "esp32c6");
  EXPECT_EQ(args["flash_files"].size(), 3u);
  for (const auto& [offset, name] : args["flash_files"].items()) {
    EXPECT_TRUE(std::filesystem::exists(folder / name.get<std::string>())) << name;
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace kiln::simulator
