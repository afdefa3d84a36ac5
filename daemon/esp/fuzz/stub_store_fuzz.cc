// libFuzzer target: a stub file is refused or understood, never more.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "daemon/esp/stub_store.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto stub =
      kiln::esp::ParseStub(absl::string_view(reinterpret_cast<const char*>(data), size));
  if (stub.ok() && stub->text.empty()) std::abort();
  return 0;
}
