#include <google/protobuf/struct.pb.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/session.h"
#include "clients/cli/texts.h"
#include "daemon/api/wire/rpc_wire.h"
#include "daemon/ports/address.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/rfc2217/port_share.h"
#include "errors/error.h"

namespace kiln::cli {
namespace {

constexpr char kDefaultListen[] = "127.0.0.1:2217";

// A signal's handler can be reached in no other way.
std::atomic<ports::PortShare*> interrupted_share = nullptr;

void OnSignal(int) {
  if (ports::PortShare* const share = interrupted_share.load(); share != nullptr) share->Stop();
}

int Fail(Session& session, const absl::Status& status) {
  const errors::ErrorCode code = errors::CodeOf(status);
  int exit_code = kExitInternal;
  if (code == errors::ErrorCode::kRequestInvalid) exit_code = kExitUsage;
  if (code == errors::ErrorCode::kPortBusy || code == errors::ErrorCode::kPortPermission) {
    exit_code = kExitRefused;
  }
  return session.Fail(rpc::FailureFrom(code, std::string(status.message())), exit_code);
}

struct EventWords {
  const char* name;  // for machines
  TextId text;       // for people
};

EventWords WordsOf(ports::ShareEvent event) {
  switch (event) {
    case ports::ShareEvent::kNoBoard:
      return {"NO_BOARD", TextId::kShareNoBoard};
    case ports::ShareEvent::kReady:
      return {"READY", TextId::kShareReady};
    case ports::ShareEvent::kClient:
      return {"CLIENT", TextId::kShareClient};
    case ports::ShareEvent::kParted:
      return {"PARTED", TextId::kShareParted};
    case ports::ShareEvent::kTurnedAway:
      return {"TURNED_AWAY", TextId::kShareTurnedAway};
    case ports::ShareEvent::kTrouble:
      break;
  }
  return {"TROUBLE", TextId::kShareTrouble};
}

void Tell(Session& session, ports::ShareEvent event, absl::string_view detail) {
  const EventWords words = WordsOf(event);
  if (session.options().json) {
    google::protobuf::Struct message;
    (*message.mutable_fields())["event"].set_string_value(words.name);
    (*message.mutable_fields())["detail"].set_string_value(std::string(detail));
    session.PrintJson(message);
  } else {
    session.out() << session.texts().Format(words.text, {detail}) << "\n";
  }
  session.out() << std::flush;
}

int Share(Session& session, const std::string& port, const std::string& listen) {
  const absl::StatusOr<std::unique_ptr<ports::StreamOpener>> opener = ports::MakeOpener(port);
  if (!opener.ok()) return Fail(session, opener.status());
  // The same form as in an address, brackets included.
  const absl::StatusOr<ports::Address> where = ports::ParseAddress("rfc2217://" + listen);
  if (!where.ok()) return Fail(session, where.status());
  ports::ShareOptions options;
  options.host = where->host;
  options.port = where->port;
  options.on_event = [&session](ports::ShareEvent event, absl::string_view detail) {
    Tell(session, event, detail);
  };
  auto share = ports::PortShare::Create(**opener, std::move(options));
  if (!share.ok()) return Fail(session, share.status());
  const bool loopback = absl::StartsWith(where->host, "127.") || where->host == "::1";
  if (!loopback) session.err() << session.texts().Get(TextId::kShareOpenToAll) << "\n";

  interrupted_share = share->get();
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  (*share)->Run();
  interrupted_share = nullptr;
  return kExitOk;
}

}  // namespace

void AddPortCommand(CLI::App& app, Run& run) {
  CLI::App* port = app.add_subcommand("port", "Ports of this computer; needs no station");
  port->require_subcommand(1);
  CLI::App* share = port->add_subcommand(
      "share", "Lend the board at a port to a station elsewhere, by RFC 2217, until interrupted");
  const auto address = std::make_shared<std::string>();
  const auto listen = std::make_shared<std::string>(kDefaultListen);
  share
      ->add_option(
          "--port", *address,
          "What to lend: /dev/NAME, pty:///PATH, socket://HOST:PORT or rfc2217://HOST:PORT")
      ->required();
  share
      ->add_option("--listen", *listen,
                   "IP address and port to listen on. Whoever can connect there can write to the "
                   "board: RFC 2217 has no authentication")
      ->capture_default_str();
  share->callback([&run, address, listen] {
    run = [address, listen](Session& session) { return Share(session, *address, *listen); };
  });
}

}  // namespace kiln::cli
