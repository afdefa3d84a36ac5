#include "daemon/firmware/build/template.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/file_system.h"
#include "daemon/esp/image/nvs_value.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::firmware {
namespace {

using errors::ErrorCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kGood[] = R"(
title = "Hello"
version = "1.2.0"
environment = "board"
headers = ["include/kiln_values.h"]

[variables.greeting]
type = "string"
description = "What it says"
place = "header"
max_bytes = 40
default = "สวัสดี"

[variables.site]
type = "string"
pattern = "[A-Z]{3}[0-9]+"

[variables.interval]
type = "integer"
minimum = 1
maximum = 3600
default = 60

[variables.beeps]
type = "boolean"
place = "nvs"
default = false
)";

Package PackageOf(absl::string_view toml) {
  return Package::FromFiles(
      {{"kiln-template.toml", std::string(toml)}, {"platformio.ini", "[env:board]"}});
}

Template Good() { return *ReadTemplate(PackageOf(kGood)); }

TEST(TemplateTest, ReadsWhatMayBeChosen) {
  const auto project = ReadTemplate(PackageOf(kGood));

  ASSERT_TRUE(project.ok()) << project.status();
  EXPECT_EQ(project->title, "Hello");
  EXPECT_EQ(project->version, "1.2.0");
  EXPECT_EQ(project->environment, "board");
  EXPECT_THAT(project->headers, ElementsAre("include/kiln_values.h"));
  ASSERT_EQ(project->variables.size(), 4u);
  EXPECT_EQ(project->nvs_namespace, "app");
  EXPECT_EQ(project->variables[0].name, "beeps");
  EXPECT_EQ(project->variables[0].place, TemplateVariable::Place::kNvs);
  EXPECT_EQ(project->variables[1].place, TemplateVariable::Place::kHeader);
  EXPECT_EQ(project->variables[1].description, "What it says");
  EXPECT_EQ(project->variables[2].maximum, 3600);
  EXPECT_EQ(project->variables[2].place, TemplateVariable::Place::kNvs) << "the default";
  EXPECT_FALSE(project->variables[3].default_value.has_value());
}

TEST(TemplateTest, ThoseOfTheGuideAreTemplates) {
  const auto guide = base::SystemFileSystem().ReadFile("docs/firmware-guide.md", 1 << 20);
  ASSERT_TRUE(guide.ok()) << guide.status();
  int found = 0;
  for (const absl::string_view block : absl::StrSplit(*guide, "```")) {
    if (!absl::StartsWith(block, "toml\n")) continue;
    ++found;
    std::map<std::string, std::string> files = {
        {"kiln-template.toml", std::string(block.substr(5))}};
    if (absl::StrContains(block, "environment =")) files["platformio.ini"] = "";
    const auto project = ReadTemplate(Package::FromFiles(std::move(files)));
    EXPECT_TRUE(project.ok()) << block << project.status();
  }
  EXPECT_EQ(found, 2);
}

TEST(TemplateTest, TheDigestIsOfTheContents) {
  const std::string digest = Good().sha256;

  EXPECT_EQ(digest.size(), 64u);
  EXPECT_EQ(Good().sha256, digest);
  EXPECT_NE(ReadTemplate(PackageOf(absl::StrCat(kGood, "#")))->sha256, digest);
}

