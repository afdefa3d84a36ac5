#ifndef KILN_DAEMON_FIRMWARE_PACKAGE_H_
#define KILN_DAEMON_FIRMWARE_PACKAGE_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "daemon/firmware/bundle_store.h"

namespace kiln::firmware {

// What somebody sent for import, as named files in memory: an unpacked zip, or one file. Paths are
// relative, use '/', and stay inside; nothing here touches the disk. Immutable once made, owned by
// one import on one thread; views of its contents live as long as it does, moves included.
class Package {
 public:
  // Tells a zip by its first bytes; anything else is a single file of that name. Errors:
  // BundleTooLarge beyond `limits`, BundleInvalid for damaged or hostile zips, BundleUnsupported
  // for encrypted entries and compression other than deflate.
  static absl::StatusOr<Package> Open(absl::string_view bytes, absl::string_view file_name,
                                      const ImportLimits& limits);

  // Files that are here already; their paths are the caller's word.
  static Package FromFiles(std::map<std::string, std::string> files);

  Package(Package&&) = default;
  Package& operator=(Package&&) = default;
  Package(const Package&) = delete;
  Package& operator=(const Package&) = delete;

  bool is_zip() const { return is_zip_; }
  // Paths to contents, sorted by path.
  const std::map<std::string, std::string>& files() const { return files_; }

  // The content of the file at exactly `path`.
  std::optional<absl::string_view> Find(absl::string_view path) const;
  // Resolves `path`, as written in a file of `folder` ("" is the top), to a file of this package;
  // "./" and inner ".." are understood. BundleInvalid when it is absolute, leaves the package or is
  // not there; `named_in` is the file that names it.
  absl::StatusOr<std::string> Resolve(absl::string_view folder, absl::string_view path,
                                      absl::string_view named_in) const;
  // Paths of the files called `name`, of those with the fewest folders above them, at most
  // `max_depth` folders.
  std::vector<std::string> FindByName(absl::string_view name, int max_depth) const;

 private:
  Package() = default;
  static absl::StatusOr<Package> Unzip(absl::string_view bytes, const ImportLimits& limits);

  bool is_zip_ = false;
  std::map<std::string, std::string> files_;
};

// "a/b/c.bin" is "a/b"; "c.bin" is "".
std::string FolderOf(absl::string_view path);
// "a/b/c.bin" is "c.bin"; backslashes count too, as files from Windows name them.
std::string BaseName(absl::string_view path);
// `name` in `folder`, which may be "".
std::string JoinPath(absl::string_view folder, absl::string_view name);
// `text` as it may be shown and stored: valid UTF-8 without control characters (others become '?'),
// at most `max_bytes`.
std::string CleanText(absl::string_view text, size_t max_bytes = 200);

}  // namespace kiln::firmware

#endif  // KILN_DAEMON_FIRMWARE_PACKAGE_H_
