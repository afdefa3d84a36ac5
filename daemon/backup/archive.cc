#include "daemon/backup/archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/digest.h"
#include "base/safe_text.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "errors/error.h"

namespace kiln::backup {
namespace {

using errors::ErrorCode;

constexpr size_t kBlock = 512;
constexpr size_t kBuffer = size_t{64} * 1024;
// Offsets and lengths in a header: POSIX.1-2017, pax, "ustar Interchange Format".
constexpr size_t kMode = 100, kUser = 108, kGroup = 116, kSize = 124, kTime = 136, kChecksum = 148;
constexpr size_t kType = 156, kMagic = 257, kPrefix = 345, kPrefixBytes = 155;
constexpr size_t kShortNumber = 8, kLongNumber = 12;
constexpr absl::string_view kUstar(
    "ustar\0"
    "00",
    8);

absl::Status SystemError(int error, const std::string& doing, const std::string& path) {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return errors::MakeError(full ? ErrorCode::kDiskFull : ErrorCode::kBackupFailed,
                           absl::StrCat(doing, " ", path, ": ", strerror(error)));
}

absl::Status Damaged(absl::string_view why) {
  return errors::MakeError(ErrorCode::kBackupDamaged, why);
}

using Header = std::array<char, kBlock>;

// The sum of the header's bytes with the sum's own field as spaces.
unsigned ChecksumOf(const Header& header) {
  unsigned sum = 0;
  for (size_t i = 0; i < header.size(); ++i) {
    const bool own = i >= kChecksum && i < kChecksum + kShortNumber;
    sum += own ? unsigned{' '} : static_cast<unsigned char>(header[i]);
  }
  return sum;
}

void Put(Header& header, size_t offset, absl::string_view text) {
  std::copy(text.begin(), text.end(), header.begin() + static_cast<std::ptrdiff_t>(offset));
}

Header MakeHeader(const ArchiveEntry& entry) {
  Header header = {};
  Put(header, 0, entry.name);
  Put(header, kMode, "0000600");
  Put(header, kUser, "0000000");
  Put(header, kGroup, "0000000");
  Put(header, kSize, absl::StrFormat("%011o", entry.size));
  Put(header, kTime,
      absl::StrFormat("%011o", std::max<int64_t>(0, absl::ToUnixSeconds(entry.time))));
  header[kType] = '0';
  Put(header, kMagic, kUstar);
  Put(header, kChecksum, absl::StrFormat("%06o", ChecksumOf(header)));
  header[kChecksum + 7] = ' ';
  return header;
}

// Octal digits, then a NUL or a space.
std::optional<uint64_t> NumberAt(const Header& header, size_t offset, size_t length) {
  uint64_t value = 0;
  size_t i = 0;
  for (; i < length && header[offset + i] >= '0' && header[offset + i] <= '7'; ++i) {
    value = value * 8 + static_cast<uint64_t>(header[offset + i] - '0');
  }
  if (i == 0 || (i < length && header[offset + i] != '\0' && header[offset + i] != ' ')) {
    return std::nullopt;
  }
  return value;
}

absl::StatusOr<ArchiveEntry> ParseHeader(const Header& header) {
  const auto checksum = NumberAt(header, kChecksum, kShortNumber);
  if (!checksum.has_value() || *checksum != ChecksumOf(header)) {
    return Damaged("a header in it has a wrong sum");
  }
  ArchiveEntry entry;
  const auto end = std::find(header.begin(), header.begin() + kMaxNameBytes, '\0');
  entry.name.assign(header.begin(), end);
  if (header[kType] != '0' ||
      std::any_of(header.begin() + kPrefix, header.begin() + kPrefix + kPrefixBytes,
                  [](char c) { return c != '\0'; })) {
    return Damaged(absl::StrCat("it holds something that is no plain file: ",
                                base::SafeText(entry.name, kMaxNameBytes)));
  }
  const auto size = NumberAt(header, kSize, kLongNumber);
  const auto time = NumberAt(header, kTime, kLongNumber);
  if (!size.has_value() || !time.has_value() || *size > kMaxEntryBytes) {
    return Damaged("a header in it has a wrong number");
  }
  entry.size = *size;
  entry.time = absl::FromUnixSeconds(static_cast<int64_t>(*time));
  return entry;
}

// A gzip stream on a file of its own. Closed by the destructor, errors unseen, unless Close was
// called.
class GzipFile {
 public:
  GzipFile(base::UniqueFd fd, const char* mode, std::string path)
      : file_(::gzdopen(fd.get(), mode)), path_(std::move(path)) {
    if (file_ == nullptr) return;
    fd.Release();  // now the stream's
    // Twice of what is written at once: zlib copies what is smaller than its buffer. Of more it
    // keeps a pointer when a write fails, and follows it as the file is closed.
    ::gzbuffer(file_, 2 * kBuffer);
  }
  ~GzipFile() {
    if (file_ != nullptr) ::gzclose(file_);
  }
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;

