#ifndef KILN_SIMULATOR_MEMORY_STREAM_H_
#define KILN_SIMULATOR_MEMORY_STREAM_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "daemon/ports/byte_stream.h"
#include "simulator/simulated_board.h"

namespace kiln::simulator {

// A simulated board at a port, reached without any operating system between: for tests. Opens
// ports::ByteStreams straight into the board, one at a time (PortBusy otherwise), and plays the
// person who plugs and unplugs. All waiting is done on the clock it was given, so that with a
// base::FakeClock a whole deployment takes no real time. Thread-safe; streams may outlive it.
class SimulatedOpener final : public ports::StreamOpener {
 public:
  // `clock` must outlive the opener and its streams.
  SimulatedOpener(const BoardConfig& config, base::Clock& clock, absl::string_view name = "board");
  ~SimulatedOpener() override;

  absl::StatusOr<std::unique_ptr<ports::ByteStream>> Open() override;
  std::string address() const override;  // "sim://board"
  bool Present() override { return plugged(); }
  std::string Instance() override;  // changes with every replug

  // Takes the board away: open streams answer BoardUnplugged from now on.
  void Unplug();
  // Plugs the same board in again, flash as it was; it starts from power-on.
  void Replug();
  // Plugs another board in, with a blank flash, in place of the one there.
  void ReplaceBoard(const BoardConfig& config);
  bool plugged() const;

  // Calls `visit` with the board, held still.
  void WithBoard(absl::FunctionRef<void(SimulatedBoard&)> visit);
  void SetFaults(const Faults& faults);
  BoardStatistics statistics();

 private:
  class Link;
  class Stream;
  const std::string name_;
  std::shared_ptr<Link> link_;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_MEMORY_STREAM_H_
