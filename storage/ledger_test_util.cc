#include "storage/ledger_test_util.h"

#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace kiln::storage {

TemporaryFolder::TemporaryFolder() {
  // In memory where there is such a place: what the disk does with unsynced data is up to
  // TestingVfs, and a real sync costs milliseconds.
  const bool in_memory = ::access("/dev/shm", W_OK) == 0;
  std::string name = (in_memory ? "/dev/shm" : std::filesystem::temp_directory_path().string()) +
                     "/kiln-ledger-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::vector<std::string> TemporaryFolder::Names() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

struct RawDatabase::Impl {
  sqlite3* db = nullptr;
};

RawDatabase::RawDatabase(const std::string& path) : impl_(std::make_unique<Impl>()) {
  EXPECT_EQ(sqlite3_open(path.c_str(), &impl_->db), SQLITE_OK) << path;
}

RawDatabase::~RawDatabase() { sqlite3_close(impl_->db); }

std::string RawDatabase::Run(const std::string& sql) {
  char* message = nullptr;
  sqlite3_exec(impl_->db, sql.c_str(), nullptr, nullptr, &message);
  const std::string result = message == nullptr ? "" : message;
  sqlite3_free(message);
  return result;
}

std::string RawDatabase::Query(const std::string& sql) {
  std::string rows;
  const auto add_row = [](void* out, int count, char** values, char**) {
    auto& text = *static_cast<std::string*>(out);
    if (!text.empty()) text += '\n';
    for (int i = 0; i < count; ++i) {
      absl::StrAppend(&text, i == 0 ? "" : "|", values[i] == nullptr ? "NULL" : values[i]);
    }
    return 0;
  };
  char* message = nullptr;
  sqlite3_exec(impl_->db, sql.c_str(), add_row, &rows, &message);
  if (message != nullptr) rows = absl::StrCat("error: ", message);
  sqlite3_free(message);
  return rows;
}

Deployment MakeDeployment(const std::string& name) {
  Deployment deployment;
  deployment.id = "deployment-" + name;
  deployment.request_id = "request-" + name;
  deployment.request_digest = "digest of " + name;
  deployment.organization = "โรงงานกรุงเทพ";
  deployment.customer_id = "BGK001";
  deployment.application_name = "Smart Meter";
  deployment.expiry_date = "2027-01-31";
  deployment.bundle_id = "b1";
  deployment.requested_port = "any";
  return deployment;
}

std::string PayloadFor(const Deployment& deployment) {
  return absl::StrCat(deployment.id, " ", static_cast<int>(deployment.state), " ",
                      deployment.sequence);
}

std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void WriteBytes(const std::string& path, absl::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  EXPECT_TRUE(file.good()) << path;
}

void CopyFile(const std::string& from, const std::string& to) {
  std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
}

std::unique_ptr<Ledger> MustOpen(const std::string& path, base::Clock& clock,
                                 const LedgerOptions& options) {
  absl::StatusOr<std::unique_ptr<Ledger>> ledger = Ledger::Open(path, clock, options);
  EXPECT_TRUE(ledger.ok()) << ledger.status();
  if (!ledger.ok()) std::abort();  // nothing after this makes sense
  return *std::move(ledger);
}

std::string VerdictOf(Ledger& ledger) {
  const absl::StatusOr<VerifyResult> result = ledger.Verify();
  if (!result.ok()) return result.status().ToString();
  return result->ok ? "ok" : result->problem;
}

}  // namespace kiln::storage
