#ifndef KILN_STORAGE_TESTING_VFS_H_
#define KILN_STORAGE_TESTING_VFS_H_

#include <sqlite3.h>

#include <cstdint>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace kiln::storage {

// A disk for SQLite that can fail, run full and lose power. It passes everything through to the
// real file system and remembers, for every write that was not synced yet, what was there before;
// when the power goes, each of these is kept, dropped or torn at a sector, by a seed. From then on
// every access fails, until the test has thrown the ledger away and calls `Restore`. Registered
// under a name while it lives; outlives every ledger opened on it. Thread-safe.
class TestingVfs {
 public:
  enum class Fault {
    kNone,
    // Counts reads, writes, truncations, syncs and removals; the chosen one answers SQLITE_IOERR.
    kIoError,
    // Counts writes; the chosen one answers SQLITE_FULL.
    kDiskFull,
    // Counts writes, truncations and syncs; the chosen one is the last thing that begins.
    kPowerLoss,
  };
  struct Plan {
    Fault fault = Fault::kNone;
    int at_call = 1;       // the first one is 1
    bool lasting = false;  // every later one fails as well, until `Restore`
    uint32_t seed = 0;
  };

  explicit TestingVfs(const std::string& name);
  ~TestingVfs();
  TestingVfs(const TestingVfs&) = delete;
  TestingVfs& operator=(const TestingVfs&) = delete;

  const std::string& name() const { return name_; }
  // Starts counting.
  void Arm(const Plan& plan);
  // Room, power and luck again; nothing is counted.
  void Restore();
  // Whether the fault has happened.
  bool fired() const;
  int syncs() const;

 private:
  friend struct VfsCalls;
  enum class Call { kRead, kWrite, kTruncate, kSync, kDelete };
  // One change that a sync has not made safe yet: the content of [offset, offset + size) before and
  // after, and the file's size before. A truncation has no `after`.
  struct Unsynced {
    std::string path;
    int64_t offset = 0;
    std::string before;
    std::string after;
    int64_t size_before = 0;
    int64_t truncated_to = -1;
  };

  // SQLITE_OK, or what the call must answer without doing anything.
  int Begin(Call call);
  void NoteWrite(sqlite3_file* real, const std::string& path, const void* bytes, int size,
                 int64_t offset);
  void NoteTruncate(sqlite3_file* real, const std::string& path, int64_t size);
  void NoteSync(const std::string& path);
  bool DiesNow();  // after a call of a power loss has been noted
  void LosePower();

  const std::string name_;
  sqlite3_vfs* const real_;
  sqlite3_vfs vfs_ = {};

  mutable std::mutex mutex_;
  Plan plan_;
  int calls_ = 0;
  int syncs_ = 0;
  bool fired_ = false;
  bool dead_ = false;
  bool dying_ = false;
  std::vector<Unsynced> unsynced_;
};

}  // namespace kiln::storage

#endif  // KILN_STORAGE_TESTING_VFS_H_
