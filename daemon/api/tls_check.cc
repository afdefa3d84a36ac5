#include "daemon/api/tls_check.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "absl/status/status.h"

namespace kiln::api {
namespace {

template <auto kFree>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

// A daemon has nobody to ask for a passphrase.
int NoPassphrase(char*, int, int, void*) { return -1; }

Bio Read(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

Certificate FirstCertificate(const std::string& pem) {
  const Bio bio = Read(pem);
  return Certificate(bio == nullptr ? nullptr
                                    : PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
}

Key PrivateKey(const std::string& pem) {
  const Bio bio = Read(pem);
  return Key(bio == nullptr ? nullptr
                            : PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
}

absl::Status Check(const std::string& certificate_pem, const std::string& key_pem,
                   const std::string& client_ca_pem) {
  const Certificate certificate = FirstCertificate(certificate_pem);
  if (certificate == nullptr) {
    return absl::InvalidArgumentError("the TLS certificate is no certificate in PEM form");
  }
  const Key key = PrivateKey(key_pem);
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        "the TLS key is no private key in PEM form, or needs a passphrase");
  }
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return absl::InvalidArgumentError("the TLS key does not belong to the TLS certificate");
  }
  if (FirstCertificate(client_ca_pem) == nullptr) {
    return absl::InvalidArgumentError(
        "the certificate of the TLS clients' authority is no certificate in PEM form");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckTlsMaterial(const std::string& certificate, const std::string& key,
                              const std::string& client_ca) {
  absl::Status status = Check(certificate, key, client_ca);
  // The library's own queue of errors, per thread, is nobody else's business.
  ERR_clear_error();
  return status;
}

}  // namespace kiln::api
