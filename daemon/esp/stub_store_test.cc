#include "daemon/esp/stub_store.h"

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/fake_file_system.h"
#include "base/file_system.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::esp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kGood[] =
    R"({"entry": 1077415578, "text": "AQIDBA==", "text_start": 1077411840,
        "data": "BQY=", "data_start": 1070165352, "bss_start": 1070088192, "plugins": [1]})";

class StubStoreTest : public ::testing::Test {
 protected:
  void Put(const std::string& name, const std::string& content) {
    ASSERT_TRUE(files_.CreateDirectories("/stubs", 0755).ok());
    ASSERT_TRUE(files_
                    .WriteFileAtomically("/stubs/" + name, content,
                                         base::FileSystem::IfExists::kReplace, 0644)
                    .ok());
  }

  base::FakeFileSystem files_;
};

TEST_F(StubStoreTest, ReadsStubFiles) {
  Put("esp32c3.json", kGood);
  const StubStore store = StubStore::Load(files_, "/stubs");

  const StubImage* stub = store.Find("esp32c3");
  ASSERT_NE(stub, nullptr);
  EXPECT_EQ(stub->entry, 1077415578u);
  EXPECT_EQ(stub->text_start, 1077411840u);
  EXPECT_THAT(stub->text, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(stub->data_start, 1070165352u);
  EXPECT_THAT(stub->data, ElementsAre(5, 6));
  EXPECT_EQ(store.Find("esp32"), nullptr);
  EXPECT_THAT(store.problems(), IsEmpty());
}

TEST_F(StubStoreTest, ListsTheChipsThatHaveAStub) {
  for (const char* name : {"esp32s3.json", "esp32.json", "esp8266.json", "esp32p4-rev1.json"}) {
    Put(name, kGood);
  }
  Put("LICENSE", "not a stub");

  EXPECT_THAT(StubStore::Load(files_, "/stubs").chips(), ElementsAre(Chip::kEsp32, Chip::kEsp32S3));
}

TEST_F(StubStoreTest, AMissingFolderIsAnEmptyStore) {
  const StubStore store = StubStore::Load(files_, "/nowhere");

  EXPECT_THAT(store.chips(), IsEmpty());
  EXPECT_THAT(store.problems(), IsEmpty());
}

TEST_F(StubStoreTest, LeavesDamagedFilesOutAndNamesThem) {
  Put("esp32.json", kGood);
  Put("esp32c6.json", "{");

  const StubStore store = StubStore::Load(files_, "/stubs");

  EXPECT_THAT(store.chips(), ElementsAre(Chip::kEsp32));
  EXPECT_THAT(store.problems(), ElementsAre(HasSubstr("/stubs/esp32c6.json")));
}

TEST(ParseStubTest, RefusesWhatIsNoStub) {
  const std::string large = absl::Base64Escape(std::string(256 * 1024 + 1, 'x'));
  const struct {
    std::string name;
    std::string json;
  } cases[] = {
      {"nothing", ""},
      {"not JSON", "entry"},
      {"an array", "[]"},
      {"no entry", R"({"text": "AQ==", "text_start": 0})"},
      {"entry is text", R"({"entry": "1", "text": "AQ==", "text_start": 0})"},
      {"negative entry", R"({"entry": -1, "text": "AQ==", "text_start": 0})"},
      {"entry beyond 32 bits", R"({"entry": 4294967296, "text": "AQ==", "text_start": 0})"},
      {"no text", R"({"entry": 1, "text_start": 0})"},
      {"empty text", R"({"entry": 1, "text": "", "text_start": 0})"},
      {"text is not base64", R"({"entry": 1, "text": "*", "text_start": 0})"},
      {"text is a number", R"({"entry": 1, "text": 7, "text_start": 0})"},
      {"text too long", absl::StrCat(R"({"entry": 1, "text": ")", large, R"(", "text_start": 0})")},
      {"no text_start", R"({"entry": 1, "text": "AQ=="})"},
      {"data without place", R"({"entry": 1, "text": "AQ==", "text_start": 0, "data": "AQ=="})"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(ParseStub(c.json).status().code(), absl::StatusCode::kInvalidArgument) << c.name;
  }
}

TEST(ParseStubTest, DataIsOptional) {
  const auto stub = ParseStub(R"({"entry": 1, "text": "AQ==", "text_start": 2})");
  ASSERT_TRUE(stub.ok()) << stub.status();
  EXPECT_THAT(stub->data, IsEmpty());
}

}  // namespace
}  // namespace kiln::esp
