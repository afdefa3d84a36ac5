#include "daemon/firmware/build/builder.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/fake_clock.h"
#include "base/fake_file_system.h"
#include "daemon/esp/image/nvs_value.h"
#include "daemon/esp/image/testing/image_builder.h"
#include "daemon/firmware/build/fake_child_process.h"
#include "daemon/firmware/testing/package_builder.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::firmware {
namespace {

using errors::ErrorCode;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Reason = ChildEnd::Reason;

constexpr char kToml[] =
    "title = \"Hello\"\nversion = \"1.0\"\nenvironment = \"board\"\nheaders = [\"include/v.h\"]\n"
    "[variables.greeting]\ntype = \"string\"\nplace = \"header\"\ndefault = \"hi\"\n"
    "[variables.ward]\ntype = \"string\"\ndefault = \"A\"\n";

struct Heard final : BuildListener {
  void OnStage(BuildStage stage) override { stages.push_back(stage); }
  void OnLog(absl::string_view line) override { lines.emplace_back(line); }
  std::vector<BuildStage> stages;
  std::vector<std::string> lines;
};

class BuilderTest : public ::testing::Test {
 protected:
  BuilderTest() {
    options_.platformio = "/opt/pio/bin/pio";
    options_.core_directory = "/opt/core";
    options_.temp_directory = "/tmp/kiln";
    options_.cache_directory = "/var/cache";
    options_.path = "/usr/bin:/bin";
    bundles_ = *BundleStore::Open("/var/firmware", files_, clock_, {});
    Write("/opt/pio/bin/pio", "");
    Write("/opt/core/platforms/espressif32/platform.json",
          R"({"name": "espressif32", "version": "6.9.0"})");
    Recreate();
  }

  void Recreate() { builder_ = Builder::Create(options_, children_, *bundles_, files_); }
  void Write(const std::string& path, const std::string& content) {
    ASSERT_TRUE(files_.CreateDirectories(path.substr(0, path.rfind('/')), 0755).ok());
    ASSERT_TRUE(
        files_.WriteFileAtomically(path, content, base::FileSystem::IfExists::kReplace, 0644).ok());
  }

  // PlatformIO as it behaves well: leaves images that depend on the header.
  absl::StatusOr<ChildEnd> Play(const ChildSpec& spec, const ChildRunner::OnLine& on_line) {
    if (spec.arguments[1] == "--version") {
      on_line("PlatformIO Core, version 6.2.0");
      return ChildEnd{};
    }
    ++builds_;
    on_line("Compiling");
    const std::string project = spec.arguments[3];
    header_ = files_.ReadFile(absl::StrCat(project, "/include/v.h"), 10000).value_or("none");
    if (next_.reason != Reason::kExited || next_.code != 0) {
      for (int i = 0; i < 30; ++i) on_line(absl::StrCat("main.cc:", i, ": error: no"));
      return next_;
    }
    if (leaves_images_) {
      const auto firmware =
          esp::testing::BuildTestFirmware(esp::Chip::kEsp32C3, 20000 + header_.size() % 7 * 16);
      for (const auto& [path, content] : testing::PlatformioFiles(firmware)) {
        Write(absl::StrCat(project, "/.pio/build/board/", path.substr(path.rfind('/') + 1)),
              content);
      }
    }
    return ChildEnd{};
  }

  static BuildRequest Request(std::map<std::string, std::string> values = {}) {
    BuildRequest request;
    request.package = testing::BuildZip({{"kiln-template.toml", kToml},
                                         {"platformio.ini", "[env:board]"},
                                         {"src/main.cc", "#include \"v.h\""}});
    request.name = "hello";
    request.values = std::move(values);
    return request;
  }
  absl::StatusOr<BuildOutcome> Build(const BuildRequest& request) {
    heard_ = Heard();
    return builder_->Build(request, heard_, cancellation_);
  }
  std::vector<std::string> TempFolders() {
    return files_.ListDirectory("/tmp/kiln").value_or(std::vector<std::string>());
  }

