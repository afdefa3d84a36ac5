#include "daemon/esp/prepared_image.h"

#include <zlib.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/types/span.h"
#include "base/digest.h"
#include "gtest/gtest.h"

namespace kiln::esp {
namespace {

using Bytes = std::vector<uint8_t>;

// Half compressible, as code is.
Bytes SomeImage(size_t size) {
  std::mt19937 random(42);
  Bytes bytes(size);
  for (uint8_t& byte : bytes) byte = random() % 2 ? 0x13 : static_cast<uint8_t>(random());
  return bytes;
}

Bytes Inflate(const DeflateStream& stream) {
  Bytes plain(stream.plain_bytes() + 16);
  uLongf size = plain.size();
  EXPECT_EQ(uncompress(plain.data(), &size, stream.bytes().data(), stream.bytes().size()), Z_OK);
  plain.resize(size);
  return plain;
}

Bytes Part(const PreparedImage& image, uint32_t begin, uint32_t end) {
  const auto part = image.padded().subspan(begin, end - begin);
  return Bytes(part.begin(), part.end());
}

TEST(PreparedImageTest, PadsToWordsWithErasedBytes) {
  const auto image = PrepareImage({1, 2, 3, 4, 5});

  EXPECT_EQ(image->size(), 5u);
  EXPECT_EQ(Bytes(image->padded().begin(), image->padded().end()),
            (Bytes{1, 2, 3, 4, 5, 0xFF, 0xFF, 0xFF}));
  EXPECT_EQ(image->md5(), base::Md5(Bytes{1, 2, 3, 4, 5, 0xFF, 0xFF, 0xFF}));
}

TEST(PreparedImageTest, FindsTheEndOfTheContent) {
  const struct {
    std::string name;
    size_t size;
    int last_content;  // index of the last byte that is not 0xFF
    uint32_t end;
  } cases[] = {
      {"nothing but erased flash", 20480, -1, 0},
      {"first byte only", 20480, 0, 4096},
      {"last byte of a sector", 20480, 4095, 4096},
      {"first byte of a sector", 20480, 4096, 8192},
      {"full", 20480, 20479, 20480},
      {"content in an unfinished last sector", 5000, 4999, 5000},
      {"unfinished last sector is blank", 5000, 4095, 4096},
  };
  for (const auto& c : cases) {
    Bytes bytes(c.size, 0xFF);
    if (c.last_content >= 0) bytes[c.last_content] = 0x12;
    EXPECT_EQ(PrepareImage(bytes)->content_end(), c.end) << c.name;
  }
}

TEST(PreparedImageTest, StreamsInflateToTheirPart) {
  Bytes bytes = SomeImage(200'001);
  bytes.resize(260'000, 0xFF);
  const auto image = PrepareImage(bytes);

  for (const auto& [begin, end] : std::vector<std::pair<uint32_t, uint32_t>>{
           {0, image->content_end()}, {65536, 131072}, {131072, 260'000}, {0, 260'000}}) {
    const auto stream = image->Compressed(begin, end);
    EXPECT_EQ(stream->plain_bytes(), end - begin);
    EXPECT_EQ(Inflate(*stream), Part(*image, begin, end)) << begin << " to " << end;
    EXPECT_EQ(image->Md5Of(begin, end), base::Md5(Part(*image, begin, end)));
  }
}

TEST(PreparedImageTest, CompressesEveryPartOnceForAllThreads) {
  const auto image = PrepareImage(SomeImage(300'000));
  std::vector<std::shared_ptr<const DeflateStream>> streams(4);
  std::vector<std::thread> threads;
  for (auto& stream : streams) {
    threads.emplace_back([&] { stream = image->Compressed(65536, 196608); });
  }
  for (std::thread& thread : threads) thread.join();

  for (const auto& stream : streams) EXPECT_EQ(stream.get(), streams[0].get());
}

TEST(PreparedImageTest, KeepsAtMostSixtyFourParts) {
  const auto image = PrepareImage(SomeImage(400'000));
  const std::weak_ptr<const DeflateStream> first = image->Compressed(0, 4096);
  for (uint32_t i = 1; i < 90; ++i) image->Compressed(i * 4096, (i + 1) * 4096);

  EXPECT_TRUE(first.expired());
}

TEST(DeflateStreamTest, KnowsWhatABlockInflatesTo) {
  Bytes plain = SomeImage(100'000);
  plain.insert(plain.end(), 900'000, 0);  // the last bytes of the stream inflate enormously
  const DeflateStream stream(plain, 9);

  uint32_t former = 0;
  for (size_t sent = 0; sent <= stream.bytes().size(); sent += 1024) {
    const uint32_t after = stream.PlainBytesAfter(sent);
    EXPECT_GE(after, former) << sent;
    former = after;
  }
  EXPECT_EQ(stream.PlainBytesAfter(0), 0u);
  const uint32_t middle = stream.PlainBytesAfter(16384);
  EXPECT_GT(middle, 16384u);
  EXPECT_LT(middle, 60'000u);
  EXPECT_EQ(stream.PlainBytesAfter(stream.bytes().size()), plain.size());
}

TEST(BlankMd5Test, IsTheDigestOfErasedFlash) {
  EXPECT_EQ(BlankMd5(4096), base::Md5(Bytes(4096, 0xFF)));
  EXPECT_NE(BlankMd5(4096), BlankMd5(8192));
}

}  // namespace
}  // namespace kiln::esp
