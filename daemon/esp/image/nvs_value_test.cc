#include "daemon/esp/image/nvs_value.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"

namespace kiln::esp {
namespace {

TEST(NvsValueTest, IsTheSameAfterItsTextsWereRead) {
  const NvsValue values[] = {{"app", "greeting", "สวัสดี 7"},
                             {"app", "empty", ""},
                             {"app", "low", int32_t{-2147483647 - 1}},
                             {"a.b-c", "high", int32_t{2147483647}},
                             {"fifteen_letters", "on", uint8_t{255}}};
  for (const NvsValue& value : values) {
    const auto read =
        MakeNvsValue(value.nvs_namespace, value.key, NvsTypeOf(value), NvsTextOf(value));
    ASSERT_TRUE(read.ok()) << value.key << ": " << read.status();
    EXPECT_EQ(*read, value) << value.key;
  }
}

TEST(NvsValueTest, RefusesWhatIsNone) {
  const struct {
    const char* nvs_namespace;
    const char* key;
    const char* type;
    const char* text;
  } cases[] = {{"", "k", "string", "x"},
               {"n", "", "string", "x"},
               {"sixteen_letters_", "k", "string", "x"},
               {"n", "two words", "string", "x"},
               {"n", "k\n", "string", "x"},
               {"n", "กุญแจ", "string", "x"},
               {"n", "k", "", "x"},
               {"n", "k", "blob", "x"},
               {"n", "k", "i32", ""},
               {"n", "k", "i32", "one"},
               {"n", "k", "i32", "2147483648"},
               {"n", "k", "u8", "256"},
               {"n", "k", "u8", "-1"}};
  for (const auto& wrong : cases) {
    EXPECT_FALSE(MakeNvsValue(wrong.nvs_namespace, wrong.key, wrong.type, wrong.text).ok())
        << wrong.nvs_namespace << "." << wrong.key << " " << wrong.type << " " << wrong.text;
  }
}

}  // namespace
}  // namespace kiln::esp
