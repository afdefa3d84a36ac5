#ifndef KILN_SIMULATOR_SERVER_H_
#define KILN_SIMULATOR_SERVER_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/unique_fd.h"
#include "simulator/board_front.h"
#include "simulator/event_loop.h"
#include "simulator/simulated_board.h"
#include "simulator/usb/vhci_bus.h"

namespace kiln::simulator {

// A board as `--board` describes it.
struct BoardSpec {
  std::string name;
  BoardConfig config;
  std::string adapter;  // on a virtual USB: what stands between; empty: a CP2102
};

// "A:esp32c3",
// "A:esp32c3,mac=7c:df:a1:00:00:09,flash=8MB,part=GD25Q64C,fault=stub-silent,download,adapter=ch340".
// `index` gives the MAC where none is named. INVALID_ARGUMENT names what is wrong.
absl::StatusOr<BoardSpec> ParseBoardSpec(absl::string_view text, int index);

struct ServerOptions {
  std::string folder;        // of the links and of the socket "control"
  std::string state_folder;  // where flash contents are kept between runs; empty: nowhere
  std::vector<BoardSpec> boards;
  bool vhci = false;  // on the kernel's virtual USB rather than on pseudo-terminals
};

// All boards of one kiln-sim: their terminals or USB devices, the person's commands (on the socket
// FOLDER/control and on standard input, one a line), and a clean end on SIGTERM or SIGINT. One
// thread.
class Server {
 public:
  Server(ServerOptions options, base::Clock& clock);
  ~Server();

  // Plugs all boards in, prints "NAME CHIP MAC PATH" for each and "ready", and serves until told to
  // stop. Removes what it made.
  absl::Status Run();

  // Carries out one command and returns what to answer: "unplug A", "replug A", "reset A",
  // "fault A stub-silent [more]", "stats A", "list", "help", "quit".
  absl::StatusOr<std::string> Execute(absl::string_view command);

 private:
  struct Client {
    base::UniqueFd fd;
    std::string line;
  };
  absl::Status Start();
  // Takes away everything that was made.
  void Close();
  absl::Status ListenForCommands();
  void ReadCommands(int fd);
  // Executes the complete lines in `pending`; answers go to `fd`.
  void ExecuteLines(std::string& pending, int fd);
  absl::StatusOr<std::unique_ptr<BoardFront>> MakeFront(const BoardSpec& spec);
  absl::StatusOr<BoardFront*> Find(absl::string_view name);
  std::string StatePath(absl::string_view name) const;
  absl::Status SaveFlash(const std::string& name, BoardFront& board) const;
  void LoadFlash(const std::string& name, BoardFront& board) const;

  const ServerOptions options_;
  base::Clock& clock_;
  EventLoop loop_;
  VhciBus usb_;
  base::UniqueFd signals_;
  base::UniqueFd listener_;
  std::map<int, Client> clients_;
  std::map<std::string, std::unique_ptr<BoardFront>> boards_;
  bool made_control_ = false;
};

// Sends one command to the kiln-sim that serves `folder`; returns its answer.
absl::StatusOr<std::string> SendCommand(const std::string& folder, absl::string_view command);

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_SERVER_H_
