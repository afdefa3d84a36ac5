#include "daemon/records/record.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/fake_file_system.h"
#include "base/file_system.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::records {
namespace {

using base::FileSystem;
using errors::ErrorCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr char kCsv[] = "/out/esp32-deployments-2026-11-21.csv";
constexpr char kJson[] = "/out/customer-BGK001-2026-11-21-7cdfa100be01.json";

// 2026-11-21 00:30 in Bangkok, still the 20th in UTC.
absl::Time JustAfterMidnight() {
  return absl::FromCivil(absl::CivilSecond(2026, 11, 20, 17, 30, 0), absl::UTCTimeZone());
}

RecordData Sample(const std::string& id = "d-1", int attempt = 1) {
  RecordData data;
  data.deployment_id = id;
  data.attempt = attempt;
  data.organization = "Hospital";
  data.customer_id = "BGK001";
  data.application_name = "Ward";
  data.wifi_ssid = "ssid";
  data.wifi_password = "password";
  data.mac = "7c:df:a1:00:be:01";
  data.deployed_at = JustAfterMidnight();
  return data;
}

RecordOptions Options(const std::string& folder = "/out") {
  return {.export_directory = folder, .time_zone = absl::FixedTimeZone(7 * 3600)};
}

class RecordWriterTest : public testing::Test {
 protected:
  std::string Content(const std::string& path) {
    auto content = files_.ReadFile(path, 1 << 20);
    return content.ok() ? *content : content.status().ToString();
  }
  std::vector<std::string> Names(const std::string& folder = "/out") {
    auto names = files_.ListDirectory(folder);
    return names.ok() ? *names : std::vector<std::string>{names.status().ToString()};
  }

  base::FakeFileSystem files_;
  RecordWriter writer_{files_, Options()};
};

TEST_F(RecordWriterTest, WritesTheJsonAndTheDaysCsvUnderTheLocalDate) {
  const auto path = writer_.WriteRecord(Sample());
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_EQ(*path, kJson);
  EXPECT_EQ(Content(kJson), RecordToJson(Sample(), Options().time_zone, "kiln"));
  EXPECT_EQ(Content(kCsv),
            absl::StrCat(CsvHeader(), RecordToCsvLine(Sample(), Options().time_zone)));
  EXPECT_THAT(Names(), ElementsAre("customer-BGK001-2026-11-21-7cdfa100be01.json",
                                   "esp32-deployments-2026-11-21.csv"));
}

TEST_F(RecordWriterTest, TheSameAttemptWrittenAgainMakesNothingNew) {
  ASSERT_TRUE(writer_.WriteRecord(Sample("d-1")).ok());
  ASSERT_TRUE(writer_.WriteRecord(Sample("d-2")).ok());
  const std::vector<std::string> names = Names();
  const std::string csv = Content(kCsv);

  RecordWriter after_restart(files_, Options());
  EXPECT_EQ(after_restart.WriteRecord(Sample("d-1")).value(), kJson);
  EXPECT_EQ(after_restart.WriteRecord(Sample("d-2")).value(),
            "/out/customer-BGK001-2026-11-21-7cdfa100be01-2.json");

  EXPECT_EQ(Names(), names);
  EXPECT_EQ(Content(kCsv), csv);
}

TEST_F(RecordWriterTest, NeverWritesOverAnotherFile) {
  ASSERT_TRUE(files_.CreateDirectories("/out", 0750).ok());
  ASSERT_TRUE(
      files_.WriteFileAtomically(kJson, "the operator's own", FileSystem::IfExists::kFail, 0644)
          .ok());
  EXPECT_EQ(writer_.WriteRecord(Sample("d-1", 1)).value(),
            "/out/customer-BGK001-2026-11-21-7cdfa100be01-2.json");
  EXPECT_EQ(writer_.WriteRecord(Sample("d-2", 12)).value(),
            "/out/customer-BGK001-2026-11-21-7cdfa100be01-3.json");
  EXPECT_EQ(Content(kJson), "the operator's own");
}

TEST_F(RecordWriterTest, EveryDeploymentGetsOneLineUnderOneHeader) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(writer_.WriteRecord(Sample(absl::StrCat("d-", i))).ok());
  }
  const std::vector<std::string> lines = absl::StrSplit(Content(kCsv), "\r\n");
  ASSERT_EQ(lines.size(), 5u) << Content(kCsv);
  EXPECT_THAT(lines[0], StartsWith("timestamp,"));
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(lines[static_cast<size_t>(i) + 1],
                HasSubstr(absl::StrCat("deployment d-", i, " attempt 1")));
  }
  EXPECT_EQ(lines[4], "");
}

TEST_F(RecordWriterTest, FailuresGoIntoAFolderOfTheirOwnAndNotIntoTheCsv) {
  RecordData data = Sample();
  data.outcome = Outcome::kFailed;
  EXPECT_EQ(writer_.WriteRecord(data).value(),
            "/out/failed/customer-BGK001-2026-11-21-7cdfa100be01.json");
  data = Sample("d-2");
  data.outcome = Outcome::kCanceled;
  data.mac = "";
  EXPECT_EQ(writer_.WriteRecord(data).value(),
            "/out/failed/customer-BGK001-2026-11-21-unknown.json");
  EXPECT_THAT(Names(), ElementsAre("failed"));
}

