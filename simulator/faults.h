#ifndef KILN_SIMULATOR_FAULTS_H_
#define KILN_SIMULATOR_FAULTS_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace kiln::simulator {

// What happens to the bytes of one direction. Counts are of bytes since the fault was set, the
// first being 1; zero and empty mean never.
struct LineFaults {
  uint64_t lose_every = 0;
  uint64_t flip_every = 0;  // one bit of the byte is inverted
  std::set<uint64_t> lose_at;
  std::set<uint64_t> flip_at;
  uint64_t late_every = 0;  // this byte, and so all after it, comes `late_by` later
  absl::Duration late_by = absl::Milliseconds(50);
};

// Misfortunes of one board. All off by default; the counts of flash bytes are of bytes programmed
// since the fault was set, and each such event happens once.
struct Faults {
  LineFaults to_board;
  LineFaults to_host;
  std::optional<uint64_t> reset_after_flash_bytes;       // as if EN were touched: back to boot
  std::optional<uint64_t> power_loss_after_flash_bytes;  // dead until it is replugged
  std::optional<uint64_t> unplug_after_flash_bytes;      // the front takes the port away
  std::optional<uint64_t> unplug_after_received_bytes;   // bytes from the host, any kind
  bool stub_silent = false;                              // an uploaded stub never says OHAI
  absl::Duration erase_extra;     // added to every erase of a sector or block
  int wrong_md5_answers = 0;      // how many MD5 answers to falsify; -1: all
  bool no_identity_line = false;  // the application says nothing of itself
  bool dead_loader = false;       // the ROM loader never answers
  bool boot_held = false;         // GPIO0 stays low: every start ends in the loader
  std::string identity_mac;       // replaces the MAC in the identity line
  std::string identity_customer;  // replaces the customer id there
  bool dead_watchdog = false;     // the RTC watchdog never resets the chip
  bool secure_boot = false;
  bool flash_encryption = false;
  bool secure_download = false;
};

// Applies a textual fault, as kiln-sim takes it, to `faults`: "lose-to-board-every=1000",
// "flip-to-host-at=17", "power-loss-after=65536", "stub-silent", "none". INVALID_ARGUMENT names
// what is wrong. FaultNames lists them all.
absl::Status ParseFault(absl::string_view text, Faults& faults);
std::vector<std::string> FaultNames();

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_FAULTS_H_
