#include "clients/cli/table.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace kiln::cli {
namespace {

TEST(DisplayWidthTest, CountsColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth(""), 0);
  EXPECT_EQ(DisplayWidth("abc"), 3);
  EXPECT_EQ(DisplayWidth("พร้อม"), 4);  // the tone mark stands above
  EXPECT_EQ(DisplayWidth("ที่อยู่"), 3);   // vowels and tone marks above and below
  EXPECT_EQ(DisplayWidth("📡"), 2);
  EXPECT_EQ(DisplayWidth("\xff\xfe"), 2);
  EXPECT_EQ(DisplayWidth("\xe0\xb8"), 2);  // cut in the middle of a character
}

TEST(TableTest, AlignsColumnsWithThaiTextInThem) {
  Table table({"A", "B", "C"});
  table.AddRow({"พร้อม", "x", ""});
  table.AddRow({"long word", "y"});
  EXPECT_EQ(table.Render(),
            "A          B  C\n"
            "พร้อม       x\n"
            "long word  y\n");
}

TEST(FormatTest, BytesGrowUnits) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(1536), "1.5 KiB");
  EXPECT_EQ(HumanBytes(24 << 10), "24 KiB");
  EXPECT_EQ(HumanBytes(3 << 19), "1.5 MiB");
}

TEST(FormatTest, DurationsReadNaturally) {
  EXPECT_EQ(HumanDuration(absl::Milliseconds(3240)), "3.2 s");
  EXPECT_EQ(HumanDuration(absl::Seconds(65)), "1 min 05 s");
}

}  // namespace
}  // namespace kiln::cli