TEST(TemplateTest, RefusesWhatIsWrongAndNamesTheLine) {
  const struct {
    const char* toml;
    const char* says;
  } cases[] = {
      {"", "title is missing"},
      {"title = 'x'\nenvironment = 'a b'\nheaders=['a.h']", "2: environment must name"},
      {"title = 'x'\nenvironment = '-x'\nheaders=['a.h']", "environment must name"},
      {"title = 'x'\nenvironment = 'b'\nheaders = []", "3: headers must list"},
      {"title = 'x'", "environment must name"},
      {"title = 'x'\nenvironment = 'b'\n[variables.x]\ntype = 'boolean'\nplace = 'header'",
       "headers is missing: x goes into one"},
      {"title = 'x'\nenvironment = 'b'\nnamespace = 'My app'", "3: namespace must be lower-case"},
      {"title = 'x'\nenvironment = 'b'\nnamespace = 'sixteen_letters_'", "3: namespace must be"},
      {"title = 'x'\nenvironment = 'b'\nheaders = ['../x.h']", "3: headers must be paths"},
      {"title = 'x'\nenvironment = 'b'\nheaders = ['/x.h']", "headers must be paths"},
      {"title = 'x'\nenvironment = 'b'\nheaders = ['.x.h']", "headers must be paths"},
      {"title = 'x'\nenvironment = 'b'\nheaders = ['x.c']", "headers must be paths"},
      {"title = 'x'\nenvironment = 'b'\nheaders = [7]", "headers must be paths"},
      {"title = 'x'\nenvironment = 'b'\nheaders = ['x.h']\nsurprise = 1", "4: surprise is not"},
      {"title = 7", "1: title must be a text"},
      {"title = ", "kiln-template.toml:1: "},
      {"[variables.X]\ntype = 'string'", "variables.X must be a table named by"},
      {"[variables]\nx = 1", "variables.x must be a table"},
      {"[variables.x]\ntype = 'float'", "2: variables.x.type must be"},
      {"[variables.x]\ntype = 'string'\nplace = 'flash'", "3: variables.x.place must be"},
      {"[variables.sixteen_letters_]\ntype = 'string'", "place is NVS, whose keys have at most 15"},
      {"[variables.x]\ntype = 'string'\npattern = '('", "3: variables.x.pattern is wrong"},
      {"[variables.x]\ntype = 'string'\nminimum = 3", "3: variables.x.minimum is not known"},
      {"[variables.x]\ntype = 'integer'\nmaximum = 3000000000", "3: variables.x.maximum must be"},
      {"[variables.x]\ntype = 'integer'\nmaximum = 3\ndefault = 4",
       "4: variables.x.default is not"},
      {"[variables.x]\ntype = 'boolean'\ndefault = 1", "3: variables.x.default is not allowed"},
      {"[variables.x]\ntype = 'string'\ndefault = 1.5", "variables.x.default must be a text"},
  };
  for (const auto& [toml, says] : cases) {
    const std::string text =
        absl::StartsWith(toml, "[variables")
            ? absl::StrCat("title='t'\nenvironment='b'\nheaders=['x.h']\n", toml)
            : std::string(toml);
    const auto project = ReadTemplate(PackageOf(text));
    ASSERT_FALSE(project.ok()) << toml;
    EXPECT_TRUE(errors::Is(project.status(), ErrorCode::kTemplateInvalid));
    // The lines of the table's own text.
    std::string message(project.status().message());
    if (absl::StartsWith(toml, "[variables")) {
      const size_t at = message.find(".toml:") + 6;
      message = absl::StrCat(message.substr(0, at), std::stoi(message.substr(at)) - 3,
                             message.substr(message.find(':', at)));
    }
    EXPECT_THAT(message, HasSubstr(says)) << toml;
  }
}

TEST(TemplateTest, AHeaderReplacesNothingOfTheTemplate) {
  const Package package = Package::FromFiles(
      {{"kiln-template.toml", kGood}, {"platformio.ini", ""}, {"include/kiln_values.h", "mine"}});

  EXPECT_THAT(std::string(ReadTemplate(package).status().message()), HasSubstr("would replace"));
}

TEST(TemplateTest, MayHaveNoProjectButNeverHalfOfOne) {
  const auto read = [](const char* toml) {
    return ReadTemplate(Package::FromFiles({{"kiln-template.toml", toml}}));
  };
  EXPECT_THAT(std::string(ReadTemplate(Package::FromFiles({})).status().message()),
              HasSubstr("no kiln-template.toml"));
  EXPECT_THAT(std::string(read(kGood).status().message()), HasSubstr("no platformio.ini"));
  const auto project = read("title = 'x'\n[variables.x]\ntype = 'string'");
  ASSERT_TRUE(project.ok()) << project.status();
  EXPECT_EQ(project->environment, "");
}

