// Prints docs/errors.md from the catalogue: `kiln-errors-doc > docs/errors.md`.

#include <iostream>
#include <string>

#include "errors/error.h"

namespace {

void PrintTips(const kiln::errors::Text& text) {
  for (const std::string& tip : text.tips) std::cout << "- " << tip << "\n";
}

}  // namespace

int main() {
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
  return 0;
}
