#ifndef KILN_DAEMON_FIRMWARE_BUILD_TEMPLATE_H_
#define KILN_DAEMON_FIRMWARE_BUILD_TEMPLATE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "daemon/esp/image/nvs_value.h"
#include "daemon/firmware/package.h"

// A template: a kiln-template.toml that says what may be chosen for a firmware, and usually the
// PlatformIO project it is built from. docs/firmware-guide.md explains the file.

namespace kiln::firmware {

inline constexpr absl::string_view kTemplateFile = "kiln-template.toml";

// One thing that may be chosen. Texts are clean UTF-8.
struct TemplateVariable {
  enum class Type { kString, kInteger, kBoolean };
  // Where its value goes: beside a board's identity, so that nothing is built for it, or through a
  // header into the program.
  enum class Place { kNvs, kHeader };

  std::string name;  // "greeting"; the key in NVS, KILN_GREETING in C
  Type type = Type::kString;
  Place place = Place::kNvs;
  std::string description;
  std::optional<std::string> default_value;  // checked like a value; without one, it must be set
  // Strings: a regular expression (RE2) that the whole value matches, empty for any; and its bytes.
  std::string pattern;
  int64_t max_bytes = 64;
  // Integers: the limits, both included.
  int64_t minimum = 0;
  int64_t maximum = 0;
};

// A value that its variable allows.
struct TemplateValue {
  std::string name;
  TemplateVariable::Type type = TemplateVariable::Type::kString;
  TemplateVariable::Place place = TemplateVariable::Place::kNvs;
  std::string text;     // as given: of a string the value itself
  int64_t number = 0;   // of an integer
  bool is_set = false;  // of a boolean
};

struct Template {
  std::string title;
  std::string version;
  std::string environment;                  // of platformio.ini; empty without a project
  std::vector<std::string> headers;         // paths that get the values
  std::string nvs_namespace;                // of the values that go there
  std::vector<TemplateVariable> variables;  // in the order of their names
  std::string sha256;  // over paths and contents, whatever the package around them
};

// Reads and checks the template at the top of `package`. TemplateInvalid names the line.
absl::StatusOr<Template> ReadTemplate(const Package& package);

enum class Purpose { kBuild, kFinishedBundle };

// The value of every variable, chosen or default, in the order of their names; for a finished
// bundle of those that go into NVS alone. TemplateValueInvalid names the variable: unknown,
// missing, of the wrong form, outside its limits, or compiled in already.
absl::StatusOr<std::vector<TemplateValue>> ChooseValues(
    const Template& project, const std::map<std::string, std::string>& chosen, Purpose purpose);

// Those of `values` that go to one place.
std::vector<TemplateValue> ValuesFor(TemplateVariable::Place place,
                                     const std::vector<TemplateValue>& values);

// Those that go into NVS, as a board gets them: strings as such, integers as i32, booleans as u8.
std::vector<esp::NvsValue> NvsValuesOf(const Template& project,
                                       const std::vector<TemplateValue>& values);

// Digest of values as ChooseValues gives them.
std::string DigestOf(const std::vector<TemplateValue>& values);

}  // namespace kiln::firmware

#endif  // KILN_DAEMON_FIRMWARE_BUILD_TEMPLATE_H_