TEST_F(RecordWriterTest, ContinuesAfterACrashAtEveryWrite) {
  // The first record makes the folder, the JSON file and the CSV: three writes.
  for (int successes = 0; successes < 3; ++successes) {
    base::FakeFileSystem files;
    RecordWriter writer(files, Options());
    files.FailWritesAfter(successes, absl::InternalError("power cut"));
    const auto failed = writer.WriteRecord(Sample());
    EXPECT_TRUE(errors::Is(failed.status(), ErrorCode::kRecordWriteFailed)) << failed.status();

    files.FailWritesAfter(0, absl::OkStatus());
    EXPECT_EQ(writer.WriteRecord(Sample()).value(), kJson) << successes;
    EXPECT_THAT(files.ListDirectory("/out").value(),
                ElementsAre("customer-BGK001-2026-11-21-7cdfa100be01.json",
                            "esp32-deployments-2026-11-21.csv"));
    EXPECT_EQ(files.ReadFile(kCsv, 10'000).value(),
              absl::StrCat(CsvHeader(), RecordToCsvLine(Sample(), Options().time_zone)));
  }
}

TEST_F(RecordWriterTest, MendsACsvThatWasTornAtAnyByte) {
  const std::string first = RecordToCsvLine(Sample("d-1"), Options().time_zone);
  const std::string second = RecordToCsvLine(Sample("d-2", 12), Options().time_zone);
  const std::string whole = absl::StrCat(CsvHeader(), first, second);
  for (size_t size = 0; size <= whole.size(); ++size) {
    base::FakeFileSystem files;
    ASSERT_TRUE(files.CreateDirectories("/out", 0750).ok());
    ASSERT_TRUE(
        files.WriteFileAtomically(kCsv, whole.substr(0, size), FileSystem::IfExists::kFail, 0644)
            .ok());
    RecordWriter writer(files, Options());
    // As recovery does it: the earlier deployment first.
    ASSERT_TRUE(writer.WriteRecord(Sample("d-1")).ok());
    ASSERT_TRUE(writer.WriteRecord(Sample("d-2", 12)).ok());
    EXPECT_EQ(files.ReadFile(kCsv, 10'000).value(), whole) << "torn after " << size << " bytes";
  }
}

TEST_F(RecordWriterTest, KnowsItsLineAfterASpreadsheetSavedTheFile) {
  ASSERT_TRUE(files_.CreateDirectories("/out", 0750).ok());
  const std::string saved = absl::StrCat(
      "\"timestamp\",\"notes\"\n\"x\",\"deployment d-1 attempt 1\"\n\"last\",\"no end\"");
  ASSERT_TRUE(files_.WriteFileAtomically(kCsv, saved, FileSystem::IfExists::kFail, 0644).ok());
  ASSERT_TRUE(writer_.WriteRecord(Sample("d-1")).ok());
  EXPECT_EQ(Content(kCsv), saved);
  ASSERT_TRUE(writer_.WriteRecord(Sample("d-2")).ok());
  EXPECT_EQ(Content(kCsv),
            absl::StrCat(saved, "\r\n", RecordToCsvLine(Sample("d-2"), Options().time_zone)));
}

TEST_F(RecordWriterTest, ARetryFinishesTheRecordThatAnEarlierAttemptBegan) {
  ASSERT_TRUE(files_.CreateDirectories("/out", 0750).ok());
  files_.FailWritesAfter(1, absl::ResourceExhaustedError("no space left on device"));
  EXPECT_TRUE(errors::Is(writer_.WriteRecord(Sample("d-1", 1)).status(), ErrorCode::kDiskFull));
  files_.FailWritesAfter(0, absl::OkStatus());
  EXPECT_EQ(writer_.WriteRecord(Sample("d-1", 2)).value(), kJson);
  EXPECT_EQ(writer_.WriteRecord(Sample("d-1", 13)).value(), kJson);
  EXPECT_EQ(Content(kCsv),
            absl::StrCat(CsvHeader(), RecordToCsvLine(Sample("d-1", 2), Options().time_zone)));
}

TEST_F(RecordWriterTest, FailuresOfTwoAttemptsAreTwoRecords) {
  RecordData data = Sample("d-1", 1);
  data.outcome = Outcome::kFailed;
  ASSERT_TRUE(writer_.WriteRecord(data).ok());
  data.attempt = 2;
  EXPECT_EQ(writer_.WriteRecord(data).value(),
            "/out/failed/customer-BGK001-2026-11-21-7cdfa100be01-2.json");
}

TEST_F(RecordWriterTest, AFullDiskIsItsOwnError) {
  ASSERT_TRUE(files_.CreateDirectories("/out", 0750).ok());
  files_.FailWritesAfter(0, absl::ResourceExhaustedError("no space left on device"));
  EXPECT_TRUE(errors::Is(writer_.WriteRecord(Sample()).status(), ErrorCode::kDiskFull));
  EXPECT_TRUE(errors::Is(writer_.CheckWritable(), ErrorCode::kDiskFull));
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(RecordWriterTest, AReadOnlyFolderIsItsOwnErrorAndNothingIsHalfWritten) {
  ASSERT_TRUE(files_.CreateDirectories("/out", 0750).ok());
  files_.FailWritesAfter(0, absl::PermissionDeniedError("Read-only file system"));
  const absl::Status status = writer_.WriteRecord(Sample()).status();
  EXPECT_TRUE(errors::Is(status, ErrorCode::kRecordWriteFailed)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("export folder /out is read-only"));
  EXPECT_TRUE(errors::Is(writer_.CheckWritable(), ErrorCode::kRecordWriteFailed));
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(RecordWriterTest, RefusesDataThatWouldLeaveTheFolder) {
  for (const char* id : {"", "../../etc/x", "BGK/1", "bgk001", "ABCDEFGHIJK"}) {
    RecordData data = Sample();
    data.customer_id = id;
    EXPECT_EQ(writer_.WriteRecord(data).status().code(), absl::StatusCode::kInternal) << id;
  }
  for (const char* mac : {"", "../../../x/y", "7c:df:a1:00:be", "7c:df:a1:00:be:0/"}) {
    RecordData data = Sample();
    data.mac = mac;
    EXPECT_EQ(writer_.WriteRecord(data).status().code(), absl::StatusCode::kInternal) << mac;
  }
  RecordData no_time = Sample();
  no_time.deployed_at = absl::InfinitePast();
  EXPECT_EQ(writer_.WriteRecord(no_time).status().code(), absl::StatusCode::kInternal);
  RecordData no_id = Sample();
  no_id.deployment_id = "d-1 attempt 1\r\n";
  EXPECT_EQ(writer_.WriteRecord(no_id).status().code(), absl::StatusCode::kInternal);
  EXPECT_FALSE(files_.Exists("/out"));
}

class RealFolder {
 public:
  RealFolder() {
    char name[] = "/tmp/kiln-records-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~RealFolder() {
    ::chmod(path_.c_str(), 0700);
    EXPECT_TRUE(base::SystemFileSystem().RemoveAll(path_).ok());
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(RecordWriterOnDiskTest, WritesForItsGroupOnlyAndLeavesNoTemporaryFile) {
  const RealFolder folder;
  const std::string out = absl::StrCat(folder.path(), "/made/by/kiln");
  RecordWriter writer(base::SystemFileSystem(), Options(out));
  ASSERT_TRUE(writer.CheckWritable().ok());
  const auto path = writer.WriteRecord(Sample());
  ASSERT_TRUE(path.ok()) << path.status();
  struct stat info;
  ASSERT_EQ(::stat(path->c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0007, 0u) << "others may read the password";
  EXPECT_THAT(base::SystemFileSystem().ListDirectory(out).value(),
              ElementsAre("customer-BGK001-2026-11-21-7cdfa100be01.json",
                          "esp32-deployments-2026-11-21.csv"));
}

TEST(RecordWriterOnDiskTest, ParallelPortsLoseAndMixNothing) {
  const RealFolder folder;
  RecordWriter writer(base::SystemFileSystem(), Options(folder.path()));
  std::vector<std::thread> ports;
  for (int port = 0; port < 4; ++port) {
    ports.emplace_back([&writer, port] {
      for (int i = 0; i < 5; ++i) {
        const auto path = writer.WriteRecord(Sample(absl::StrCat("d-", port, "-", i)));
        EXPECT_TRUE(path.ok()) << path.status();
      }
    });
  }
  for (std::thread& port : ports) port.join();
  EXPECT_EQ(base::SystemFileSystem().ListDirectory(folder.path()).value().size(), 21u);
  const std::string csv =
      base::SystemFileSystem()
          .ReadFile(absl::StrCat(folder.path(), "/esp32-deployments-2026-11-21.csv"), 100'000)
          .value();
  const std::vector<std::string> lines = absl::StrSplit(csv, "\r\n");
  EXPECT_EQ(lines.size(), 22u) << csv;
}

TEST(RecordWriterOnDiskTest, AReadOnlyFolderStaysEmpty) {
  if (::geteuid() == 0) GTEST_SKIP() << "root writes everywhere";
  const RealFolder folder;
  ASSERT_EQ(::chmod(folder.path().c_str(), 0500), 0);
  RecordWriter writer(base::SystemFileSystem(), Options(folder.path()));
  const absl::Status status = writer.WriteRecord(Sample()).status();
  EXPECT_TRUE(errors::Is(status, ErrorCode::kRecordWriteFailed)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("is read-only"));
  EXPECT_THAT(base::SystemFileSystem().ListDirectory(folder.path()).value(), IsEmpty());
}

}  // namespace
}  // namespace kiln::records
