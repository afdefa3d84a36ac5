#include "daemon/ports/address.h"

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/kernel_tty.h"
#include "daemon/ports/pseudo_terminal.h"
#include "daemon/ports/rfc2217/rfc2217_opener.h"
#include "daemon/ports/socket_stream.h"
#include "errors/error.h"

namespace kiln::ports {
namespace {

// Linux's PATH_MAX without its terminator, and a DNS name's limit (RFC 1035,
// section 2.3.4).
constexpr size_t kMaxPath = 4095;
constexpr size_t kMaxHost = 253;
constexpr size_t kMaxShown = 80;

absl::Status Invalid(absl::string_view address, absl::string_view why) {
  return errors::MakeError(
      errors::ErrorCode::kRequestInvalid,
      absl::StrCat("address \"", absl::CHexEscape(address.substr(0, kMaxShown)), "\": ", why));
}

absl::Status CheckPath(absl::string_view address, absl::string_view path) {
  if (!absl::StartsWith(path, "/")) return Invalid(address, "the path must be absolute");
  if (path.size() > kMaxPath) return Invalid(address, "the path is too long");
  if (absl::EndsWith(path, "/")) return Invalid(address, "the path names a folder");
  return absl::OkStatus();
}

bool IsHostCharacter(char c, bool ipv6) {
  if (ipv6) return absl::ascii_isxdigit(c) || c == ':' || c == '.';
  return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_';
}

// `rest` is what follows the scheme.
absl::StatusOr<Address> ParseHostAndPort(absl::string_view address, absl::string_view rest,
                                         Address::Kind kind) {
  Address parsed;
  parsed.kind = kind;
  const bool ipv6 = absl::ConsumePrefix(&rest, "[");
  if (!ipv6 && rest.find(':') != rest.rfind(':')) {
    return Invalid(address, "an IPv6 address needs brackets: [::1]:5555");
  }
  const size_t host_size = rest.find(ipv6 ? ']' : ':');
  if (host_size == absl::string_view::npos) {
    return Invalid(address, ipv6 ? "the closing bracket is missing" : "the port number is missing");
  }
  const absl::string_view host = rest.substr(0, host_size);
  rest.remove_prefix(host_size + (ipv6 ? 1 : 0));
  if (host.empty()) return Invalid(address, "the host is missing");
  if (host.size() > kMaxHost) return Invalid(address, "the host is too long");
  for (const char c : host) {
    if (!IsHostCharacter(c, ipv6)) return Invalid(address, "the host has a wrong character");
  }
  if (!absl::ConsumePrefix(&rest, ":")) return Invalid(address, "the port number is missing");
  uint32_t port = 0;
  bool digits = !rest.empty() && rest.size() <= 5;
  for (const char c : rest) digits = digits && absl::ascii_isdigit(c);
  if (!digits || !absl::SimpleAtoi(rest, &port) || port == 0 || port > 65535) {
    return Invalid(address, "the port must be a number from 1 to 65535");
  }
  parsed.host = std::string(host);
  parsed.port = static_cast<uint16_t>(port);
  return parsed;
}

}  // namespace

absl::StatusOr<Address> ParseAddress(absl::string_view text) {
  if (text.empty()) return Invalid(text, "it is empty");
  for (const char c : text) {
    if (absl::ascii_iscntrl(c)) return Invalid(text, "it has a control character");
  }
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, "socket://")) {
    return ParseHostAndPort(text, rest, Address::Kind::kSocket);
  }
  if (absl::ConsumePrefix(&rest, "rfc2217://")) {
    return ParseHostAndPort(text, rest, Address::Kind::kRfc2217);
  }
  Address parsed;
  if (absl::ConsumePrefix(&rest, "pty://")) {
    parsed.kind = Address::Kind::kPseudoTerminal;
  } else if (rest.find("://") != absl::string_view::npos || !absl::StartsWith(rest, "/")) {
    return Invalid(text,
                   "it must be /dev/NAME, pty:///PATH, socket://HOST:PORT or rfc2217://HOST:PORT");
  }
  RETURN_IF_ERROR(CheckPath(text, rest));
  parsed.path = std::string(rest);
  return parsed;
}

absl::StatusOr<std::unique_ptr<StreamOpener>> MakeOpener(absl::string_view address) {
  ASSIGN_OR_RETURN(const Address parsed, ParseAddress(address));
  switch (parsed.kind) {
    case Address::Kind::kKernelTty:
      return std::make_unique<KernelTtyOpener>(parsed.path);
    case Address::Kind::kPseudoTerminal:
      return std::make_unique<PseudoTerminalOpener>(parsed.path);
    case Address::Kind::kSocket:
      return std::make_unique<SocketOpener>(parsed.host, parsed.port);
    case Address::Kind::kRfc2217:
      return std::make_unique<Rfc2217Opener>(parsed.host, parsed.port);
  }
  return Invalid(address, "its kind is unknown");
}

}  // namespace kiln::ports
