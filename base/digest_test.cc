#include "base/digest.h"

#include "gtest/gtest.h"

namespace kiln::base {
namespace {

// FIPS 180-2, appendix B.1, and RFC 1321, appendix A.5.
TEST(DigestTest, MatchesThePublishedVectors) {
  EXPECT_EQ(HexOf(Sha256(AsBytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(HexOf(Md5(AsBytes("abc"))), "900150983cd24fb0d6963f7d28e17f72");
}

TEST(DigestTest, StreamedPiecesEqualTheWhole) {
  Sha256Stream stream;
  stream.Update(AsBytes("a"));
  stream.Update(AsBytes(""));
  stream.Update(AsBytes("bc"));
  EXPECT_EQ(HexOf(stream.Finish()), HexOf(Sha256(AsBytes("abc"))));
}

}  // namespace
}  // namespace kiln::base
