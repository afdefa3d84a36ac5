#include "base/digest.h"

#include <openssl/evp.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/types/span.h"

namespace kiln::base {
namespace {

// The calls below fail only without memory or without the algorithm; neither
// leaves a way on.
void RequireOpenSsl(int result) {
  if (result != 1) std::abort();
}

}  // namespace

Sha256Digest Sha256(absl::Span<const uint8_t> bytes) {
  Sha256Digest digest;
  RequireOpenSsl(
      EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr));
  return digest;
}

Md5Digest Md5(absl::Span<const uint8_t> bytes) {
  Md5Digest digest;
  RequireOpenSsl(
      EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_md5(), nullptr));
  return digest;
}

std::string HexOf(absl::Span<const uint8_t> bytes) {
  return absl::BytesToHexString(AsChars(bytes));
}

struct Sha256Stream::Context {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> evp{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

Sha256Stream::Sha256Stream() : context_(std::make_unique<Context>()) {
  RequireOpenSsl(EVP_DigestInit_ex(context_->evp.get(), EVP_sha256(), nullptr));
}

Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::Update(absl::Span<const uint8_t> bytes) {
  RequireOpenSsl(EVP_DigestUpdate(context_->evp.get(), bytes.data(), bytes.size()));
}

Sha256Digest Sha256Stream::Finish() {
  Sha256Digest digest;
  RequireOpenSsl(EVP_DigestFinal_ex(context_->evp.get(), digest.data(), nullptr));
  return digest;
}

}  // namespace kiln::base