  base::FakeClock clock_;
  base::FakeFileSystem files_;
  BuilderOptions options_;
  FakeChildRunner children_{[this](const ChildSpec& spec, const ChildRunner::OnLine& on_line) {
    return Play(spec, on_line);
  }};
  std::unique_ptr<BundleStore> bundles_;
  std::unique_ptr<Builder> builder_;
  base::Cancellation cancellation_;
  Heard heard_;
  int builds_ = 0;
  std::string header_;
  ChildEnd next_;
  bool leaves_images_ = true;
};

TEST_F(BuilderTest, MakesABundleOfATemplate) {
  const auto outcome = Build(Request({{"greeting", "a \"b\""}}));

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_FALSE(outcome->from_cache);
  EXPECT_EQ(outcome->bundle.title, "Hello");
  EXPECT_EQ(outcome->bundle.version, "1.0");
  const Provenance& provenance = outcome->bundle.provenance;
  EXPECT_EQ(provenance.source_kind, "template");
  EXPECT_EQ(provenance.source_name, "hello");
  EXPECT_EQ(provenance.source_sha256.size(), 64u);
  EXPECT_EQ(provenance.facts.at("values_sha256").size(), 64u);
  EXPECT_EQ(provenance.facts.at("platformio"), "PlatformIO Core, version 6.2.0");
  EXPECT_THAT(provenance.facts.at("tools"), HasSubstr("espressif32 6.9.0"));
  EXPECT_THAT(header_, HasSubstr("#define KILN_GREETING \"a \\042b\\042\""));
  EXPECT_THAT(heard_.stages,
              ElementsAre(BuildStage::kPrepare, BuildStage::kBuild, BuildStage::kImport));
  EXPECT_THAT(heard_.lines, ElementsAre("Compiling"));
  EXPECT_TRUE(bundles_->Get(outcome->bundle.id).ok());
  EXPECT_THAT(TempFolders(), IsEmpty());
}

TEST_F(BuilderTest, ValuesAreNeitherArgumentsNorEnvironment) {
  ASSERT_TRUE(Build(Request({{"greeting", "secret-word"}})).ok());

  for (const ChildSpec& spec : children_.runs()) {
    EXPECT_THAT(absl::StrJoin(spec.arguments, " "), Not(HasSubstr("secret-word")));
    EXPECT_THAT(absl::StrJoin(spec.environment, " "), Not(HasSubstr("secret-word")));
  }
}

TEST_F(BuilderTest, TheBuildIsLimited) {
  options_.timeout = absl::Minutes(3);
  Recreate();
  ASSERT_TRUE(Build(Request()).ok());

  const ChildSpec& spec = children_.runs().back();
  EXPECT_EQ(spec.timeout, absl::Minutes(3));
  EXPECT_TRUE(spec.sandbox);
  EXPECT_FALSE(spec.network);
  EXPECT_THAT(spec.environment, Contains("PLATFORMIO_CORE_DIR=/opt/core"));
  EXPECT_THAT(spec.environment, Contains("SOURCE_DATE_EPOCH=0"));
}

TEST_F(BuilderTest, TheSameInputsComeFromTheCache) {
  const auto first = Build(Request());
  ASSERT_TRUE(first.ok()) << first.status();
  Recreate();
  const auto second = Build(Request({{"greeting", "hi"}}));

  ASSERT_TRUE(second.ok());
  EXPECT_TRUE(second->from_cache);
  EXPECT_EQ(second->bundle.id, first->bundle.id);
  EXPECT_EQ(builds_, 1);
}

TEST_F(BuilderTest, OtherInputsAreBuilt) {
  ASSERT_TRUE(Build(Request()).ok());
  ASSERT_TRUE(Build(Request({{"greeting", "ho"}})).ok());
  EXPECT_EQ(builds_, 2);
  BuildRequest other = Request();
  other.package = testing::BuildZip({{"kiln-template.toml", kToml}, {"platformio.ini", ""}});
  ASSERT_TRUE(Build(other).ok());
  EXPECT_EQ(builds_, 3);
  Write("/opt/core/platforms/espressif32/platform.json",
        R"({"name": "espressif32", "version": "6.9.1"})");
  ASSERT_TRUE(Build(Request()).ok());
  EXPECT_EQ(builds_, 4);
  BuildRequest anew = Request();
  anew.use_cache = false;
  ASSERT_TRUE(Build(anew).ok());
  EXPECT_EQ(builds_, 5);
}

TEST_F(BuilderTest, ARetiredBundleIsBuiltAgain) {
  const auto first = Build(Request());
  ASSERT_TRUE(bundles_->Retire(first->bundle.id).ok());

  ASSERT_TRUE(Build(Request()).ok());
  EXPECT_EQ(builds_, 2);
}

TEST_F(BuilderTest, ValuesForNvsAreNotBuilt) {
  const auto first = Build(Request());
  const auto second = Build(Request({{"ward", "B"}}));

  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(builds_, 1);
  EXPECT_THAT(header_, Not(HasSubstr("KILN_WARD")));
  EXPECT_THAT(first->bundle.nvs_values, ElementsAre(esp::NvsValue{"app", "ward", "A"}));
  EXPECT_THAT(second->bundle.nvs_values, ElementsAre(esp::NvsValue{"app", "ward", "B"}));
  EXPECT_TRUE(second->from_cache);
  EXPECT_FALSE(second->already_existed);
  EXPECT_NE(second->bundle.id, first->bundle.id);
  EXPECT_EQ(second->bundle.images.front().sha256, first->bundle.images.front().sha256);
  EXPECT_NE(second->bundle.provenance.facts.at("values_sha256"),
            first->bundle.provenance.facts.at("values_sha256"));
  EXPECT_EQ(bundles_->List(false).size(), 2u);

  const auto again = Build(Request({{"ward", "A"}}));
  EXPECT_TRUE(again->already_existed);
  EXPECT_EQ(again->bundle.id, first->bundle.id);
}

class FinishedBundleTest : public BuilderTest {
 protected:
  // On a station that cannot build, a bundle that came from elsewhere.
  FinishedBundleTest() {
    options_.platformio = "";
    Recreate();
    ImportRequest import;
    import.file_name = "firmware.zip";
    const auto outcome = bundles_->Import(
        testing::BuildZip(
            testing::PlatformioFiles(esp::testing::BuildTestFirmware(esp::Chip::kEsp32C3, 20000))),
        import, /*validate_only=*/false);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    base_ = outcome->bundle;
  }