  bool valid() const { return file_ != nullptr; }

  // At most kBuffer bytes.
  absl::Status Write(absl::string_view bytes) {
    errno = 0;
    if (bytes.empty() || ::gzwrite(file_, bytes.data(), static_cast<unsigned>(bytes.size())) > 0) {
      return absl::OkStatus();
    }
    return SystemError(errno, "writing", path_);
  }

  // Fewer than `size` bytes only at the end of the stream.
  absl::StatusOr<size_t> Read(char* buffer, size_t size) {
    errno = 0;
    const int got = ::gzread(file_, buffer, static_cast<unsigned>(size));
    int code = Z_OK;
    const char* words = ::gzerror(file_, &code);
    if (code == Z_ERRNO) return SystemError(errno, "reading", path_);
    // Z_BUF_ERROR is what a stream that was cut off ends in.
    if (got < 0 || code != Z_OK) return Damaged(absl::StrCat("it cannot be unpacked: ", words));
    return static_cast<size_t>(got);
  }

  absl::Status Close() {
    errno = 0;
    const int code = ::gzclose(std::exchange(file_, nullptr));
    return code == Z_OK ? absl::OkStatus() : SystemError(errno, "writing", path_);
  }

 private:
  gzFile file_;
  const std::string path_;
};

class TarWriter final : public ArchiveWriter {
 public:
  TarWriter(base::UniqueFd fd, std::string path)
      : path_(std::move(path)), sync_fd_(::dup(fd.get())), gzip_(std::move(fd), "wb6", path_) {}

  bool valid() const { return sync_fd_.valid() && gzip_.valid(); }

  absl::StatusOr<std::string> AddText(const std::string& name, absl::string_view content,
                                      absl::Time time) override {
    RETURN_IF_ERROR(WriteHeader({.name = name, .size = content.size(), .time = time}));
    for (size_t at = 0; at < content.size(); at += kBuffer) {
      RETURN_IF_ERROR(gzip_.Write(content.substr(at, kBuffer)));
    }
    RETURN_IF_ERROR(Pad(content.size()));
    return base::HexOf(base::Sha256(base::AsBytes(content)));
  }

  absl::StatusOr<std::string> AddFile(const std::string& name, const std::string& path,
                                      bool whole_lines) override {
    // Of a named pipe, neither the opening nor anything else is waited for.
    base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!fd.valid() && errno == ENOENT) return absl::NotFoundError(absl::StrCat("no file ", path));
    if (!fd.valid()) return SystemError(errno, "opening", path);
    struct stat facts = {};
    if (::fstat(fd.get(), &facts) != 0) return SystemError(errno, "looking at", path);
    if (!S_ISREG(facts.st_mode)) {
      return errors::MakeError(ErrorCode::kBackupFailed, absl::StrCat(path, " is no plain file"));
    }
    uint64_t size = static_cast<uint64_t>(facts.st_size);
    if (whole_lines) {
      ASSIGN_OR_RETURN(size, EndOfLastLine(fd.get(), size, path));
    }
    RETURN_IF_ERROR(WriteHeader(
        {.name = name, .size = size, .time = absl::FromUnixSeconds(facts.st_mtim.tv_sec)}));
    base::Sha256Stream digest;
    std::vector<char> buffer(kBuffer);
    for (uint64_t left = size; left > 0;) {
      const ssize_t got = ::read(fd.get(), buffer.data(), std::min<uint64_t>(left, buffer.size()));
      if (got < 0) return SystemError(errno, "reading", path);
      if (got == 0) {
        return errors::MakeError(ErrorCode::kBackupFailed,
                                 absl::StrCat(path, " became shorter while it was read"));
      }
      const absl::string_view bytes(buffer.data(), static_cast<size_t>(got));
      digest.Update(base::AsBytes(bytes));
      RETURN_IF_ERROR(gzip_.Write(bytes));
      left -= bytes.size();
    }
    RETURN_IF_ERROR(Pad(size));
    return base::HexOf(digest.Finish());
  }

  absl::Status Finish() override {
    // The end of a tar file: two empty blocks.
    RETURN_IF_ERROR(gzip_.Write(std::string(2 * kBlock, '\0')));
    RETURN_IF_ERROR(gzip_.Close());
    if (::fsync(sync_fd_.get()) != 0) return SystemError(errno, "syncing", path_);
    return absl::OkStatus();
  }

