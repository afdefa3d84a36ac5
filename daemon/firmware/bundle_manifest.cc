#include "daemon/firmware/bundle_manifest.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/image/nvs_value.h"
#include "daemon/firmware/bundle.h"
#include "daemon/firmware/package_json.h"
#include "nlohmann/json.hpp"

namespace kiln::firmware {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;

absl::Status Bad(absl::string_view what) { return absl::InvalidArgumentError(what); }

absl::StatusOr<std::string> Text(const json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_string()) {
    return Bad(absl::StrCat("no text ", key));
  }
  return object[key].get_ref<const std::string&>();
}

template <typename T>
absl::Status ReadNumber(const json& object, const char* key, T& value) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_number_unsigned()) {
    return Bad(absl::StrCat("no number ", key));
  }
  const uint64_t number = object[key].get<uint64_t>();
  if (number > std::numeric_limits<T>::max()) return Bad(absl::StrCat(key, " is too large"));
  value = static_cast<T>(number);
  return absl::OkStatus();
}

absl::StatusOr<BundleImage> DecodeImage(const json& value) {
  BundleImage image;
  ASSIGN_OR_RETURN(image.label, Text(value, "label"));
  RETURN_IF_ERROR(ReadNumber(value, "offset", image.offset));
  RETURN_IF_ERROR(ReadNumber(value, "size", image.size));
  ASSIGN_OR_RETURN(image.sha256, Text(value, "sha256"));
  if (!IsDigestText(image.sha256)) return Bad("an image's sha256 is no digest");
  return image;
}

absl::StatusOr<Partition> DecodePartition(const json& value) {
  Partition partition;
  ASSIGN_OR_RETURN(partition.label, Text(value, "label"));
  RETURN_IF_ERROR(ReadNumber(value, "type", partition.type));
  RETURN_IF_ERROR(ReadNumber(value, "subtype", partition.subtype));
  RETURN_IF_ERROR(ReadNumber(value, "offset", partition.offset));
  RETURN_IF_ERROR(ReadNumber(value, "size", partition.size));
  RETURN_IF_ERROR(ReadNumber(value, "flags", partition.flags));
  return partition;
}

absl::StatusOr<esp::NvsValue> DecodeNvsValue(const json& object) {
  ASSIGN_OR_RETURN(const std::string nvs_namespace, Text(object, "namespace"));
  ASSIGN_OR_RETURN(const std::string key, Text(object, "key"));
  ASSIGN_OR_RETURN(const std::string type, Text(object, "type"));
  ASSIGN_OR_RETURN(const std::string text, Text(object, "value"));
  return esp::MakeNvsValue(nvs_namespace, key, type, text);
}

absl::StatusOr<Provenance> DecodeProvenance(const json& object) {
  Provenance provenance;
  ASSIGN_OR_RETURN(provenance.source_kind, Text(object, "source_kind"));
  ASSIGN_OR_RETURN(provenance.source_name, Text(object, "source_name"));
  ASSIGN_OR_RETURN(provenance.source_sha256, Text(object, "source_sha256"));
  const json* facts = FindObject(object, "facts");
  if (facts == nullptr) return Bad("no facts");
  for (const auto& [name, value] : facts->items()) {
    if (!value.is_string()) return Bad("a fact is no text");
    provenance.facts.emplace(name, value.get_ref<const std::string&>());
  }
  return provenance;
}

}  // namespace

