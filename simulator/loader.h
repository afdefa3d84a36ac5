#ifndef KILN_SIMULATOR_LOADER_H_
#define KILN_SIMULATOR_LOADER_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "daemon/esp/chip.h"
#include "simulator/faults.h"
#include "simulator/flash_memory.h"
#include "simulator/registers.h"

namespace kiln::simulator {

// Command numbers of the serial protocol (esptool documentation, "Serial Protocol").
enum Opcode : uint8_t {
  kFlashBegin = 0x02,
  kFlashData = 0x03,
  kFlashEnd = 0x04,
  kMemBegin = 0x05,
  kMemEnd = 0x06,
  kMemData = 0x07,
  kSync = 0x08,
  kWriteReg = 0x09,
  kReadReg = 0x0A,
  kSpiSetParams = 0x0B,
  kSpiAttach = 0x0D,
  kReadFlashSlow = 0x0E,
  kChangeBaudRate = 0x0F,
  kFlashDeflBegin = 0x10,
  kFlashDeflData = 0x11,
  kFlashDeflEnd = 0x12,
  kSpiFlashMd5 = 0x13,
  kGetSecurityInfo = 0x14,
  kEraseFlash = 0xD0,
  kEraseRegion = 0xD1,
  kReadFlash = 0xD2,
  kRunUserCode = 0xD3,
};

// What a loader asks of the board it runs on. Time is the loader's own: what it sends leaves after
// what it has spent so far.
class LoaderPort {
 public:
  virtual ~LoaderPort() = default;

  virtual esp::Chip chip() const = 0;
  virtual FlashMemory& flash() = 0;
  virtual Registers& registers() = 0;
  virtual Faults& faults() = 0;

  virtual void SendFrame(absl::Span<const uint8_t> payload) = 0;
  // The processor is busy for `duration`; counts only when times are modelled.
  virtual void Spend(absl::Duration duration) = 0;
  // Busy in any case.
  virtual void SpendAlways(absl::Duration duration) = 0;
  // Programs flash unless a fault strikes; false once the board is no longer running the loader.
  virtual bool ProgramFlash(uint32_t address, absl::Span<const uint8_t> data) = 0;
  // From what is sent next on.
  virtual void ChangeBaudRate(uint32_t baud) = 0;
  virtual uint32_t baud_rate() const = 0;
  virtual void StartStub() = 0;
  // Leaves the loader and starts what is in flash.
  virtual void RunProgram() = 0;
  // Resets the chip by software: the straps stay as EN's last rise has latched them, so that a
  // board in download mode comes back into it.
  virtual void SoftReset() = 0;
};

// One loader: handles one frame at a time. Implemented by the ROM's and the stub's.
class Loader {
 public:
  virtual ~Loader() = default;
  virtual void Handle(absl::Span<const uint8_t> frame) = 0;
  // True while frames other than commands are expected, many at a time.
  virtual bool streaming() const { return false; }
};

// A request taken apart: direction 00, opcode, length u16, checksum u32, data.
struct Request {
  uint8_t opcode;
  uint16_t length;  // as the header says it
  uint32_t checksum;
  absl::Span<const uint8_t> data;
};
// Nothing when it is no request.
std::optional<Request> ParseRequest(absl::Span<const uint8_t> frame);
// The exclusive or of all bytes, seeded with EF.
uint8_t ProtocolChecksum(absl::Span<const uint8_t> data);
// Word `index` of the request's data; 0 beyond its end.
uint32_t WordAt(const Request& request, size_t index);
// A reply: direction 01, opcode, length, value, data, status bytes.
std::vector<uint8_t> MakeReply(uint8_t opcode, uint32_t value, absl::Span<const uint8_t> data,
                               absl::Span<const uint8_t> status);

// What SPI_FLASH_MD5 finds, or what the fault of a wrong MD5 makes of it; takes as long as a loader
// needs that hashes `bytes_per_second`. The range must lie in the flash.
base::Md5Digest FlashMd5(LoaderPort& port, uint32_t address, uint32_t size,
                         double bytes_per_second);
// What GET_SECURITY_INFO answers, on chips that have it.
std::vector<uint8_t> SecurityInfoOf(LoaderPort& port);

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_LOADER_H_
