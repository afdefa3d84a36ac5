#include "storage/testing_vfs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/unique_fd.h"

namespace kiln::storage {
namespace {

// What a disk writes whole; a torn write ends at a multiple of it.
constexpr int64_t kSectorBytes = 512;

// SQLite allocates szOsFile bytes, aligned to 8: this, then the real file.
struct ShimFile {
  sqlite3_file base;
  TestingVfs* vfs;
  std::string* path;
};

static_assert(sizeof(ShimFile) % 8 == 0 && alignof(ShimFile) <= 8);

sqlite3_file* RealOf(sqlite3_file* file) {
  return reinterpret_cast<sqlite3_file*>(reinterpret_cast<ShimFile*>(file) + 1);
}
TestingVfs& VfsOf(sqlite3_file* file) { return *reinterpret_cast<ShimFile*>(file)->vfs; }
const std::string& PathOf(sqlite3_file* file) { return *reinterpret_cast<ShimFile*>(file)->path; }

void Put(int fd, const char* bytes, size_t size, int64_t offset) {
  if (::pwrite(fd, bytes, size, offset) != static_cast<ssize_t>(size)) std::abort();
}

}  // namespace

// The C functions SQLite calls.
struct VfsCalls {
  using Call = TestingVfs::Call;

  static int Close(sqlite3_file* file) {
    delete reinterpret_cast<ShimFile*>(file)->path;
    return RealOf(file)->pMethods->xClose(RealOf(file));
  }
  static int Read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
    if (const int code = VfsOf(file).Begin(Call::kRead); code != SQLITE_OK) return code;
    return RealOf(file)->pMethods->xRead(RealOf(file), out, size, offset);
  }
  static int Write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
    TestingVfs& vfs = VfsOf(file);
    if (const int code = vfs.Begin(Call::kWrite); code != SQLITE_OK) return code;
    vfs.NoteWrite(RealOf(file), PathOf(file), bytes, size, offset);
    if (vfs.DiesNow()) return SQLITE_IOERR_WRITE;
    return RealOf(file)->pMethods->xWrite(RealOf(file), bytes, size, offset);
  }
  static int Truncate(sqlite3_file* file, sqlite3_int64 size) {
    TestingVfs& vfs = VfsOf(file);
    if (const int code = vfs.Begin(Call::kTruncate); code != SQLITE_OK) return code;
    vfs.NoteTruncate(RealOf(file), PathOf(file), size);
    if (vfs.DiesNow()) return SQLITE_IOERR_TRUNCATE;
    return RealOf(file)->pMethods->xTruncate(RealOf(file), size);
  }
  static int Sync(sqlite3_file* file, int) {
    TestingVfs& vfs = VfsOf(file);
    if (const int code = vfs.Begin(Call::kSync); code != SQLITE_OK) return code;
    if (vfs.DiesNow()) return SQLITE_IOERR_FSYNC;
    // No real sync: whether the power goes is up to the test.
    vfs.NoteSync(PathOf(file));
    return SQLITE_OK;
  }
  static int FileSize(sqlite3_file* file, sqlite3_int64* size) {
    return RealOf(file)->pMethods->xFileSize(RealOf(file), size);
  }
  static int Lock(sqlite3_file* file, int level) {
    return RealOf(file)->pMethods->xLock(RealOf(file), level);
  }
  static int Unlock(sqlite3_file* file, int level) {
    return RealOf(file)->pMethods->xUnlock(RealOf(file), level);
  }
  static int CheckReservedLock(sqlite3_file* file, int* out) {
    return RealOf(file)->pMethods->xCheckReservedLock(RealOf(file), out);
  }
  static int FileControl(sqlite3_file* file, int op, void* argument) {
    return RealOf(file)->pMethods->xFileControl(RealOf(file), op, argument);
  }
  static int SectorSize(sqlite3_file* file) {
    return RealOf(file)->pMethods->xSectorSize(RealOf(file));
  }
  static int DeviceCharacteristics(sqlite3_file* file) {
    return RealOf(file)->pMethods->xDeviceCharacteristics(RealOf(file));
  }
  static int ShmMap(sqlite3_file* file, int page, int size, int extend, void volatile** out) {
    return RealOf(file)->pMethods->xShmMap(RealOf(file), page, size, extend, out);
  }
  static int ShmLock(sqlite3_file* file, int offset, int count, int flags) {
    return RealOf(file)->pMethods->xShmLock(RealOf(file), offset, count, flags);
  }
  static void ShmBarrier(sqlite3_file* file) { RealOf(file)->pMethods->xShmBarrier(RealOf(file)); }
  static int ShmUnmap(sqlite3_file* file, int remove) {
    return RealOf(file)->pMethods->xShmUnmap(RealOf(file), remove);
  }

  static int Open(sqlite3_vfs* vfs, sqlite3_filename name, sqlite3_file* file, int flags,
                  int* out_flags) {
    // Version 2: shared memory, but no memory-mapped files, which would bypass Read and Write.
    static const sqlite3_io_methods kMethods = {.iVersion = 2,
                                                .xClose = Close,
                                                .xRead = Read,
                                                .xWrite = Write,
                                                .xTruncate = Truncate,
                                                .xSync = Sync,
                                                .xFileSize = FileSize,
                                                .xLock = Lock,
                                                .xUnlock = Unlock,
                                                .xCheckReservedLock = CheckReservedLock,
                                                .xFileControl = FileControl,
                                                .xSectorSize = SectorSize,
                                                .xDeviceCharacteristics = DeviceCharacteristics,
                                                .xShmMap = ShmMap,
                                                .xShmLock = ShmLock,
                                                .xShmBarrier = ShmBarrier,
                                                .xShmUnmap = ShmUnmap,
                                                .xFetch = nullptr,
                                                .xUnfetch = nullptr};
    auto* testing = static_cast<TestingVfs*>(vfs->pAppData);
    auto* shim = reinterpret_cast<ShimFile*>(file);
    shim->base.pMethods = nullptr;
    const int code = testing->real_->xOpen(testing->real_, name, RealOf(file), flags, out_flags);
    if (code != SQLITE_OK) return code;
    shim->vfs = testing;
    shim->path = new std::string(name == nullptr ? "" : name);
    shim->base.pMethods = &kMethods;
    return SQLITE_OK;
  }
  static int Delete(sqlite3_vfs* vfs, const char* name, int sync_folder) {
    auto* testing = static_cast<TestingVfs*>(vfs->pAppData);
    if (const int code = testing->Begin(Call::kDelete); code != SQLITE_OK) return code;
    testing->NoteSync(name);  // what is gone needs no memory
    return testing->real_->xDelete(testing->real_, name, sync_folder);
  }
};

