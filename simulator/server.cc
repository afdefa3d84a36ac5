#include "simulator/server.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "simulator/faults.h"
#include "simulator/pty_board.h"
#include "simulator/usb/usb_models.h"
#include "simulator/usb/vhci_board.h"
#include "simulator/usb/vhci_bus.h"

namespace kiln::simulator {
namespace {

constexpr size_t kMaxCommandLine = 4096;

absl::Status SystemError(absl::string_view what) {
  return absl::InternalError(absl::StrCat(what, ": ", std::strerror(errno)));
}

absl::StatusOr<sockaddr_un> ControlAddress(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/control");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is too long for a socket's name"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

std::string StatisticsLine(BoardFront& board) {
  const BoardStatistics s = board.board().statistics();
  const char* mode = !board.plugged()                   ? "unplugged"
                     : !board.board().powered()         ? "unpowered"
                     : board.board().stub_running()     ? "stub"
                     : board.board().in_download_mode() ? "download"
                                                        : "running";
  return absl::StrFormat(
      "mode=%s baud=%d received=%d sent=%d frames=%d resets=%d boots=%d failed_boots=%d "
      "programmed=%d erased=%d overrun=%d garbled=%d first_byte_us=%d%s",
      mode, board.board().board_baud_rate(), s.received_bytes, s.sent_bytes, s.frames, s.resets,
      s.boots, s.failed_boots, s.programmed_bytes, s.erased_bytes, s.overrun_bytes, s.garbled_bytes,
      std::max<int64_t>(0, absl::ToUnixMicros(board.first_byte_time())), board.Statistics());
}

}  // namespace

Server::Server(ServerOptions options, base::Clock& clock)
    : options_(std::move(options)), clock_(clock) {}

Server::~Server() { Close(); }

void Server::Close() {
  boards_.clear();
  // Whoever has sent "quit" waits for the end of its answer.
  for (const auto& [fd, client] : clients_) loop_.Unwatch(fd);
  clients_.clear();
  std::error_code error;
  if (made_control_) std::filesystem::remove(absl::StrCat(options_.folder, "/control"), error);
  made_control_ = false;
}

absl::Status Server::Run() {
  RETURN_IF_ERROR(Start());
  const absl::Status status = loop_.Run([this] {
    std::optional<absl::Duration> wait;
    for (const auto& [name, board] : boards_) {
      const std::optional<absl::Duration> next = board->Step();
      if (next.has_value()) wait = std::min(wait.value_or(*next), *next);
    }
    return wait;
  });
  absl::Status saved;
  for (const auto& [name, board] : boards_) saved.Update(SaveFlash(name, *board));
  Close();
  RETURN_IF_ERROR(status);
  return saved;
}

absl::Status Server::Start() {
  std::error_code error;
  std::filesystem::create_directories(options_.folder, error);
  if (error) {
    return absl::InternalError(
        absl::StrCat("cannot make ", options_.folder, ": ", error.message()));
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  signals_.Reset(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals_.valid()) return SystemError("signalfd");
  loop_.Watch(signals_.get(), EPOLLIN, [this](uint32_t) { loop_.Stop(); });

  RETURN_IF_ERROR(ListenForCommands());
  for (const BoardSpec& spec : options_.boards) {
    ASSIGN_OR_RETURN(std::unique_ptr<BoardFront> board, MakeFront(spec));
    LoadFlash(spec.name, *board);
    RETURN_IF_ERROR(board->Plug()) << "board " << spec.name;
    absl::PrintF("%s %s %s %s\n", spec.name, esp::TraitsOf(spec.config.chip).name,
                 esp::FormatMac(spec.config.mac), board->path());
    boards_[spec.name] = std::move(board);
  }
  absl::PrintF("ready\n");
  std::fflush(stdout);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<BoardFront>> Server::MakeFront(const BoardSpec& spec) {
  if (options_.vhci) {
    ASSIGN_OR_RETURN(std::unique_ptr<UsbDeviceModel> model,
                     MakeUsbModel(spec.adapter.empty() ? "cp2102" : spec.adapter, spec.config));
    ASSIGN_OR_RETURN(VhciPort place, usb_.Reserve());
    return std::make_unique<VhciBoard>(std::move(model), std::move(place), usb_, loop_, clock_);
  }
  return std::make_unique<PtyBoard>(spec.config, absl::StrCat(options_.folder, "/", spec.name),
                                    loop_, clock_);
}

absl::Status Server::ListenForCommands() {
  ASSIGN_OR_RETURN(const sockaddr_un address, ControlAddress(options_.folder));
  listener_.Reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener_.valid()) return SystemError("socket");
  // Somebody who still answers there serves this folder already.
  base::UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return absl::AlreadyExistsError(absl::StrCat("another kiln-sim serves ", options_.folder));
  }
  ::unlink(address.sun_path);
  if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener_.get(), 8) != 0) {
    return SystemError(address.sun_path);
  }
  made_control_ = true;
  loop_.Watch(listener_.get(), EPOLLIN, [this](uint32_t) {
    base::UniqueFd accepted(
        ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    const int fd = accepted.get();
    if (accepted.valid() && loop_.Watch(fd, EPOLLIN, [this, fd](uint32_t) { ReadCommands(fd); })) {
      clients_[fd].fd = std::move(accepted);
    }
  });
  // Standard input too, where it is something one can wait for.
  if (loop_.Watch(STDIN_FILENO, EPOLLIN, [this](uint32_t) { ReadCommands(STDIN_FILENO); })) {
    clients_[STDIN_FILENO];
  }
  return absl::OkStatus();
}

void Server::ReadCommands(int fd) {
  char buffer[1024];
  const ssize_t size = ::read(fd, buffer, sizeof(buffer));
  const auto client = clients_.find(fd);
  if (client == clients_.end()) return;
  std::string& pending = client->second.line;
  if (size > 0) pending.append(buffer, static_cast<size_t>(size));
  ExecuteLines(pending, fd == STDIN_FILENO ? STDOUT_FILENO : fd);
  if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR) ||
      pending.size() > kMaxCommandLine) {
    loop_.Unwatch(fd);
    clients_.erase(client);
  }
}

