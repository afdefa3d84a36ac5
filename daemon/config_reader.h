#ifndef KILN_DAEMON_CONFIG_READER_H_
#define KILN_DAEMON_CONFIG_READER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "toml++/toml.h"

namespace kiln::daemon {

// Collects what is wrong with a configuration, so that one run names everything.
class ConfigProblems {
 public:
  explicit ConfigProblems(std::string source) : source_(std::move(source)) {}
  void Add(const toml::source_region& where, absl::string_view what);
  void AddLine(uint32_t line, absl::string_view what);
  bool empty() const { return problems_.empty(); }
  // One problem a line, in the order of the file.
  std::string Text() const;

 private:
  const std::string source_;
  std::multimap<uint32_t, std::string> problems_;  // by line; equal lines keep their order
};

// Reads the keys of one table, each once, and knows at the end which keys nobody asked for. A key
// that is absent leaves its value alone; one that is wrong is a problem and leaves it alone too.
// Lives on the stack of ParseConfig.
class ConfigSection {
 public:
  // A check of a value: empty when it is fine, else what is wrong with it ("must be ...").
  using StringCheck = std::function<std::string(const std::string&)>;

  // `name` as in the file: "station". `problems` and `table` must outlive the section.
  ConfigSection(const toml::table& table, std::string name, ConfigProblems& problems);

  void String(absl::string_view key, std::string& value, const StringCheck& check);
  // A list of at most `most` strings, each checked.
  void Strings(absl::string_view key, std::vector<std::string>& values, size_t most,
               const StringCheck& check);
  void Integer(absl::string_view key, int64_t& value, int64_t minimum, int64_t maximum);
  template <typename T>
  void Number(absl::string_view key, T& value, int64_t minimum, int64_t maximum) {
    int64_t wide = static_cast<int64_t>(value);
    Integer(key, wide, minimum, maximum);
    value = static_cast<T>(wide);
  }
  void Boolean(absl::string_view key, bool& value);
  // "30s", "10m", "1h30m".
  void Duration(absl::string_view key, absl::Duration& value, absl::Duration minimum,
                absl::Duration maximum);
  // [[section.key]]: calls `read` for each table.
  void Tables(absl::string_view key, const std::function<void(const toml::table&)>& read);
  // [key]: calls `read` when the table is there.
  void Table(absl::string_view key, const std::function<void(const toml::table&)>& read);
  // A problem with `key`'s value, or with the table when the key is absent.
  void Complain(absl::string_view key, absl::string_view what);
  // Complains of every key that was not asked for. Call last.
  void RefuseUnknownKeys();

 private:
  const toml::node* Take(absl::string_view key);
  std::string Path(absl::string_view key) const;

  const toml::table& table_;
  const std::string name_;
  ConfigProblems& problems_;
  std::set<std::string> known_;
};

}  // namespace kiln::daemon

#endif  // KILN_DAEMON_CONFIG_READER_H_
