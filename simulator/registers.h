#ifndef KILN_SIMULATOR_REGISTERS_H_
#define KILN_SIMULATOR_REGISTERS_H_

#include <cstdint>
#include <map>
#include <optional>

#include "absl/time/time.h"
#include "daemon/esp/chip.h"
#include "simulator/chip_model.h"
#include "simulator/flash_memory.h"

namespace kiln::simulator {

// The words READ_REG and WRITE_REG reach, as far as hosts look at them: the detection magic, the
// eFuses, the UART divider, the RTC watchdog, and the SPI controller, through which a host talks to
// the flash part itself. Anything else reads 0 and ignores writes. Owned by its board.
class Registers {
 public:
  // `flash` must outlive the registers.
  Registers(esp::Chip chip, const esp::MacAddress& mac, FlashMemory& flash);

  uint32_t Read(uint32_t address) const;
  void Write(uint32_t address, uint32_t value, uint32_t mask);

  // As after a reset of the chip: the controller is idle and not connected to the flash.
  void Reset();
  // Routes the controller's pins to the flash; before that the bus reads 0.
  void AttachFlash() { attached_ = true; }
  bool flash_attached() const { return attached_; }

  void SetSecurity(bool secure_boot, bool flash_encryption);
  // Whether the RTC watchdog's setting was written since the last call, and then after which time
  // it resets the chip; infinite while it does not.
  std::optional<absl::Duration> TakeWatchdogChange();

  // What the UART really runs at decides its divider.
  void SetBaudRate(uint32_t baud);

 private:
  // Runs the user command the controller's registers describe.
  void RunSpiCommand();
  // True when the address is the watchdog's.
  bool WriteWatchdog(uint32_t address, uint32_t value, uint32_t mask);
  uint32_t SpiWord(uint32_t offset) const;
  uint8_t FlashAnswer(uint8_t opcode, uint32_t address, uint32_t index) const;

  const ChipModel& model_;
  FlashMemory& flash_;
  bool attached_ = false;
  uint8_t write_enable_latch_ = 0;
  const std::optional<RtcWatchdogModel> watchdog_;
  bool watchdog_written_ = false;
  std::map<uint32_t, uint32_t> fixed_;  // by address
  std::map<uint32_t, uint32_t> spi_;    // by offset from the controller's base
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_REGISTERS_H_