TestingVfs::TestingVfs(const std::string& name) : name_(name), real_(sqlite3_vfs_find(nullptr)) {
  vfs_ = *real_;
  vfs_.pNext = nullptr;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.szOsFile = static_cast<int>(sizeof(ShimFile)) + real_->szOsFile;
  vfs_.xOpen = VfsCalls::Open;
  vfs_.xDelete = VfsCalls::Delete;
  if (sqlite3_vfs_register(&vfs_, /*makeDflt=*/0) != SQLITE_OK) std::abort();
}

TestingVfs::~TestingVfs() { sqlite3_vfs_unregister(&vfs_); }

void TestingVfs::Arm(const Plan& plan) {
  const std::lock_guard lock(mutex_);
  plan_ = plan;
  calls_ = syncs_ = 0;
  fired_ = dead_ = dying_ = false;
  unsynced_.clear();
}

void TestingVfs::Restore() { Arm({}); }

bool TestingVfs::fired() const {
  const std::lock_guard lock(mutex_);
  return fired_;
}

int TestingVfs::syncs() const {
  const std::lock_guard lock(mutex_);
  return syncs_;
}

int TestingVfs::Begin(Call call) {
  const std::lock_guard lock(mutex_);
  static constexpr int kErrors[] = {SQLITE_IOERR_READ, SQLITE_IOERR_WRITE, SQLITE_IOERR_TRUNCATE,
                                    SQLITE_IOERR_FSYNC, SQLITE_IOERR_DELETE};
  const int io_error = kErrors[static_cast<int>(call)];
  if (dead_) return io_error;
  const bool counted =
      plan_.fault == Fault::kIoError || (plan_.fault == Fault::kDiskFull && call == Call::kWrite) ||
      (plan_.fault == Fault::kPowerLoss && call != Call::kRead && call != Call::kDelete);
  if (!counted) return SQLITE_OK;
  ++calls_;
  if (calls_ < plan_.at_call || (calls_ > plan_.at_call && !plan_.lasting)) return SQLITE_OK;
  fired_ = true;
  if (plan_.fault == Fault::kPowerLoss) {
    dying_ = true;  // the caller notes what it was about to do
    return SQLITE_OK;
  }
  return plan_.fault == Fault::kDiskFull ? SQLITE_FULL : io_error;
}