  BuildRequest OnBase(const std::string& toml, std::map<std::string, std::string> values = {}) {
    BuildRequest request;
    request.package = testing::BuildZip({{"kiln-template.toml", toml}});
    request.name = "ward";
    request.values = std::move(values);
    request.base_bundle = base_.id.substr(0, 12);
    return request;
  }

  static constexpr char kOnlyNvs[] =
      "title = \"Ward\"\nnamespace = \"ward\"\n[variables.name]\ntype = \"string\"\n";
  Bundle base_;
};

TEST_F(FinishedBundleTest, GetsTheValuesWithoutABuild) {
  const auto outcome = Build(OnBase(kOnlyNvs, {{"name", "ห้อง 7"}}));

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_THAT(children_.runs(), IsEmpty());
  EXPECT_FALSE(outcome->already_existed);
  const Bundle& bundle = outcome->bundle;
  EXPECT_THAT(bundle.nvs_values, ElementsAre(esp::NvsValue{"ward", "name", "ห้อง 7"}));
  EXPECT_EQ(bundle.title, "Ward");
  EXPECT_EQ(bundle.version, base_.version) << "the template names none";
  EXPECT_EQ(bundle.images.size(), base_.images.size());
  EXPECT_EQ(bundle.provenance.source_kind, "template");
  EXPECT_EQ(bundle.provenance.facts.at("base_bundle"), base_.id);
  EXPECT_TRUE(bundles_->Get(base_.id)->nvs_values.empty()) << "bundles never change";

  EXPECT_TRUE(Build(OnBase(kOnlyNvs, {{"name", "ห้อง 7"}}))->already_existed);
}

TEST_F(FinishedBundleTest, RefusesWhatCannotBe) {
  const std::map<std::string, std::string> name = {{"name", "7"}};
  BuildRequest request = OnBase(kOnlyNvs, name);
  request.base_bundle = "";
  EXPECT_TRUE(errors::Is(Build(request).status(), ErrorCode::kBuilderUnavailable));
  options_.platformio = "/opt/pio/bin/pio";
  Recreate();
  EXPECT_THAT(std::string(Build(request).status().message()), HasSubstr("no platformio.ini"));
  request.base_bundle = std::string(64, '0');
  EXPECT_TRUE(errors::Is(Build(request).status(), ErrorCode::kBundleNotFound));
  request = Request({{"greeting", "compiled in"}});
  request.base_bundle = base_.id;
  EXPECT_TRUE(errors::Is(Build(request).status(), ErrorCode::kTemplateValueInvalid));
  ASSERT_TRUE(bundles_->Retire(base_.id).ok());
  EXPECT_TRUE(errors::Is(Build(OnBase(kOnlyNvs, name)).status(), ErrorCode::kBundleRetired));
  EXPECT_EQ(bundles_->List(false).size(), 0u);
}

TEST_F(BuilderTest, AFailureShowsTheLastLines) {
  next_ = {Reason::kExited, 1};
  const auto outcome = Build(Request());

  ASSERT_FALSE(outcome.ok());
  EXPECT_TRUE(errors::Is(outcome.status(), ErrorCode::kBuildFailed));
  EXPECT_EQ(errors::Lookup(ErrorCode::kBuildFailed).error_class, errors::ErrorClass::kFirmware);
  EXPECT_THAT(std::string(outcome.status().message()), HasSubstr("main.cc:29: error: no"));
  EXPECT_THAT(std::string(outcome.status().message()), Not(HasSubstr("main.cc:10:")));
  EXPECT_THAT(TempFolders(), IsEmpty());

  next_ = {};
  EXPECT_TRUE(Build(Request()).ok()) << "a failure is not remembered";
}

TEST_F(BuilderTest, ATimeoutACancellationAndAKillAreTold) {
  next_.reason = Reason::kTimedOut;
  EXPECT_TRUE(errors::Is(Build(Request()).status(), ErrorCode::kBuildTimedOut));
  next_.reason = Reason::kCancelled;
  EXPECT_EQ(Build(Request()).status().code(), absl::StatusCode::kCancelled);
  next_ = {Reason::kSignal, 9};
  EXPECT_TRUE(errors::Is(Build(Request()).status(), ErrorCode::kBuildFailed));
  next_.reason = Reason::kTooMuchOutput;
  EXPECT_TRUE(errors::Is(Build(Request()).status(), ErrorCode::kBuildFailed));
  EXPECT_THAT(TempFolders(), IsEmpty());
}

TEST_F(BuilderTest, AProjectForAnotherChipFamilyIsSaid) {
  leaves_images_ = false;
  const auto outcome = Build(Request());

  EXPECT_TRUE(errors::Is(outcome.status(), ErrorCode::kBuildFailed));
  EXPECT_THAT(std::string(outcome.status().message()), HasSubstr("no firmware.bin"));
}

TEST_F(BuilderTest, RefusesWhatIsNoTemplate) {
  BuildRequest request = Request();
  request.package = "not a zip";
  EXPECT_TRUE(errors::Is(Build(request).status(), ErrorCode::kTemplateInvalid));
  request.package = testing::BuildZip({{"../escape", "x"}});
  EXPECT_TRUE(errors::Is(Build(request).status(), ErrorCode::kTemplateInvalid));
  request.package = testing::BuildZip({{"kiln-template.toml", kToml},
                                       {"platformio.ini", "[env:board]"},
                                       {".pio/build/board/littlefs.bin", "of an earlier build"}});
  EXPECT_TRUE(errors::Is(Build(request).status(), ErrorCode::kTemplateInvalid));
  request.package = testing::BuildZip({{"x", "x"}});
  EXPECT_TRUE(errors::Is(Build(request).status(), ErrorCode::kTemplateInvalid));
  EXPECT_TRUE(errors::Is(Build(Request({{"x", ""}})).status(), ErrorCode::kTemplateValueInvalid));
  EXPECT_EQ(builds_, 0);
}

TEST_F(BuilderTest, RemovesWhatAnEarlierRunLeft) {
  Write("/tmp/kiln/kiln-build-3/project/x", "x");
  Write("/tmp/kiln/build-of-somebody/x", "x");
  Recreate();

  EXPECT_THAT(TempFolders(), ElementsAre("build-of-somebody"));
}

TEST_F(BuilderTest, HealthSaysWhatIsMissing) {
  std::string message;
  EXPECT_TRUE(builder_->CheckHealth(message).ok());
  EXPECT_THAT(message, HasSubstr("espressif32 6.9.0"));

  children_.SetSandbox(absl::FailedPreconditionError("no namespaces"));
  EXPECT_THAT(std::string(builder_->CheckHealth(message).message()), HasSubstr("sandbox = false"));
  children_.SetSandbox(absl::OkStatus());

  ASSERT_TRUE(files_.RemoveAll("/opt/core").ok());
  EXPECT_THAT(std::string(builder_->CheckHealth(message).message()), HasSubstr("pkg install"));
  ASSERT_TRUE(files_.RemoveAll("/opt/pio").ok());
  EXPECT_THAT(std::string(builder_->CheckHealth(message).message()),
              HasSubstr("install PlatformIO"));

  options_.platformio = "";
  Recreate();
  EXPECT_TRUE(builder_->CheckHealth(message).ok());
  EXPECT_THAT(message, HasSubstr("switched off"));
  EXPECT_TRUE(errors::Is(Build(Request()).status(), ErrorCode::kBuilderUnavailable));
}

}  // namespace
}  // namespace kiln::firmware
