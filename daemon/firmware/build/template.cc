#include "daemon/firmware/build/template.h"

#include <re2/re2.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "errors/error.h"
#include "toml++/toml.h"

namespace kiln::firmware {
namespace {

using errors::ErrorCode;
using errors::MakeError;
using Place = TemplateVariable::Place;
using Type = TemplateVariable::Type;

constexpr size_t kMaxTemplateBytes = size_t{64} << 10;
// Where PlatformIO builds.
constexpr absl::string_view kBuildFolder = ".pio/";
constexpr size_t kMaxVariables = 100;
constexpr size_t kMaxHeaders = 8;
constexpr size_t kMaxNameBytes = 31;
constexpr size_t kMaxNvsNameBytes = 15;
constexpr char kDefaultNamespace[] = "app";
constexpr size_t kMaxPatternBytes = 200;
constexpr int64_t kMaxValueBytes = 1024;
// What an int of C holds on every chip, without the value that has no literal.
constexpr int64_t kMaxInteger = std::numeric_limits<int32_t>::max();
// RE2's own default is 8 MiB a pattern.
constexpr int64_t kMaxPatternMemory = int64_t{1} << 20;

bool IsName(absl::string_view name, size_t max_bytes = kMaxNameBytes) {
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && name.size() <= max_bytes && name[0] >= 'a' && name[0] <= 'z' &&
         std::all_of(name.begin(), name.end(), is_allowed);
}

// A relative path that stays inside and that no shell or build tool reads as anything but a name.
bool IsHeaderPath(absl::string_view path) {
  if (path.size() > 100 || !absl::EndsWith(path, ".h")) return false;
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part[0] == '.' || part[0] == '-') return false;
    for (const char c : part) {
      if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '_' || c == '-' || c == '.')) {
        return false;
      }
    }
  }
  return true;
}

RE2::Options QuietOptions() {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxPatternMemory);
  return options;
}

// Reads one table, each key once, and remembers the first thing that is wrong.
class Reader {
 public:
  Reader(const toml::table& table, std::string name) : table_(table), name_(std::move(name)) {}

  std::string Text(absl::string_view key, size_t max_bytes = 200) {
    const toml::node* node = Take(key);
    if (node == nullptr) return "";
    const auto text = node->value_exact<std::string>();
    if (!text.has_value() || text->size() > max_bytes || CleanText(*text, max_bytes) != *text) {
      Complain(key, absl::StrCat("must be a text of at most ", max_bytes,
                                 " bytes without control characters"));
      return "";
    }
    return *text;
  }

  int64_t Integer(absl::string_view key, int64_t otherwise, int64_t minimum, int64_t maximum) {
    const toml::node* node = Take(key);
    if (node == nullptr) return otherwise;
    const auto number = node->value_exact<int64_t>();
    if (!number.has_value() || *number < minimum || *number > maximum) {
      Complain(key, absl::StrCat("must be a number from ", minimum, " to ", maximum));
      return otherwise;
    }
    return *number;
  }

  const toml::node* Take(absl::string_view key) {
    known_.insert(std::string(key));
    return table_.get(std::string(key));
  }

  void Complain(absl::string_view key, absl::string_view what) {
    if (!status_.ok()) return;
    const toml::node* node = table_.get(std::string(key));
    const toml::source_region& where = node != nullptr ? node->source() : table_.source();
    status_ = MakeError(ErrorCode::kTemplateInvalid,
                        absl::StrCat(kTemplateFile, ":", where.begin.line, ": ", name_,
                                     name_.empty() ? "" : ".", key, " ", what));
  }

  absl::Status Finish() {
    for (const auto& [key, node] : table_) {
      const std::string name(key.str());
      if (!known_.contains(name)) Complain(name, "is not known");
    }
    return status_;
  }

 private:
  const toml::table& table_;
  const std::string name_;
  std::set<std::string> known_;
  absl::Status status_;
};

// `text` as a value of `variable`, or what is wrong with it.
absl::StatusOr<TemplateValue> Check(const TemplateVariable& variable, const std::string& text) {
  const auto wrong = [&variable](const auto&... parts) {
    return MakeError(ErrorCode::kTemplateValueInvalid, absl::StrCat(variable.name, " ", parts...));
  };
  TemplateValue value = {
      .name = variable.name, .type = variable.type, .place = variable.place, .text = text};
  switch (variable.type) {
    case Type::kString: {
      if (text.size() > static_cast<size_t>(variable.max_bytes)) {
        return wrong("has ", text.size(), " bytes; at most ", variable.max_bytes, " are allowed");
      }
      if (CleanText(text, text.size()) != text) {
        return wrong("has control characters, or is not UTF-8");
      }
      const RE2 pattern(variable.pattern, QuietOptions());
      if (!variable.pattern.empty() && !RE2::FullMatch(text, pattern)) {
        return wrong("does not match ", variable.pattern);
      }
      return value;
    }
    case Type::kInteger:
      if (!absl::SimpleAtoi(text, &value.number) || value.number < variable.minimum ||
          value.number > variable.maximum) {
        return wrong("must be a whole number from ", variable.minimum, " to ", variable.maximum);
      }
      value.text = absl::StrCat(value.number);
      return value;
    case Type::kBoolean:
      if (text != "true" && text != "false") return wrong("must be true or false");
      value.is_set = text == "true";
      return value;
  }
  return wrong("has no type");
}

