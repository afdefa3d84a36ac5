#include "daemon/backup/contents.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "errors/error.h"
#include "gtest/gtest.h"

namespace kiln::backup {
namespace {

using errors::ErrorCode;

const std::string kDigest(64, 'a');

BackupFacts SomeFacts() {
  return {.station_id = "bench-1",
          .kiln_version = "0.1.0",
          .create_time = absl::FromUnixSeconds(1'790'000'000),
          .ledger = {.schema_version = 3, .last_sequence = 42, .head_hex = kDigest}};
}

TEST(ContentsTest, FactsReadBack) {
  const auto facts = DecodeFacts(EncodeFacts(SomeFacts()));
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->station_id, "bench-1");
  EXPECT_EQ(facts->kiln_version, "0.1.0");
  EXPECT_EQ(facts->create_time, SomeFacts().create_time);
  EXPECT_EQ(facts->ledger, SomeFacts().ledger);
}

TEST(ContentsTest, FactsThatAreNotWholeAreDamaged) {
  const std::string good = EncodeFacts(SomeFacts());
  const std::string bad[] = {"",
                             "[]",
                             "{}",
                             good.substr(0, good.size() / 2),
                             absl::StrReplaceAll(good, {{"42", "-1"}}),
                             absl::StrReplaceAll(good, {{kDigest, "00"}}),
                             absl::StrReplaceAll(good, {{"bench-1", ""}}),
                             absl::StrReplaceAll(good, {{"\"ledger\"", "\"lodger\""}}),
                             R"({"format": 1, "ledger": 5})",
                             absl::StrReplaceAll(good, {{"2026", "yesterday"}})};
  for (const std::string& text : bad) {
    EXPECT_TRUE(errors::Is(DecodeFacts(text).status(), ErrorCode::kBackupDamaged)) << text;
  }
}

TEST(ContentsTest, ANewerFormIsRefusedWithoutCallingItDamaged) {
  const std::string newer =
      absl::StrReplaceAll(EncodeFacts(SomeFacts()), {{"\"format\": 1", "\"format\": 2"}});
  EXPECT_TRUE(errors::Is(DecodeFacts(newer).status(), ErrorCode::kRestoreRefused));
}

TEST(ContentsTest, OnlyNamesOfABackupAreTaken) {
  for (const std::string& name :
       {std::string("kiln-backup.json"), std::string("ledger.db"), std::string("SHA256SUMS"),
        absl::StrCat("firmware/images/", kDigest),
        absl::StrCat("firmware/bundles/", kDigest, ".json"),
        std::string("records/customer-BGK001-2026-11-21-7cdfa100be01-2.json"),
        std::string("records/failed/customer-BGK001-2026-11-21-unknown.json"),
        std::string("records/esp32-deployments-2026-11-21.csv")}) {
    EXPECT_TRUE(IsBackupName(name)) << name;
  }
  for (const std::string& name :
       {std::string(), std::string("/etc/passwd"), std::string("../ledger.db"),
        std::string("ledger.db-wal"), std::string("records/../ledger.db"),
        std::string("records/customer-/../../x.json"), std::string("records/notes.txt"),
        std::string("records/failed/esp32-deployments-2026-11-21.csv"),
        std::string("records/failed/failed/customer-a.json"),
        std::string("records/customer-ก.json"), std::string("firmware/images/abc"),
        absl::StrCat("firmware/bundles/", kDigest),
        absl::StrCat("records/customer-", std::string(100, 'x'), ".json"),
        std::string("records/customer-\0.json", 22)}) {
    EXPECT_FALSE(IsBackupName(name)) << name;
  }
}

TEST(ContentsTest, SumsReadBackAndRefuseWhatIsNoSum) {
  const Sums sums = {{"ledger.db", kDigest}, {"kiln-backup.json", kDigest}};
  ASSERT_TRUE(DecodeSums(EncodeSums(sums)).ok());
  EXPECT_EQ(*DecodeSums(EncodeSums(sums)), sums);
  for (const std::string& text :
       {absl::StrCat(kDigest, " ledger.db\n"), absl::StrCat(kDigest, "  /etc/passwd\n"),
        absl::StrCat("xyz", "  ledger.db\n"),
        absl::StrCat(kDigest, "  ledger.db\n", kDigest, "  ledger.db\n")}) {
    EXPECT_TRUE(errors::Is(DecodeSums(text).status(), ErrorCode::kBackupDamaged)) << text;
  }
}

}  // namespace
}  // namespace kiln::backup
