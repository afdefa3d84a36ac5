#ifndef KILN_SIMULATOR_ROM_LOADER_H_
#define KILN_SIMULATOR_ROM_LOADER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "simulator/loader.h"
#include "simulator/write_session.h"

namespace kiln::simulator {

// The loader in the chips' ROM: four status bytes, hexadecimal MD5, erases at BEGIN, 64 bytes per
// read, and no idea of the flash until SPI_ATTACH. Lives from a reset into download mode until it
// is left. Owned by the board.
class RomLoader : public Loader {
 public:
  explicit RomLoader(LoaderPort& port) : port_(port) {}

  void Handle(absl::Span<const uint8_t> frame) override;

 private:
  // Errors of the ROM (esptool documentation, "Serial Protocol", ROM loader errors).
  enum Error : uint8_t {
    kOk = 0x00,
    kInvalidMessage = 0x05,
    kFailedToAct = 0x06,
    kInvalidChecksum = 0x07,
    kFlashWriteError = 0x08,
    kFlashReadError = 0x09,
    kInflateError = 0x0B,
  };

  bool Knows(uint8_t opcode) const;
  void Reply(const Request& request, Error error, uint32_t value = 0,
             absl::Span<const uint8_t> data = {});
  void ReplyUnknown(const Request& request);
  void Sync(const Request& request);
  Error Begin(const Request& request, bool deflated);
  Error Data(const Request& request, bool deflated);
  void End(const Request& request);
  Error MemBegin(const Request& request);
  Error MemData(const Request& request);
  void MemEnd(const Request& request);
  Error WriteRegisters(const Request& request);
  void ChangeBaud(const Request& request);
  void Md5(const Request& request);
  void ReadSlow(const Request& request);
  bool InFlash(uint32_t offset, uint64_t size) const;

  LoaderPort& port_;
  std::unique_ptr<WriteSession> session_;
  uint32_t flash_size_ = 4 * 1024 * 1024;                    // until SPI_SET_PARAMS says otherwise
  std::optional<std::pair<uint32_t, uint32_t>> mem_window_;  // begin, end of the current upload
  std::vector<std::pair<uint32_t, uint32_t>> uploaded_;      // begin, end of what RAM holds
  uint32_t mem_position_ = 0;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_ROM_LOADER_H_