 private:
  absl::Status WriteHeader(const ArchiveEntry& entry) {
    if (entry.name.size() >= kMaxNameBytes || entry.size > kMaxEntryBytes) {
      return errors::MakeError(ErrorCode::kBackupFailed,
                               absl::StrCat(entry.name, " is too large for the archive"));
    }
    const Header header = MakeHeader(entry);
    return gzip_.Write({header.data(), header.size()});
  }

  absl::Status Pad(uint64_t size) {
    return gzip_.Write(std::string((kBlock - size % kBlock) % kBlock, '\0'));
  }

  // How far `fd` holds whole lines.
  static absl::StatusOr<uint64_t> EndOfLastLine(int fd, uint64_t size, const std::string& path) {
    std::vector<char> buffer(kBuffer);
    for (uint64_t end = size; end > 0;) {
      const uint64_t start = end - std::min<uint64_t>(end, buffer.size());
      const ssize_t got = ::pread(fd, buffer.data(), end - start, static_cast<off_t>(start));
      if (got < 0) return SystemError(errno, "reading", path);
      const absl::string_view bytes(buffer.data(), static_cast<size_t>(got));
      const size_t line_feed = bytes.rfind('\n');
      if (line_feed != absl::string_view::npos) return start + line_feed + 1;
      end = start;
    }
    return 0;
  }

  const std::string path_;
  const base::UniqueFd sync_fd_;  // the same open file, to sync once the stream is closed
  GzipFile gzip_;
};

class TarReader final : public ArchiveReader {
 public:
  TarReader(base::UniqueFd fd, const std::string& path) : gzip_(std::move(fd), "rb", path) {}

  bool valid() const { return gzip_.valid(); }

  absl::StatusOr<std::optional<ArchiveEntry>> Next() override {
    RETURN_IF_ERROR(Skip(left_ + padding_));
    left_ = padding_ = 0;
    Header header;
    RETURN_IF_ERROR(ReadWhole(header.data(), header.size()));
    if (IsEmpty(header)) {
      RETURN_IF_ERROR(CheckEnd());
      return std::nullopt;
    }
    ASSIGN_OR_RETURN(ArchiveEntry entry, ParseHeader(header));
    left_ = entry.size;
    padding_ = (kBlock - entry.size % kBlock) % kBlock;
    return entry;
  }

  absl::StatusOr<size_t> Read(char* buffer, size_t size) override {
    const size_t wanted = std::min<uint64_t>({left_, size, kBuffer});
    RETURN_IF_ERROR(ReadWhole(buffer, wanted));
    left_ -= wanted;
    return wanted;
  }

 private:
  static bool IsEmpty(const Header& header) {
    return std::all_of(header.begin(), header.end(), [](char c) { return c == '\0'; });
  }

  absl::Status ReadWhole(char* buffer, size_t size) {
    ASSIGN_OR_RETURN(const size_t got, gzip_.Read(buffer, size));
    return got == size ? absl::OkStatus() : Damaged("it ends too early");
  }

  absl::Status Skip(uint64_t bytes) {
    std::vector<char> buffer(std::min<uint64_t>(bytes, kBuffer));
    while (bytes > 0) {
      const size_t part = std::min<uint64_t>(bytes, buffer.size());
      RETURN_IF_ERROR(ReadWhole(buffer.data(), part));
      bytes -= part;
    }
    return absl::OkStatus();
  }

  // A second empty block, then the end of the stream, where gzip's own sum is checked. Other
  // programs fill up with more empty blocks.
  absl::Status CheckEnd() {
    Header block;
    RETURN_IF_ERROR(ReadWhole(block.data(), block.size()));
    for (;;) {
      if (!IsEmpty(block)) return Damaged("something follows its end");
      ASSIGN_OR_RETURN(const size_t got, gzip_.Read(block.data(), block.size()));
      if (got == 0) return absl::OkStatus();
      std::fill(block.begin() + static_cast<std::ptrdiff_t>(got), block.end(), '\0');
    }
  }

  GzipFile gzip_;
  uint64_t left_ = 0;     // of the present file
  uint64_t padding_ = 0;  // after it
};

}  // namespace

absl::StatusOr<std::unique_ptr<ArchiveWriter>> ArchiveWriter::Create(const std::string& path) {
  base::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return SystemError(errno, "creating", path);
  auto writer = std::make_unique<TarWriter>(std::move(fd), path);
  if (!writer->valid()) return SystemError(ENOMEM, "packing", path);
  return writer;
}

absl::StatusOr<std::unique_ptr<ArchiveReader>> ArchiveReader::Open(const std::string& path) {
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return SystemError(errno, "opening", path);
  auto reader = std::make_unique<TarReader>(std::move(fd), path);
  if (!reader->valid()) return SystemError(ENOMEM, "unpacking", path);
  return reader;
}

}  // namespace kiln::backup