bool IsDigestText(absl::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string BundleId(const Bundle& bundle) {
  std::string canonical = absl::StrCat("kiln bundle 1\n", esp::TraitsOf(bundle.chip).name, "\n");
  for (const BundleImage& image : bundle.images) {
    absl::StrAppendFormat(&canonical, "0x%08x %u %s\n", image.offset, image.size, image.sha256);
  }
  for (const esp::NvsValue& value : bundle.nvs_values) {
    const std::string text = esp::NvsTextOf(value);
    absl::StrAppend(&canonical, "nvs ", value.nvs_namespace, " ", value.key, " ",
                    esp::NvsTypeOf(value), " ", text.size(), ":", text, "\n");
  }
  return base::HexOf(base::Sha256(base::AsBytes(canonical)));
}

std::string EncodeManifest(const Bundle& bundle) {
  json images = json::array();
  for (const BundleImage& image : bundle.images) {
    images.push_back({{"label", image.label},
                      {"offset", image.offset},
                      {"size", image.size},
                      {"sha256", image.sha256}});
  }
  json partitions = json::array();
  for (const Partition& partition : bundle.partitions) {
    partitions.push_back({{"label", partition.label},
                          {"type", partition.type},
                          {"subtype", partition.subtype},
                          {"offset", partition.offset},
                          {"size", partition.size},
                          {"flags", partition.flags}});
  }
  json manifest = {{"format", kFormat},
                   {"id", bundle.id},
                   {"title", bundle.title},
                   {"version", bundle.version},
                   {"chip", std::string(esp::TraitsOf(bundle.chip).name)},
                   {"images", std::move(images)},
                   {"partitions", std::move(partitions)},
                   {"provenance",
                    {{"source_kind", bundle.provenance.source_kind},
                     {"source_name", bundle.provenance.source_name},
                     {"source_sha256", bundle.provenance.source_sha256},
                     {"facts", bundle.provenance.facts.empty() ? json::object()
                                                               : json(bundle.provenance.facts)}}},
                   {"retired", bundle.retired},
                   {"create_time",
                    absl::FormatTime(absl::RFC3339_full, bundle.create_time, absl::UTCTimeZone())}};
  if (!bundle.nvs_values.empty()) {
    json& values = manifest["nvs"] = json::array();
    for (const esp::NvsValue& value : bundle.nvs_values) {
      values.push_back({{"namespace", value.nvs_namespace},
                        {"key", value.key},
                        {"type", std::string(esp::NvsTypeOf(value))},
                        {"value", esp::NvsTextOf(value)}});
    }
  }
  // Texts are clean UTF-8 already; the handler only makes sure that dump never throws.
  return manifest.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<Bundle> DecodeManifest(absl::string_view text) {
  ASSIGN_OR_RETURN(const json manifest, ParseJsonObject(text, "manifest"));
  int format = 0;
  RETURN_IF_ERROR(ReadNumber(manifest, "format", format));
  if (format != kFormat) return Bad(absl::StrCat("manifest format ", format, " is not known"));
  Bundle bundle;
  ASSIGN_OR_RETURN(bundle.id, Text(manifest, "id"));
  ASSIGN_OR_RETURN(bundle.title, Text(manifest, "title"));
  ASSIGN_OR_RETURN(bundle.version, Text(manifest, "version"));
  ASSIGN_OR_RETURN(const std::string chip_name, Text(manifest, "chip"));
  const std::optional<esp::Chip> chip = esp::ParseChip(chip_name);
  if (!chip.has_value()) return Bad("unknown chip");
  bundle.chip = *chip;
  const json* images = FindArray(manifest, "images");
  const json* partitions = FindArray(manifest, "partitions");
  const json* provenance = FindObject(manifest, "provenance");
  if (images == nullptr || partitions == nullptr || provenance == nullptr) {
    return Bad("no images, partitions or provenance");
  }
  for (const json& value : *images) {
    ASSIGN_OR_RETURN(BundleImage image, DecodeImage(value));
    bundle.images.push_back(std::move(image));
  }
  for (const json& value : *partitions) {
    ASSIGN_OR_RETURN(Partition partition, DecodePartition(value));
    bundle.partitions.push_back(std::move(partition));
  }
  if (const json* values = FindArray(manifest, "nvs"); values != nullptr) {
    for (const json& value : *values) {
      ASSIGN_OR_RETURN(esp::NvsValue decoded, DecodeNvsValue(value));
      bundle.nvs_values.push_back(std::move(decoded));
    }
  }
  ASSIGN_OR_RETURN(bundle.provenance, DecodeProvenance(*provenance));
  if (!manifest.contains("retired") || !manifest["retired"].is_boolean()) return Bad("no retired");
  bundle.retired = manifest["retired"].get<bool>();
  ASSIGN_OR_RETURN(const std::string time, Text(manifest, "create_time"));
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, time, &bundle.create_time, &error)) {
    return Bad(absl::StrCat("create_time: ", error));
  }
  if (BundleId(bundle) != bundle.id) return Bad("the content is not the id's");
  return bundle;
}

}  // namespace kiln::firmware
