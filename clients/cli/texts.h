#ifndef KILN_CLIENTS_CLI_TEXTS_H_
#define KILN_CLIENTS_CLI_TEXTS_H_

#include <initializer_list>
#include <string>

#include "absl/strings/string_view.h"
#include "errors/error.h"
#include "kiln/v1/station.pb.h"

namespace kiln::cli {

using Language = errors::Language;

enum class TextId {
#define KILN_TEXT(name, ...) k##name,
#include "clients/cli/texts.inc"
#undef KILN_TEXT
};

// The command line's words in one language. Immutable; cheap to copy.
class Texts {
 public:
  explicit Texts(Language language) : language_(language) {}

  Language language() const { return language_; }
  absl::string_view Get(TextId id) const;
  // The text with each "{}" replaced by the next value.
  std::string Format(TextId id, std::initializer_list<absl::string_view> values) const;

  absl::string_view Of(v1::Board::State state) const;
  absl::string_view Of(v1::Deployment::State state) const;
  absl::string_view Of(v1::Batch::State state) const;
  absl::string_view Of(v1::Step step) const;
  absl::string_view Of(v1::Health::Level level) const;

 private:
  Language language_;
};

int TextCount();

// The language of `option` ("en" or "th") or, when that is empty, of the locale's name
// ("th_TH.UTF-8").
Language ChooseLanguage(absl::string_view option, absl::string_view locale);

}  // namespace kiln::cli

#endif  // KILN_CLIENTS_CLI_TEXTS_H_
