#include "daemon/pipeline/flash_layout.h"

#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Pieces(const firmware::Bundle& bundle) {
  std::vector<std::string> texts;
  for (const ImagePiece& piece : PiecesAround(bundle, {.offset = 0x9000, .size = 0x6000})) {
    texts.push_back(absl::StrFormat("%s@%x[%x+%x]", piece.image->label, piece.flash_offset(),
                                    piece.begin, piece.size));
  }
  return texts;
}

TEST(FlashLayoutTest, ImagesBesideTheIdentityStayWhole) {
  firmware::Bundle bundle;
  bundle.images = {{.label = "table", .offset = 0x8000, .size = 0x1000},
                   {.label = "app", .offset = 0xf000, .size = 0x100}};
  EXPECT_THAT(Pieces(bundle), ElementsAre("table@8000[0+1000]", "app@f000[0+100]"));
}

TEST(FlashLayoutTest, AMergedImageIsCutAroundTheIdentity) {
  firmware::Bundle bundle;
  bundle.images = {{.label = "merged", .offset = 0, .size = 0x20000}};
  EXPECT_THAT(Pieces(bundle), ElementsAre("merged@0[0+9000]", "merged@f000[f000+11000]"));
}

TEST(FlashLayoutTest, WhatLiesInTheIdentityIsLeftOut) {
  firmware::Bundle bundle;
  bundle.images = {{.label = "end", .offset = 0x8000, .size = 0x2000},
                   {.label = "inside", .offset = 0xa000, .size = 0x1000},
                   {.label = "start", .offset = 0xe000, .size = 0x2000}};
  EXPECT_THAT(Pieces(bundle), ElementsAre("end@8000[0+1000]", "start@f000[1000+1000]"));
}

TEST(FlashLayoutTest, NumbersAtTheEdgeDoNotWrap) {
  firmware::Bundle bundle;
  bundle.images = {{.label = "huge", .offset = 0xfffff000, .size = 0xffffffff}};
  EXPECT_THAT(Pieces(bundle), ElementsAre("huge@fffff000[0+ffffffff]"));
}

}  // namespace
}  // namespace kiln::pipeline