// A default may be written as what it is, or as text.
std::string DefaultText(Reader& reader, const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto number = node.value_exact<int64_t>()) return absl::StrCat(*number);
  if (const auto is_set = node.value_exact<bool>()) return *is_set ? "true" : "false";
  reader.Complain("default", "must be a text, a number, or true or false");
  return "";
}

absl::StatusOr<TemplateVariable> ReadVariable(const std::string& name, const toml::node& node) {
  const toml::table* table = node.as_table();
  if (!IsName(name) || table == nullptr) {
    return MakeError(
        ErrorCode::kTemplateInvalid,
        absl::StrCat(kTemplateFile, ":", node.source().begin.line, ": variables.",
                     CleanText(name, 40),
                     " must be a table named by lower-case letters, digits and underscores"));
  }
  Reader reader(*table, absl::StrCat("variables.", name));
  TemplateVariable variable;
  variable.name = name;
  const std::string type = reader.Text("type");
  variable.description = reader.Text("description");
  const std::string place = reader.Text("place");
  if (place == "header") {
    variable.place = Place::kHeader;
  } else if (!place.empty() && place != "nvs") {
    reader.Complain("place", "must be \"nvs\" or \"header\"");
  } else if (name.size() > kMaxNvsNameBytes) {
    reader.Complain("place", absl::StrCat("is NVS, whose keys have at most ", kMaxNvsNameBytes,
                                          " characters; the name has ", name.size()));
  }
  if (type == "string") {
    variable.type = Type::kString;
    variable.max_bytes = reader.Integer("max_bytes", variable.max_bytes, 1, kMaxValueBytes);
    variable.pattern = reader.Text("pattern", kMaxPatternBytes);
    const RE2 pattern(variable.pattern, QuietOptions());
    if (!pattern.ok()) reader.Complain("pattern", absl::StrCat("is wrong: ", pattern.error()));
  } else if (type == "integer") {
    variable.type = Type::kInteger;
    variable.minimum = reader.Integer("minimum", -kMaxInteger, -kMaxInteger, kMaxInteger);
    variable.maximum = reader.Integer("maximum", kMaxInteger, -kMaxInteger, kMaxInteger);
  } else if (type == "boolean") {
    variable.type = Type::kBoolean;
  } else {
    reader.Complain("type", "must be \"string\", \"integer\" or \"boolean\"");
  }
  if (const toml::node* value = reader.Take("default"); value != nullptr) {
    variable.default_value = DefaultText(reader, *value);
    if (const auto checked = Check(variable, *variable.default_value); !checked.ok()) {
      reader.Complain("default", absl::StrCat("is not allowed: ", checked.status().message()));
    }
  }
  RETURN_IF_ERROR(reader.Finish());
  return variable;
}

// Over every path and every content, each with its length, so that nothing can be moved between.
std::string DigestOf(const Package& package) {
  std::string all;
  for (const auto& [path, content] : package.files()) {
    absl::StrAppend(&all, path.size(), ":", path, content.size(), ":", content);
  }
  return base::HexOf(base::Sha256(base::AsBytes(all)));
}

