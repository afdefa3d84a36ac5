#include "daemon/firmware/testing/package_builder.h"

#include <libdeflate.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "base/little_endian.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/image/testing/image_builder.h"

namespace kiln::firmware::testing {
namespace {

using base::AppendLe;

std::string RawDeflate(const std::string& content) {
  const std::unique_ptr<libdeflate_compressor, void (*)(libdeflate_compressor*)> compressor(
      libdeflate_alloc_compressor(9), &libdeflate_free_compressor);
  if (compressor == nullptr) std::abort();
  std::string packed(libdeflate_deflate_compress_bound(compressor.get(), content.size()), '\0');
  packed.resize(libdeflate_deflate_compress(compressor.get(), content.data(), content.size(),
                                            packed.data(), packed.size()));
  return packed;
}

}  // namespace

// PKWARE's APPNOTE.TXT 6.3: 4.3.7 local file header, 4.3.12 central directory, 4.3.16 end record.
std::string BuildZip(const ZipFiles& files, const ZipOptions& options) {
  std::string zip;
  std::string directory;
  for (const auto& [path, content] : files) {
    const std::string packed = options.deflate ? RawDeflate(content) : content;
    const uint32_t offset = static_cast<uint32_t>(zip.size());
    std::string common;
    AppendLe<uint16_t>(common, 20);                              // version needed
    AppendLe<uint16_t>(common, options.encrypted_flag ? 1 : 0);  // flags
    const uint16_t method = options.deflate ? 8 : 0;
    AppendLe<uint16_t>(common,
                       options.compression_method != 0xFFFF ? options.compression_method : method);
    AppendLe<uint32_t>(common, 0x58210000);  // time, date
    AppendLe<uint32_t>(common, libdeflate_crc32(0, content.data(), content.size()));
    AppendLe<uint32_t>(common, static_cast<uint32_t>(packed.size()));
    AppendLe<uint32_t>(common, static_cast<uint32_t>(content.size()));
    AppendLe<uint16_t>(common, static_cast<uint16_t>(path.size()));
    AppendLe<uint16_t>(common, 0);  // extra
    absl::StrAppend(&zip, "PK\x03\x04", common, path, packed);
    directory += "PK\x01\x02";
    AppendLe<uint16_t>(directory, 3 << 8 | 20);  // made on Unix
    directory += common;
    AppendLe<uint16_t>(directory, 0);  // comment
    AppendLe<uint16_t>(directory, 0);  // disk
    AppendLe<uint16_t>(directory, 0);  // internal attributes
    AppendLe<uint32_t>(directory, (options.symlinks ? 0120777u : 0100644u) << 16);
    AppendLe<uint32_t>(directory, offset);
    directory += path;
  }
  std::string end = "PK\x05\x06";
  AppendLe<uint32_t>(end, 0);  // disks
  AppendLe<uint16_t>(end, static_cast<uint16_t>(files.size()));
  AppendLe<uint16_t>(end, static_cast<uint16_t>(files.size()));
  AppendLe<uint32_t>(end, static_cast<uint32_t>(directory.size()));
  AppendLe<uint32_t>(end, static_cast<uint32_t>(zip.size()));
  AppendLe<uint16_t>(end, 0);  // comment
  return zip + directory + end;
}

std::string ToString(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

ZipFiles IdfFiles(const esp::testing::TestFirmware& firmware) {
  const esp::ChipTraits& traits = esp::TraitsOf(firmware.chip);
  const std::string arguments = absl::StrFormat(
      R"({
    "write_flash_args" : [ "--flash_mode", "dio", "--flash_size", "4MB", "--flash_freq", "80m" ],
    "flash_settings" : { "flash_mode": "dio", "flash_size": "4MB", "flash_freq": "80m" },
    "flash_files" : {
        "0x%x" : "bootloader/bootloader.bin",
        "0x10000" : "shop.bin",
        "0x8000" : "partition_table/partition-table.bin"
    },
    "bootloader" : { "offset" : "0x%x", "file" : "bootloader/bootloader.bin", "encrypted" : "false" },
    "app" : { "offset" : "0x10000", "file" : "shop.bin", "encrypted" : "false" },
    "partition-table" : { "offset" : "0x8000", "file" : "partition_table/partition-table.bin", "encrypted" : "false" },
    "extra_esptool_args" : { "after" : "hard_reset", "before" : "default_reset", "stub" : true, "chip" : "%s" }
})",
      traits.bootloader_offset, traits.bootloader_offset,
      absl::StrReplaceAll(absl::AsciiStrToLower(traits.name), {{"-", ""}}));
  return {
      {"flasher_args.json", arguments},
      {"project_description.json",
       R"({"version": "1.1", "project_name": "shop", "project_version": "v2.0", "git_revision": "v5.3.1", "target": "esp32"})"},
      {"bootloader/bootloader.bin", ToString(firmware.bootloader)},
      {"partition_table/partition-table.bin", ToString(firmware.partition_table)},
      {"shop.bin", ToString(firmware.app)},
  };
}

ZipFiles PlatformioFiles(const esp::testing::TestFirmware& firmware) {
  return {
      {".pio/build/esp32dev/bootloader.bin", ToString(firmware.bootloader)},
      {".pio/build/esp32dev/partitions.bin", ToString(firmware.partition_table)},
      {".pio/build/esp32dev/firmware.bin", ToString(firmware.app)},
  };
}

ZipFiles WebToolsFiles(const esp::testing::TestFirmware& firmware) {
  const esp::ChipTraits& traits = esp::TraitsOf(firmware.chip);
  return {
      {"manifest.json", absl::StrFormat(R"({"name": "Shop", "version": "3.1", "builds": [
        {"chipFamily": "%s", "parts": [
          {"path": "bootloader.bin", "offset": %d},
          {"path": "./parts/partitions.bin", "offset": 32768},
          {"path": "app.bin", "offset": "0x10000"}]}]})",
                                        traits.name, traits.bootloader_offset)},
      {"bootloader.bin", ToString(firmware.bootloader)},
      {"parts/partitions.bin", ToString(firmware.partition_table)},
      {"app.bin", ToString(firmware.app)},
  };
}

}  // namespace kiln::firmware::testing
