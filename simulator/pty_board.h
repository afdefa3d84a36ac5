#ifndef KILN_SIMULATOR_PTY_BOARD_H_
#define KILN_SIMULATOR_PTY_BOARD_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/unique_fd.h"
#include "simulator/board_front.h"
#include "simulator/event_loop.h"
#include "simulator/simulated_board.h"

namespace kiln::simulator {

// A simulated board at a pseudo-terminal: `path` is a symlink to its slave, `path`.ctl a
// SOCK_SEQPACKET socket that carries the modem lines, which pseudo-terminals lack (one byte: bit 0
// DTR, bit 1 RTS; answered with the same byte once applied). Owned by the server; its thread only.
class PtyBoard final : public BoardFront {
 public:
  // `loop` and `clock` must outlive it. Not plugged in yet.
  PtyBoard(const BoardConfig& config, std::string path, EventLoop& loop, base::Clock& clock);
  ~PtyBoard() override;
  PtyBoard(const PtyBoard&) = delete;
  PtyBoard& operator=(const PtyBoard&) = delete;

  // Makes terminal and socket, then the links. Supplies the board with power.
  absl::Status Plug() override;
  // Takes them away again.
  void Unplug() override;
  bool plugged() const override { return master_.valid(); }
  std::optional<absl::Duration> Step() override;
  SimulatedBoard& board() override { return board_; }
  void PressReset() override { board_.PressReset(clock_.Monotonic()); }
  absl::Time first_byte_time() const override { return first_byte_time_; }
  std::string path() const override { return path_; }

 private:
  absl::Status MakeTerminal();
  absl::Status MakeControlSocket();
  void ReadTerminal();
  void WriteTerminal();
  void AcceptControl();
  void ReadControl(int fd);
  void CloseControl(int fd);
  // The rate the host has set at the slave; 0 when unknown.
  uint32_t HostBaudRate() const;
  bool HostAttached() const;
  void MakeRaw() const;

  const std::string path_;
  EventLoop& loop_;
  base::Clock& clock_;
  SimulatedBoard board_;
  base::UniqueFd master_;
  base::UniqueFd listener_;
  struct Connection {
    base::UniqueFd fd;
    uint8_t lines = 0;
  };
  std::map<int, Connection> connections_;
  std::vector<uint8_t> unwritten_;  // the terminal's buffer was full
  uint32_t host_baud_ = 0;
  bool awaits_first_byte_ = false;
  absl::Time first_byte_time_ = absl::InfinitePast();
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_PTY_BOARD_H_
