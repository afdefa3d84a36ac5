// Prints the catalogue for those who cannot compile it in: `kiln-errors-doc > docs/errors.md` for
// people, `kiln-errors-doc --json` for the gateway.

#include <cstring>
#include <iostream>
#include <string>

#include "errors/error.h"
#include "nlohmann/json.hpp"

namespace {

using Json = nlohmann::ordered_json;

void PrintTips(const kiln::errors::Text& text) {
  for (const std::string& tip : text.tips) std::cout << "- " << tip << "\n";
}

void PrintPage() {
  std::cout << "# Errors\n\n"
               "Generated from `errors/catalogue.inc` by `kiln-errors-doc`; a test fails when the "
               "two differ.\n"
               "\"Type\" is the name the original documents give the class; it travels as "
               "`legacy_type`.\n";
  for (const kiln::errors::CatalogueEntry& entry : kiln::errors::Catalogue()) {
    const kiln::errors::ClassTraits& traits = kiln::errors::TraitsOf(entry.error_class);
    std::cout << "\n## " << entry.name << "\n\n"
              << traits.icon << " class " << traits.name << " · type " << traits.legacy_type
              << " · retry " << (entry.retryable ? "makes sense" : "does not help") << "\n\n"
              << "**" << entry.english.message << "**\n\n";
    PrintTips(entry.english);
    std::cout << "\n**" << entry.thai.message << "**\n\n";
    PrintTips(entry.thai);
  }
}

Json TextJson(const char* language, const kiln::errors::Text& text) {
  return {{"language", language}, {"message", text.message}, {"tips", text.tips}};
}

// A list of kiln.v1.Failure in the JSON form of Protobuf.
void PrintJson() {
  Json failures = Json::array();
  for (const kiln::errors::CatalogueEntry& entry : kiln::errors::Catalogue()) {
    const kiln::errors::ClassTraits& traits = kiln::errors::TraitsOf(entry.error_class);
    failures.push_back(
        {{"code", std::string(entry.name)},
         {"errorClass", std::string(traits.name)},
         {"legacyType", std::string(traits.legacy_type)},
         {"retryable", entry.retryable},
         {"icon", std::string(traits.icon)},
         {"colour", std::string(traits.colour)},
         {"texts", Json::array({TextJson("en", entry.english), TextJson("th", entry.thai)})}});
  }
  std::cout << failures.dump(1) << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--json") == 0) {
    PrintJson();
  } else {
    PrintPage();
  }
  return 0;
}
