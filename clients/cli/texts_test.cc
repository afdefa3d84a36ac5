#include "clients/cli/texts.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace kiln::cli {
namespace {

int Placeholders(absl::string_view text) {
  int count = 0;
  for (size_t at = text.find("{}"); at != absl::string_view::npos; at = text.find("{}", at + 2)) {
    ++count;
  }
  return count;
}

TEST(TextsTest, EveryTextStandsInBothLanguagesWithTheSamePlaceholders) {
  const Texts english(Language::kEnglish);
  const Texts thai(Language::kThai);
  for (int i = 0; i < TextCount(); ++i) {
    const TextId id = static_cast<TextId>(i);
    EXPECT_FALSE(english.Get(id).empty()) << i;
    EXPECT_FALSE(thai.Get(id).empty()) << english.Get(id);
    EXPECT_EQ(Placeholders(english.Get(id)), Placeholders(thai.Get(id))) << english.Get(id);
  }
}

TEST(TextsTest, FormatsInOrderAndToleratesTooFewOrTooManyValues) {
  const Texts texts(Language::kEnglish);
  EXPECT_EQ(texts.Format(TextId::kRetryStarted, {"d1", "2"}), "Retrying d1, attempt 2.");
  EXPECT_EQ(texts.Format(TextId::kRetryStarted, {"d1"}), "Retrying d1, attempt {}.");
  EXPECT_EQ(texts.Format(TextId::kCancelAsked, {"d1", "x"}), "Asked d1 to stop.");
}

TEST(TextsTest, EveryStateAndStepHasAWord) {
  const Texts texts(Language::kThai);
  for (int state = v1::Deployment::STATE_PENDING; state <= v1::Deployment::State_MAX; ++state) {
    EXPECT_NE(texts.Of(static_cast<v1::Deployment::State>(state)), "?");
  }
  for (int step = v1::STEP_PREPARE; step <= v1::Step_MAX; ++step) {
    EXPECT_NE(texts.Of(static_cast<v1::Step>(step)), "");
  }
  for (int state = v1::Board::STATE_ABSENT; state <= v1::Board::State_MAX; ++state) {
    EXPECT_NE(texts.Of(static_cast<v1::Board::State>(state)), "?");
  }
}

TEST(ChooseLanguageTest, PrefersTheOptionThenTheLocale) {
  EXPECT_EQ(ChooseLanguage("", "th_TH.UTF-8"), Language::kThai);
  EXPECT_EQ(ChooseLanguage("en", "th_TH.UTF-8"), Language::kEnglish);
  EXPECT_EQ(ChooseLanguage("th", "C"), Language::kThai);
  EXPECT_EQ(ChooseLanguage("", ""), Language::kEnglish);
}

}  // namespace
}  // namespace kiln::cli
