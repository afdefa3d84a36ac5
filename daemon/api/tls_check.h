#ifndef KILN_DAEMON_API_TLS_CHECK_H_
#define KILN_DAEMON_API_TLS_CHECK_H_

#include <string>

#include "absl/status/status.h"

namespace kiln::api {

// Whether these PEM texts can serve TLS with client certificates: a certificate (further ones of
// its chain may follow), the private key that belongs to it, without a passphrase, and one or more
// certificates of the clients' authority. INVALID_ARGUMENT says which of them is wrong: gRPC itself
// only tells that it cannot listen. Never quotes the key.
absl::Status CheckTlsMaterial(const std::string& certificate, const std::string& key,
                              const std::string& client_ca);

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_TLS_CHECK_H_
