#include "daemon/firmware/build/value_header.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::firmware {
namespace {

using Type = TemplateVariable::Type;

TemplateValue Text(const std::string& name, const std::string& text) {
  return {.name = name, .type = Type::kString, .text = text};
}

TEST(ValueHeaderTest, EveryKindOfValueBecomesAMacro) {
  const std::string header =
      RenderValueHeader({Text("site", "BKK 7"),
                         {.name = "low", .type = Type::kInteger, .text = "-5", .number = -5},
                         {.name = "beeps", .type = Type::kBoolean, .text = "true", .is_set = true},
                         {.name = "quiet", .type = Type::kBoolean, .text = "false"}});

  EXPECT_THAT(header, ::testing::EndsWith("#define KILN_SITE \"BKK 7\"\n"
                                          "#define KILN_LOW (-5)\n"
                                          "#define KILN_BEEPS 1\n"
                                          "#define KILN_QUIET 0\n"));
}

TEST(ValueHeaderTest, WhatIsNotPlainIsOctal) {
  EXPECT_EQ(StringLiteral("a\"b\\c\n"), "\"a\\042b\\134c\\012\"");
  EXPECT_EQ(StringLiteral("?\?/"), "\"\\077\\077/\"");
  EXPECT_EQ(StringLiteral("ก9"), "\"\\340\\270\\2019\"");
  EXPECT_EQ(StringLiteral(""), "\"\"");
}

// Pieces that have broken generators before.
const char* const kPieces[] = {
    "\"", "\\",  "\\\"", "\\n", "\n",      "\r",  "\t", "?\?/", "?\?=", "?\?/\"", "%s", "%", "//",
    "/*", "*/",  "#",    "'",   "\\x41",   "\\0", "0",  "777",  "R\"(", ")\"",    "$",  "@", "\x7f",
    "ก",  "โรง", "é",    "🌐",  "\\u00e9", "a",   "Z",  " ",    "\\\n", "{",      "}",  "`"};

std::vector<std::string> HostileTexts() {
  std::mt19937 random(20261126);
  std::vector<std::string> texts = {"", "?\?/\"; evil(); //", "\\"};
  for (int i = 0; i < 400; ++i) {
    std::string text;
    for (uint32_t n = random() % 12; n > 0; --n) text += kPieces[random() % std::size(kPieces)];
    if (i % 10 == 0) {
      for (int n = 0; n < 8; ++n) text += static_cast<char>(1 + random() % 255);
    }
    texts.push_back(text);
  }
  return texts;
}

// The compiler itself is asked what each literal is.
void CheckWithCompiler(const std::string& language, const std::string& command) {
  const std::vector<std::string> texts = HostileTexts();
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) / absl::StrCat("kiln-header-", language);
  std::filesystem::create_directories(folder);
  std::vector<TemplateValue> values;
  for (size_t i = 0; i < texts.size(); ++i) values.push_back(Text(absl::StrCat("v", i), texts[i]));
  std::ofstream(folder / "values.h", std::ios::binary) << RenderValueHeader(values);
  std::ofstream source(folder / absl::StrCat("main.", language));
  source << "#include <stdio.h>\n#include \"values.h\"\nint main(void) {\n";
  for (size_t i = 0; i < texts.size(); ++i) {
    source << "fwrite(KILN_V" << i << ", 1, sizeof(KILN_V" << i << "), stdout);\n";
  }
  source << "return 0; }\n";
  source.close();

  const std::string run = absl::StrCat("cd '", folder.string(), "' && ", command, " -Werror main.",
                                       language, " -o main && ./main > said");
  ASSERT_EQ(std::system(run.c_str()), 0) << run;

  std::string expected;
  for (const std::string& text : texts) absl::StrAppend(&expected, text, std::string(1, '\0'));
  std::ifstream said(folder / "said", std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(said), {}), expected);
  std::filesystem::remove_all(folder);
}

TEST(ValueHeaderTest, TheCCompilerReadsBackWhatWasChosen) {
  // With trigraphs, which C11 still has.
  CheckWithCompiler("c", "cc -std=c11 -Wall -Wtrigraphs");
}

TEST(ValueHeaderTest, TheCppCompilerReadsBackWhatWasChosen) {
  CheckWithCompiler("cc", "c++ -std=c++17 -trigraphs -Wall");
}

}  // namespace
}  // namespace kiln::firmware
