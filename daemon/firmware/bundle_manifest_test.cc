#include "daemon/firmware/bundle_manifest.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "daemon/esp/chip.h"
#include "daemon/firmware/bundle.h"
#include "gtest/gtest.h"

namespace kiln::firmware {
namespace {

using esp::Chip;

TEST(BundleManifestTest, ComesBackAsItWent) {
  Bundle bundle;
  bundle.title = "ร้านค้า \"1\"";
  bundle.chip = Chip::kEsp32P4;
  bundle.images = {{"app", 0x10000, 5, std::string(64, 'a')}};
  bundle.partitions = {{"nvs", 1, 2, 0x9000, 0x5000, 1}};
  bundle.provenance = {"esp-idf", "x.zip", std::string(64, 'b'), {{"a", "b"}}};
  bundle.retired = true;
  bundle.create_time = absl::FromUnixNanos(1234567890123456789);
  bundle.nvs_values = {{"app", "greeting", "สวัสดี"}, {"app", "beeps", uint8_t{1}}};
  bundle.id = BundleId(bundle);
  const auto decoded = DecodeManifest(EncodeManifest(bundle));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(EncodeManifest(*decoded), EncodeManifest(bundle));
  EXPECT_EQ(decoded->create_time, bundle.create_time);
  EXPECT_EQ(decoded->partitions[0].flags, 1u);
  EXPECT_EQ(decoded->nvs_values, bundle.nvs_values);
}

TEST(BundleManifestTest, RefusesValuesThatAreNone) {
  Bundle bundle;
  bundle.chip = Chip::kEsp32C3;
  bundle.images = {{"app", 0x10000, 5, std::string(64, 'a')}};
  bundle.nvs_values = {{"app", "beeps", uint8_t{1}}};
  bundle.create_time = absl::UnixEpoch();
  bundle.id = BundleId(bundle);
  const std::string good = EncodeManifest(bundle);
  ASSERT_TRUE(DecodeManifest(good).ok());
  const struct {
    const char* what;
    const char* becomes;
  } changes[] = {{"\"u8\"", "\"blob\""},
                 {"\"u8\"", "8"},
                 {"\"value\": \"1\"", "\"value\": \"256\""},
                 {"\"value\": \"1\"", "\"value\": 1"},
                 {"\"beeps\"", "\"sixteen_letters_\""},
                 // A value that is legal, and another bundle's.
                 {"\"value\": \"1\"", "\"value\": \"0\""}};
  for (const auto& [what, becomes] : changes) {
    const std::string bad = absl::StrReplaceAll(good, {{what, becomes}});
    ASSERT_NE(bad, good) << what;
    EXPECT_FALSE(DecodeManifest(bad).ok()) << what << " " << becomes;
  }
}

// The id is a promise to every ledger and record that names it.
TEST(BundleManifestTest, KeepsItsIds) {
  Bundle bundle;
  bundle.chip = Chip::kEsp32C3;
  bundle.images = {{"app", 0x10000, 5, std::string(64, 'a')}};
  EXPECT_EQ(BundleId(bundle), "8889f78f8ae19100fe5a8eb97d214766411629d5681be137d2747155a17c4f27");

  bundle.nvs_values = {{"app", "greeting", "hi"}, {"app", "beeps", uint8_t{1}}};
  EXPECT_EQ(BundleId(bundle), base::HexOf(base::Sha256(base::AsBytes(absl::StrCat(
                                  "kiln bundle 1\nESP32-C3\n0x00010000 5 ", std::string(64, 'a'),
                                  "\nnvs app greeting string 2:hi\nnvs app beeps u8 1:1\n")))));
}

}  // namespace
}  // namespace kiln::firmware
