#ifndef KILN_STORAGE_LEDGER_TEST_UTIL_H_
#define KILN_STORAGE_LEDGER_TEST_UTIL_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "storage/ledger.h"

// What the ledger's tests share. Single-threaded unless said otherwise.
namespace kiln::storage {

// A folder that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string Path(const std::string& name) const { return path_ + "/" + name; }
  // Names of the files in it, sorted.
  std::vector<std::string> Names() const;

 private:
  std::string path_;
};

// What an administrator with the sqlite3 program can do to a file: any SQL, no rules of ours. Fails
// the test when it cannot open the file.
class RawDatabase {
 public:
  // Makes the file when it is not there.
  explicit RawDatabase(const std::string& path);
  ~RawDatabase();
  RawDatabase(const RawDatabase&) = delete;
  RawDatabase& operator=(const RawDatabase&) = delete;
  // SQLite's message, or empty.
  std::string Run(const std::string& sql);
  // All rows, columns joined by '|', rows by newlines.
  std::string Query(const std::string& sql);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A complete pending order whose ids end in `name`.
Deployment MakeDeployment(const std::string& name);
// A payload that shows which state it was made of: "id state sequence".
std::string PayloadFor(const Deployment& deployment);

std::string ReadBytes(const std::string& path);
void WriteBytes(const std::string& path, absl::string_view bytes);
void CopyFile(const std::string& from, const std::string& to);

// Opens or fails the test. Without fsync unless `options` say otherwise: only the tests of crashes
// need it.
std::unique_ptr<Ledger> MustOpen(const std::string& path, base::Clock& clock,
                                 const LedgerOptions& options = {.durable = false});
// Verify's answer in words: "ok", or the problem.
std::string VerdictOf(Ledger& ledger);

}  // namespace kiln::storage

#endif  // KILN_STORAGE_LEDGER_TEST_UTIL_H_
