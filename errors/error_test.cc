#include "errors/error.h"

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "base/status_builder.h"
#include "gtest/gtest.h"

namespace kiln::errors {
namespace {

bool HasThai(const std::string& text) {
  // U+0E00..U+0E7F are the three-byte sequences E0 B8 80 .. E0 B9 BF.
  return absl::StrContains(text, "\xe0\xb8") || absl::StrContains(text, "\xe0\xb9");
}

TEST(CatalogueTest, EveryErrorIsCompleteInBothLanguages) {
  for (const CatalogueEntry& entry : Catalogue()) {
    SCOPED_TRACE(std::string(entry.name));
    EXPECT_FALSE(entry.english.message.empty());
    EXPECT_TRUE(absl::EndsWith(entry.english.message, "."));
    EXPECT_FALSE(HasThai(entry.english.message));
    EXPECT_TRUE(HasThai(entry.thai.message));
    EXPECT_FALSE(entry.english.tips.empty());
    EXPECT_EQ(entry.english.tips.size(), entry.thai.tips.size());
    for (const std::string& tip : entry.english.tips) EXPECT_FALSE(HasThai(tip)) << tip;
  }
}

TEST(CatalogueTest, NamesAreUniqueAndParseBack) {
  std::set<std::string> names;
  for (const CatalogueEntry& entry : Catalogue()) {
    EXPECT_TRUE(names.insert(std::string(entry.name)).second) << entry.name;
    EXPECT_EQ(ParseErrorCode(entry.name), entry.code);
    EXPECT_EQ(Lookup(entry.code).name, entry.name);
  }
  EXPECT_FALSE(ParseErrorCode("NO_SUCH_ERROR").has_value());
}

TEST(CatalogueTest, NamesAreUpperSnake) {
  EXPECT_EQ(Lookup(ErrorCode::kPortBusy).name, "PORT_BUSY");
  EXPECT_EQ(Lookup(ErrorCode::kInternal).name, "INTERNAL");
}

TEST(CatalogueTest, EveryClassHasTheNameOfTheSourceDocuments) {
  for (const CatalogueEntry& entry : Catalogue()) {
    const ClassTraits& traits = TraitsOf(entry.error_class);
    EXPECT_FALSE(traits.name.empty());
    EXPECT_FALSE(traits.legacy_type.empty());
    EXPECT_FALSE(traits.icon.empty());
  }
  EXPECT_EQ(TraitsOf(ErrorClass::kFlash).legacy_type, "PLATFORMIO_ERROR");
  EXPECT_EQ(TraitsOf(ErrorClass::kBoard).legacy_type, "ESP32_COMMUNICATION");
}

TEST(ErrorTest, CarriesItsCodeThroughAddedContext) {
  const absl::Status status =
      base::WithContext(MakeError(ErrorCode::kPortBusy, "held by minicom"), "opening usb-1-2");
  EXPECT_EQ(CodeOf(status), ErrorCode::kPortBusy);
  EXPECT_TRUE(Is(status, ErrorCode::kPortBusy));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), "opening usb-1-2: held by minicom");
}

TEST(ErrorTest, TypesOnlyWhatIsUntyped) {
  const absl::Status typed = MakeError(ErrorCode::kBoardSilent, "x");
  EXPECT_EQ(CodeOf(TypedAs(ErrorCode::kPortFailed, typed)), ErrorCode::kBoardSilent);
  EXPECT_EQ(CodeOf(TypedAs(ErrorCode::kPortFailed, absl::UnknownError("y"))),
            ErrorCode::kPortFailed);
  EXPECT_TRUE(TypedAs(ErrorCode::kPortFailed, absl::OkStatus()).ok());
}

TEST(ErrorTest, UntypedStatusesFallBackByCanonicalCode) {
  EXPECT_EQ(CodeOf(absl::DeadlineExceededError("")), ErrorCode::kStepTimedOut);
  EXPECT_EQ(CodeOf(absl::CancelledError("")), ErrorCode::kCancelledByOperator);
  EXPECT_EQ(CodeOf(absl::UnknownError("")), ErrorCode::kInternal);
  EXPECT_FALSE(Is(absl::OkStatus(), ErrorCode::kInternal));
}

}  // namespace
}  // namespace kiln::errors