void Server::ExecuteLines(std::string& pending, int fd) {
  for (size_t end; (end = pending.find('\n')) != std::string::npos;) {
    const std::string line = pending.substr(0, end);
    pending.erase(0, end + 1);
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    const absl::StatusOr<std::string> answer = Execute(line);
    const std::string text = answer.ok() ? absl::StrCat(*answer, "\n")
                                         : absl::StrCat("error: ", answer.status().message(), "\n");
    // A short answer into a fresh socket; a client that does not read it loses it.
    if (fd == STDOUT_FILENO) {
      absl::FPrintF(stdout, "%s", text);
      std::fflush(stdout);
    } else {
      (void)::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    }
  }
}

absl::StatusOr<BoardFront*> Server::Find(absl::string_view name) {
  const auto found = boards_.find(std::string(name));
  if (found == boards_.end()) {
    return absl::NotFoundError(absl::StrCat("there is no board \"", name, "\""));
  }
  return found->second.get();
}

absl::StatusOr<std::string> Server::Execute(absl::string_view command) {
  const std::vector<std::string> words =
      absl::StrSplit(command, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty());
  const std::string verb = words.empty() ? "" : words[0];
  if (verb == "quit") {
    loop_.Stop();
    return "ok";
  }
  if (verb == "help") {
    return absl::StrCat(
        "list | unplug A | replug A | reset A | stats A | fault A FAULT… | quit; faults: ",
        absl::StrJoin(FaultNames(), " "));
  }
  if (verb == "list") {
    std::string list;
    for (const auto& [name, board] : boards_) {
      absl::StrAppend(&list, list.empty() ? "" : "\n", name, " ", StatisticsLine(*board));
    }
    return list;
  }
  if (words.size() < 2) {
    return absl::InvalidArgumentError(absl::StrCat("unknown command \"", command, "\"; try help"));
  }
  ASSIGN_OR_RETURN(BoardFront * board, Find(words[1]));
  if (verb == "unplug") {
    RETURN_IF_ERROR(SaveFlash(words[1], *board));
    board->Unplug();
  } else if (verb == "replug") {
    board->Unplug();
    RETURN_IF_ERROR(board->Plug());
  } else if (verb == "reset") {
    board->PressReset();
  } else if (verb == "stats") {
    return StatisticsLine(*board);
  } else if (verb == "fault") {
    Faults faults = board->board().current_faults();
    for (size_t i = 2; i < words.size(); ++i) RETURN_IF_ERROR(ParseFault(words[i], faults));
    board->board().SetFaults(faults);
  } else {
    return absl::InvalidArgumentError(absl::StrCat("unknown command \"", verb, "\"; try help"));
  }
  return "ok";
}

std::string Server::StatePath(absl::string_view name) const {
  return absl::StrCat(options_.state_folder, "/", name, ".flash");
}

absl::Status Server::SaveFlash(const std::string& name, BoardFront& board) const {
  if (options_.state_folder.empty()) return absl::OkStatus();
  std::error_code error;
  std::filesystem::create_directories(options_.state_folder, error);
  const std::string temporary = StatePath(name) + ".new";
  const absl::string_view contents = base::AsChars(board.board().flash_memory().contents());
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file.write(contents.data(), static_cast<std::streamsize>(contents.size()));
  file.close();
  if (file) std::filesystem::rename(temporary, StatePath(name), error);
  if (!file || error) return absl::InternalError(absl::StrCat("cannot write ", StatePath(name)));
  return absl::OkStatus();
}

void Server::LoadFlash(const std::string& name, BoardFront& board) const {
  if (options_.state_folder.empty()) return;
  std::ifstream file(StatePath(name), std::ios::binary);
  if (!file) return;
  const std::string contents{std::istreambuf_iterator<char>(file), {}};
  board.board().flash_memory().Load(base::AsBytes(contents));
}

absl::StatusOr<std::string> SendCommand(const std::string& folder, absl::string_view command) {
  ASSIGN_OR_RETURN(const sockaddr_un address, ControlAddress(folder));
  const base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return SystemError(absl::StrCat("no kiln-sim at ", folder));
  }
  const std::string line = absl::StrCat(command, "\n");
  if (::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(line.size())) {
    return SystemError("sending the command");
  }
  ::shutdown(fd.get(), SHUT_WR);
  std::string answer;
  char buffer[4096];
  for (ssize_t size; (size = ::read(fd.get(), buffer, sizeof(buffer))) > 0;) {
    answer.append(buffer, static_cast<size_t>(size));
  }
  return answer;
}

}  // namespace kiln::simulator
