#ifndef KILN_DAEMON_API_TESTING_CERTIFICATES_H_
#define KILN_DAEMON_API_TESTING_CERTIFICATES_H_

#include <memory>
#include <string>

#include "absl/time/time.h"

namespace kiln::api::testing {

// A certificate and its private key, in PEM.
struct TlsIdentity {
  std::string certificate;
  std::string key;
};

// A certificate authority that lives as long as the test: makes certificates for 127.0.0.1.
class CertificateAuthority {
 public:
  explicit CertificateAuthority(const std::string& name);
  ~CertificateAuthority();

  const std::string& certificate() const;
  // Valid from a day ago for `lifetime` from now on; a negative one has expired.
  TlsIdentity Issue(const std::string& name, absl::Duration lifetime = absl::Hours(24)) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kiln::api::testing

#endif  // KILN_DAEMON_API_TESTING_CERTIFICATES_H_
