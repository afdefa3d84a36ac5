#include "daemon/config_reader.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace kiln::daemon {

void ConfigProblems::Add(const toml::source_region& where, absl::string_view what) {
  AddLine(where.begin.line, what);
}

void ConfigProblems::AddLine(uint32_t line, absl::string_view what) {
  problems_.emplace(line, absl::StrCat(source_, ":", line, ": ", what));
}

std::string ConfigProblems::Text() const {
  std::string text;
  for (const auto& [line, problem] : problems_) {
    absl::StrAppend(&text, text.empty() ? "" : "\n", problem);
  }
  return text;
}

ConfigSection::ConfigSection(const toml::table& table, std::string name, ConfigProblems& problems)
    : table_(table), name_(std::move(name)), problems_(problems) {}

const toml::node* ConfigSection::Take(absl::string_view key) {
  known_.insert(std::string(key));
  return table_.get(std::string(key));
}

std::string ConfigSection::Path(absl::string_view key) const {
  return name_.empty() ? std::string(key) : absl::StrCat(name_, ".", key);
}

void ConfigSection::String(absl::string_view key, std::string& value, const StringCheck& check) {
  const toml::node* node = Take(key);
  if (node == nullptr) return;
  const auto* text = node->as_string();
  if (text == nullptr) {
    problems_.Add(node->source(), absl::StrCat(Path(key), " must be a string in quotes"));
    return;
  }
  if (text->get().find('\0') != std::string::npos) {
    problems_.Add(node->source(), absl::StrCat(Path(key), " must not hold a NUL character"));
    return;
  }
  if (const std::string wrong = check(text->get()); !wrong.empty()) {
    problems_.Add(node->source(),
                  absl::StrCat(Path(key), " ", wrong, ", and is \"", text->get(), "\""));
    return;
  }
  value = text->get();
}

void ConfigSection::Strings(absl::string_view key, std::vector<std::string>& values, size_t most,
                            const StringCheck& check) {
  const toml::node* node = Take(key);
  if (node == nullptr) return;
  const toml::array* array = node->as_array();
  if (array == nullptr || array->size() > most) {
    problems_.Add(node->source(),
                  absl::StrCat(Path(key), " must be a list of at most ", most, " strings"));
    return;
  }
  std::vector<std::string> parsed;
  for (const toml::node& element : *array) {
    const auto* text = element.as_string();
    if (text == nullptr) {
      problems_.Add(element.source(), absl::StrCat(Path(key), " must hold strings in quotes"));
      return;
    }
    if (const std::string wrong = check(text->get()); !wrong.empty()) {
      problems_.Add(element.source(),
                    absl::StrCat(Path(key), " ", wrong, ", and holds \"", text->get(), "\""));
      return;
    }
    parsed.push_back(text->get());
  }
  values = std::move(parsed);
}

void ConfigSection::Integer(absl::string_view key, int64_t& value, int64_t minimum,
                            int64_t maximum) {
  const toml::node* node = Take(key);
  if (node == nullptr) return;
  const auto* number = node->as_integer();
  if (number == nullptr || number->get() < minimum || number->get() > maximum) {
    problems_.Add(node->source(), absl::StrCat(Path(key), " must be a whole number from ", minimum,
                                               " to ", maximum));
    return;
  }
  value = number->get();
}

void ConfigSection::Boolean(absl::string_view key, bool& value) {
  const toml::node* node = Take(key);
  if (node == nullptr) return;
  if (const auto* boolean = node->as_boolean(); boolean != nullptr) {
    value = boolean->get();
  } else {
    problems_.Add(node->source(), absl::StrCat(Path(key), " must be true or false"));
  }
}

void ConfigSection::Duration(absl::string_view key, absl::Duration& value, absl::Duration minimum,
                             absl::Duration maximum) {
  const toml::node* node = Take(key);
  if (node == nullptr) return;
  absl::Duration parsed;
  const auto* text = node->as_string();
  if (text == nullptr || !absl::ParseDuration(text->get(), &parsed) || parsed < minimum ||
      parsed > maximum) {
    problems_.Add(
        node->source(),
        absl::StrCat(Path(key), " must be a duration such as \"30s\" from ",
                     absl::FormatDuration(minimum), " to ", absl::FormatDuration(maximum)));
    return;
  }
  value = parsed;
}

void ConfigSection::Tables(absl::string_view key,
                           const std::function<void(const toml::table&)>& read) {
  const toml::node* node = Take(key);
  if (node == nullptr) return;
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    problems_.Add(node->source(), absl::StrCat("write [[", Path(key), "]] with two brackets"));
    return;
  }
  for (const toml::node& element : *array) {
    if (const toml::table* table = element.as_table(); table != nullptr) {
      read(*table);
    } else {
      problems_.Add(element.source(), absl::StrCat(Path(key), " must be a list of tables"));
    }
  }
}

void ConfigSection::Table(absl::string_view key,
                          const std::function<void(const toml::table&)>& read) {
  const toml::node* node = Take(key);
  if (node == nullptr) return;
  if (const toml::table* table = node->as_table(); table != nullptr) {
    read(*table);
  } else {
    problems_.Add(node->source(), absl::StrCat(Path(key), " must be a table: [", Path(key), "]"));
  }
}

void ConfigSection::Complain(absl::string_view key, absl::string_view what) {
  const toml::node* node = table_.get(std::string(key));
  problems_.Add(node == nullptr ? table_.source() : node->source(),
                absl::StrCat(Path(key), " ", what));
}

void ConfigSection::RefuseUnknownKeys() {
  for (const auto& [key, node] : table_) {
    const std::string name(key.str());
    if (known_.count(name) == 0) {
      problems_.Add(key.source(), absl::StrCat("unknown key ", Path(name)));
    }
  }
}

}  // namespace kiln::daemon