TEST(TemplateTest, ChosenValuesGoBeforeDefaults) {
  const auto values = ChooseValues(Good(), {{"site", "BKK7"}, {"interval", "5"}}, Purpose::kBuild);

  ASSERT_TRUE(values.ok()) << values.status();
  ASSERT_EQ(values->size(), 4u);
  EXPECT_FALSE((*values)[0].is_set);
  EXPECT_EQ((*values)[1].text, "สวัสดี");
  EXPECT_EQ((*values)[2].number, 5);
  EXPECT_EQ((*values)[3].text, "BKK7");
}

TEST(TemplateTest, ValuesForNvsHaveTheTypesThatProgramsRead) {
  const auto values = ChooseValues(Good(), {{"site", "BKK7"}, {"beeps", "true"}}, Purpose::kBuild);
  ASSERT_TRUE(values.ok()) << values.status();

  EXPECT_THAT(NvsValuesOf(Good(), *values),
              ElementsAre(esp::NvsValue{"app", "beeps", uint8_t{1}},
                          esp::NvsValue{"app", "interval", int32_t{60}},
                          esp::NvsValue{"app", "site", "BKK7"}));
  const auto compiled = ValuesFor(TemplateVariable::Place::kHeader, *values);
  ASSERT_EQ(compiled.size(), 1u);
  EXPECT_EQ(compiled[0].name, "greeting");
}

TEST(TemplateTest, AFinishedBundleTakesNoValueThatIsCompiledIn) {
  const auto values = ChooseValues(Good(), {{"site", "BKK7"}}, Purpose::kFinishedBundle);
  ASSERT_TRUE(values.ok()) << values.status();
  EXPECT_EQ(values->size(), 3u) << "its greeting is what it was built with";

  const absl::Status refused =
      ChooseValues(Good(), {{"site", "BKK7"}, {"greeting", "ho"}}, Purpose::kFinishedBundle)
          .status();
  EXPECT_TRUE(errors::Is(refused, ErrorCode::kTemplateValueInvalid));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("greeting is compiled in"));
}

TEST(TemplateTest, RefusesValuesThatAreNotAllowed) {
  const struct {
    std::map<std::string, std::string> chosen;
    const char* says;
  } cases[] = {
      {{}, "site has no default and must be set"},
      {{{"site", "bkk7"}}, "site does not match [A-Z]{3}[0-9]+"},
      {{{"site", "BKK7 "}}, "site does not match"},
      {{{"site", "BKK7\n"}}, "site has control characters"},
      {{{"site", std::string("BKK7\0", 5)}}, "site has control characters"},
      {{{"site", std::string(65, 'A')}}, "site has 65 bytes; at most 64"},
      {{{"site", "A\xff"}}, "or is not UTF-8"},
      {{{"site", "BKK7"}, {"interval", "0"}}, "interval must be a whole number from 1 to 3600"},
      {{{"site", "BKK7"}, {"interval", "1e3"}}, "interval must be"},
      {{{"site", "BKK7"}, {"interval", "99999999999999999999"}}, "interval must be"},
      {{{"site", "BKK7"}, {"beeps", "yes"}}, "beeps must be true or false"},
      {{{"site", "BKK7"}, {"volume", "1"}}, "no variable \"volume\""},
  };
  for (const auto& [chosen, says] : cases) {
    const auto values = ChooseValues(Good(), chosen, Purpose::kBuild);
    ASSERT_FALSE(values.ok()) << says;
    EXPECT_TRUE(errors::Is(values.status(), ErrorCode::kTemplateValueInvalid));
    EXPECT_THAT(std::string(values.status().message()), HasSubstr(says));
  }
}

TEST(TemplateTest, TheDigestOfValuesIsOfWhatIsBuilt) {
  const auto digest = [](std::map<std::string, std::string> chosen) {
    chosen.emplace("site", "BKK7");
    return DigestOf(*ChooseValues(Good(), chosen, Purpose::kBuild));
  };
  EXPECT_EQ(digest({}), digest({{"interval", "60"}}));
  EXPECT_EQ(digest({{"interval", "7"}}), digest({{"interval", "07"}}));
  EXPECT_NE(digest({}), digest({{"interval", "61"}}));
}

}  // namespace
}  // namespace kiln::firmware
