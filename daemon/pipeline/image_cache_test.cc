#include "daemon/pipeline/image_cache.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/barrier.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {
namespace {

std::vector<uint8_t> Bytes(size_t size) { return std::vector<uint8_t>(size, 0x5a); }

TEST(ImageCacheTest, SharesAnImageAndKeepsItWhileThereIsRoom) {
  ImageCache cache(1000);
  int loads = 0;
  const auto load = [&] {
    ++loads;
    return absl::StatusOr<std::vector<uint8_t>>(Bytes(600));
  };
  const esp::PreparedImage* const first = cache.Get("a", load)->get();
  EXPECT_EQ(cache.Get("a", load)->get(), first);
  EXPECT_EQ(loads, 1);
  // Another one takes its room.
  ASSERT_TRUE(cache.Get("b", load).ok());
  ASSERT_TRUE(cache.Get("a", load).ok());
  EXPECT_EQ(loads, 3);
}

TEST(ImageCacheTest, AnImageInUseIsSharedWhateverItsSize) {
  ImageCache cache(10);
  const auto load = [] { return absl::StatusOr<std::vector<uint8_t>>(Bytes(600)); };
  const ImageCache::Image used = *cache.Get("a", load);
  const auto never = []() -> absl::StatusOr<std::vector<uint8_t>> {
    return absl::InternalError("loaded again");
  };
  const auto again = cache.Get("a", never);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, used);
}

TEST(ImageCacheTest, AFailureIsPassedOnAndNotRemembered) {
  ImageCache cache(1000);
  const auto fail = []() -> absl::StatusOr<std::vector<uint8_t>> {
    return absl::DataLossError("damaged");
  };
  EXPECT_TRUE(absl::IsDataLoss(cache.Get("a", fail).status()));
  EXPECT_TRUE(cache.Get("a", [] { return absl::StatusOr<std::vector<uint8_t>>(Bytes(1)); }).ok());
}

TEST(ImageCacheTest, FourPortsLoadOnce) {
  ImageCache cache(100000);
  std::atomic<int> loads = 0;
  absl::Barrier* const barrier = new absl::Barrier(4);
  std::vector<std::thread> ports;
  for (int i = 0; i < 4; ++i) {
    ports.emplace_back([&] {
      if (barrier->Block()) delete barrier;
      const auto image = cache.Get("a", [&] {
        ++loads;
        return absl::StatusOr<std::vector<uint8_t>>(Bytes(50000));
      });
      EXPECT_TRUE(image.ok());
    });
  }
  for (std::thread& port : ports) port.join();
  EXPECT_EQ(loads, 1);
}

}  // namespace
}  // namespace kiln::pipeline