void TestingVfs::NoteWrite(sqlite3_file* real, const std::string& path, const void* bytes, int size,
                           int64_t offset) {
  const std::lock_guard lock(mutex_);
  if (plan_.fault != Fault::kPowerLoss) return;
  Unsynced change{.path = path,
                  .offset = offset,
                  .before = {},
                  .after = std::string(static_cast<const char*>(bytes), static_cast<size_t>(size))};
  sqlite3_int64 size_before = 0;
  if (real->pMethods->xFileSize(real, &size_before) != SQLITE_OK) std::abort();
  change.size_before = size_before;
  const int64_t old = std::clamp<int64_t>(size_before - offset, 0, size);
  change.before.resize(static_cast<size_t>(old));
  if (old > 0 && real->pMethods->xRead(real, change.before.data(), static_cast<int>(old), offset) !=
                     SQLITE_OK) {
    std::abort();
  }
  unsynced_.push_back(std::move(change));
}

void TestingVfs::NoteTruncate(sqlite3_file* real, const std::string& path, int64_t size) {
  const std::lock_guard lock(mutex_);
  if (plan_.fault != Fault::kPowerLoss) return;
  sqlite3_int64 size_before = 0;
  if (real->pMethods->xFileSize(real, &size_before) != SQLITE_OK) std::abort();
  Unsynced change{.path = path, .offset = size, .size_before = size_before, .truncated_to = size};
  if (size_before > size) {
    change.before.resize(static_cast<size_t>(size_before - size));
    if (real->pMethods->xRead(real, change.before.data(), static_cast<int>(change.before.size()),
                              size) != SQLITE_OK) {
      std::abort();
    }
  }
  unsynced_.push_back(std::move(change));
}

void TestingVfs::NoteSync(const std::string& path) {
  const std::lock_guard lock(mutex_);
  ++syncs_;
  std::erase_if(unsynced_, [&path](const Unsynced& change) { return change.path == path; });
}

bool TestingVfs::DiesNow() {
  const std::lock_guard lock(mutex_);
  if (!dying_) return false;
  dying_ = false;
  LosePower();
  dead_ = true;
  return true;
}

void TestingVfs::LosePower() {
  const auto open = [](const std::string& path) {
    base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd.valid()) std::abort();
    return fd;
  };
  // Back to what the last syncs made safe ...
  for (auto change = unsynced_.rbegin(); change != unsynced_.rend(); ++change) {
    const base::UniqueFd fd = open(change->path);
    Put(fd.get(), change->before.data(), change->before.size(), change->offset);
    if (::ftruncate(fd.get(), change->size_before) != 0) std::abort();
  }
  // ... and forward with what the disk happened to write of its own accord.
  std::mt19937 random(plan_.seed);
  for (const Unsynced& change : unsynced_) {
    const base::UniqueFd fd = open(change.path);
    const uint32_t fate = random() % 3;
    if (fate == 0) continue;
    if (change.truncated_to >= 0) {
      if (::ftruncate(fd.get(), change.truncated_to) != 0) std::abort();
      continue;
    }
    size_t size = change.after.size();
    if (fate == 1) {
      const int64_t cut = (change.offset / kSectorBytes + random() % 8 + 1) * kSectorBytes;
      size = static_cast<size_t>(
          std::clamp<int64_t>(cut - change.offset, 0, static_cast<int64_t>(size)));
    }
    Put(fd.get(), change.after.data(), size, change.offset);
  }
}

}  // namespace kiln::storage