absl::Status ReadHeaders(const Package& package, const toml::node* node, Reader& reader,
                         Template& project) {
  if (node == nullptr) return absl::OkStatus();
  const toml::array* headers = node->as_array();
  if (headers == nullptr || headers->empty() || headers->size() > kMaxHeaders) {
    reader.Complain("headers", absl::StrCat("must list 1 to ", kMaxHeaders, " paths"));
    return reader.Finish();
  }
  for (const toml::node& entry : *headers) {
    const std::string path = entry.value_exact<std::string>().value_or("");
    if (!IsHeaderPath(path)) {
      reader.Complain("headers", "must be paths inside the template that end in .h");
    } else if (package.Find(path).has_value()) {
      reader.Complain("headers", absl::StrCat("would replace the template's own ", path));
    }
    project.headers.push_back(path);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Template> ReadTemplate(const Package& package) {
  const auto invalid = [](const auto&... parts) {
    return MakeError(ErrorCode::kTemplateInvalid, absl::StrCat(parts...));
  };
  const auto content = package.Find(kTemplateFile);
  if (!content.has_value()) return invalid("there is no ", kTemplateFile, " at the top");
  // Else what is imported might be what lay there, and not what was built.
  for (const auto& [path, file] : package.files()) {
    if (absl::StartsWith(path, kBuildFolder)) {
      return invalid("it holds ", CleanText(path, 100), ", which an earlier build left; leave ",
                     kBuildFolder, " out");
    }
  }
  if (content->size() > kMaxTemplateBytes) return invalid(kTemplateFile, " is too large");
  toml::table root;
  try {
    root = toml::parse(std::string(*content));
  } catch (const toml::parse_error& error) {
    return invalid(kTemplateFile, ":", error.source().begin.line, ": ",
                   CleanText(std::string(error.description())));
  }
  Reader reader(root, "");
  Template project;
  project.title = reader.Text("title");
  project.version = reader.Text("version");
  project.environment = reader.Text("environment", 60);
  if (project.title.empty()) reader.Complain("title", "is missing");
  const bool has_project = package.Find("platformio.ini").has_value();
  if (has_project && !RE2::FullMatch(project.environment, "[A-Za-z0-9][A-Za-z0-9_-]*")) {
    reader.Complain("environment", "must name an environment of platformio.ini");
  } else if (!has_project && !project.environment.empty()) {
    reader.Complain("environment", "is of no use: there is no platformio.ini at the top");
  }
  project.nvs_namespace = reader.Text("namespace", kMaxNvsNameBytes);
  if (project.nvs_namespace.empty()) project.nvs_namespace = kDefaultNamespace;
  if (!IsName(project.nvs_namespace, kMaxNvsNameBytes)) {
    reader.Complain("namespace", "must be lower-case letters, digits and underscores");
  }
  RETURN_IF_ERROR(ReadHeaders(package, reader.Take("headers"), reader, project));
  if (const toml::node* node = reader.Take("variables"); node != nullptr) {
    const toml::table* variables = node->as_table();
    if (variables == nullptr || variables->size() > kMaxVariables) {
      reader.Complain("variables", absl::StrCat("must be at most ", kMaxVariables, " tables"));
    } else {
      for (const auto& [key, entry] : *variables) {
        ASSIGN_OR_RETURN(TemplateVariable variable, ReadVariable(std::string(key.str()), entry));
        if (variable.place == Place::kHeader && project.headers.empty()) {
          reader.Complain("headers", absl::StrCat("is missing: ", variable.name, " goes into one"));
        }
        project.variables.push_back(std::move(variable));
      }
    }
  }
  RETURN_IF_ERROR(reader.Finish());
  std::sort(project.variables.begin(), project.variables.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  project.sha256 = DigestOf(package);
  return project;
}

absl::StatusOr<std::vector<TemplateValue>> ChooseValues(
    const Template& project, const std::map<std::string, std::string>& chosen, Purpose purpose) {
  std::vector<TemplateValue> values;
  std::set<std::string> known;
  for (const TemplateVariable& variable : project.variables) {
    known.insert(variable.name);
    const auto found = chosen.find(variable.name);
    if (purpose == Purpose::kFinishedBundle && variable.place == Place::kHeader) {
      if (found == chosen.end()) continue;
      return MakeError(ErrorCode::kTemplateValueInvalid,
                       absl::StrCat(variable.name,
                                    " is compiled in, and cannot be chosen for a finished bundle"));
    }
    if (found == chosen.end() && !variable.default_value.has_value()) {
      return MakeError(ErrorCode::kTemplateValueInvalid,
                       absl::StrCat(variable.name, " has no default and must be set"));
    }
    ASSIGN_OR_RETURN(
        TemplateValue value,
        Check(variable, found != chosen.end() ? found->second : *variable.default_value));
    values.push_back(std::move(value));
  }
  for (const auto& [name, text] : chosen) {
    if (!known.contains(name)) {
      return MakeError(ErrorCode::kTemplateValueInvalid,
                       absl::StrCat("the template has no variable \"", CleanText(name, 40), "\""));
    }
  }
  return values;
}

std::vector<TemplateValue> ValuesFor(TemplateVariable::Place place,
                                     const std::vector<TemplateValue>& values) {
  std::vector<TemplateValue> found;
  std::copy_if(values.begin(), values.end(), std::back_inserter(found),
               [place](const TemplateValue& value) { return value.place == place; });
  return found;
}

std::vector<esp::NvsValue> NvsValuesOf(const Template& project,
                                       const std::vector<TemplateValue>& values) {
  std::vector<esp::NvsValue> found;
  for (const TemplateValue& value : ValuesFor(Place::kNvs, values)) {
    esp::NvsValue& nvs = found.emplace_back();
    nvs.nvs_namespace = project.nvs_namespace;
    nvs.key = value.name;
    switch (value.type) {
      case Type::kString:
        nvs.value = value.text;
        break;
      case Type::kInteger:
        nvs.value = static_cast<int32_t>(value.number);
        break;
      case Type::kBoolean:
        nvs.value = static_cast<uint8_t>(value.is_set ? 1 : 0);
        break;
    }
  }
  return found;
}

std::string DigestOf(const std::vector<TemplateValue>& values) {
  std::string all;
  for (const TemplateValue& value : values) {
    absl::StrAppend(&all, value.name, "=", value.text.size(), ":", value.text);
  }
  return base::HexOf(base::Sha256(base::AsBytes(all)));
}

}  // namespace kiln::firmware
