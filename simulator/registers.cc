#include "simulator/registers.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "daemon/esp/chip.h"
#include "simulator/chip_model.h"
#include "simulator/flash_memory.h"

namespace kiln::simulator {
namespace {

constexpr uint32_t kMagicAddress = 0x40001000;

// SPI controller (ESP32 TRM chapter "SPI Controller"; ESP32-S2 TRM for the newer layout).
struct SpiLayout {
  uint32_t user, user1, user2, mosi_length, miso_length, data;
  bool address_at_top;  // the address stands in the register's upper bits
};
constexpr SpiLayout kOldLayout = {0x1C, 0x20, 0x24, 0x28, 0x2C, 0x80, true};
constexpr SpiLayout kNewLayout = {0x18, 0x1C, 0x20, 0x24, 0x28, 0x58, false};
constexpr uint32_t kSpiCommand = 0x00;
constexpr uint32_t kSpiAddress = 0x04;
constexpr uint32_t kSpiWindow = 0x100;
constexpr uint32_t kCommandUser = 1u << 18;
constexpr uint32_t kUserAddress = 1u << 30;
constexpr uint32_t kUserMiso = 1u << 28;

const SpiLayout& LayoutOf(esp::Chip chip) {
  return chip == esp::Chip::kEsp32 ? kOldLayout : kNewLayout;
}

// ESP32 only: what its ROM measures of the internal 8 MHz clock against the crystal. The product
// of both with 15625 / 40 is the crystal's frequency as the ROM believes it, here 0.6 % high.
constexpr uint32_t kEsp32Calibration = 0x3FF5F06C;  // TIMG0 RTCCALICFG1, value from bit 7
constexpr uint32_t kEsp32CalibrationValue = 2020;
constexpr uint32_t kEsp32Ck8mFreq = 51;  // eFuse BLOCK0 word 4, bits 0-7
// ESP32-C5: PCR_SYSCLK_CONF, the crystal in MHz from bit 24.
constexpr uint32_t kC5SysclkConf = 0x60096110;

// CONFIG0 of the RTC watchdog: bit 31 lets it run; bits 28 to 30 say what stage 0 does: from 4 on
// it resets the whole chip with its RTC domain. Milder actions are not modelled.
constexpr uint32_t kWatchdogRuns = 1u << 31;
constexpr uint32_t kWatchdogActionBit = 28;
constexpr uint32_t kWatchdogResetsChip = 4;

// NOR flash commands (any part's data sheet, JESD216).
constexpr uint8_t kReadId = 0x9F;
constexpr uint8_t kReadSfdp = 0x5A;
constexpr uint8_t kReadStatus1 = 0x05;
constexpr uint8_t kReadData = 0x03;
constexpr uint8_t kWriteEnable = 0x06;
constexpr uint8_t kWriteDisable = 0x04;
constexpr uint8_t kResetDevice = 0x99;

}  // namespace

Registers::Registers(esp::Chip chip, const esp::MacAddress& mac, FlashMemory& flash)
    : model_(ModelOf(chip)), flash_(flash), watchdog_(RtcWatchdogOf(chip)) {
  if (model_.magic != 0) fixed_[kMagicAddress] = model_.magic;
  const uint32_t low =
      uint32_t{mac[2]} << 24 | uint32_t{mac[3]} << 16 | uint32_t{mac[4]} << 8 | uint32_t{mac[5]};
  fixed_[model_.efuse_base + model_.mac_offset] = low;
  fixed_[model_.efuse_base + model_.mac_offset + 4] = uint32_t{mac[0]} << 8 | uint32_t{mac[1]};
  if (chip == esp::Chip::kEsp32C2) {
    // Revision 1.1, in the same word as the MAC's end: of 0.0 there were samples only, whose ROM
    // cannot run stubs.
    fixed_[model_.efuse_base + model_.mac_offset + 4] |= 1u << 20 | 1u << 16;
  }
  if (chip == esp::Chip::kEsp32) {
    fixed_[kEsp32Calibration] = kEsp32CalibrationValue << 7;
    fixed_[model_.efuse_base + 4 * 4] = kEsp32Ck8mFreq;
  }
  if (chip == esp::Chip::kEsp32C5) fixed_[kC5SysclkConf] = (model_.crystal_hz / 1'000'000) << 24;
  SetBaudRate(115200);
}

uint32_t Registers::Read(uint32_t address) const {
  if (address >= model_.spi_base && address < model_.spi_base + kSpiWindow) {
    return SpiWord(address - model_.spi_base);
  }
  const auto found = fixed_.find(address);
  return found == fixed_.end() ? 0 : found->second;
}

void Registers::Write(uint32_t address, uint32_t value, uint32_t mask) {
  if (WriteWatchdog(address, value, mask)) return;
  if (address < model_.spi_base || address >= model_.spi_base + kSpiWindow) return;
  const uint32_t offset = address - model_.spi_base;
  uint32_t& word = spi_[offset];
  word = (word & ~mask) | (value & mask);
  if (offset == kSpiCommand && (word & kCommandUser) != 0) {
    RunSpiCommand();
    spi_[kSpiCommand] &= ~kCommandUser;
  }
}

bool Registers::WriteWatchdog(uint32_t address, uint32_t value, uint32_t mask) {
  if (!watchdog_.has_value()) return false;
  const bool setting = address == watchdog_->config || address == watchdog_->stage_0_hold;
  if (!setting && address != watchdog_->write_protect) return false;
  if (setting && Read(watchdog_->write_protect) != kRtcWatchdogKey) return true;
  uint32_t& word = fixed_[address];
  word = (word & ~mask) | (value & mask);
  watchdog_written_ = watchdog_written_ || setting;
  return true;
}

std::optional<absl::Duration> Registers::TakeWatchdogChange() {
  if (!watchdog_written_) return std::nullopt;
  watchdog_written_ = false;
  const uint32_t config = Read(watchdog_->config);
  const uint32_t action = (config >> kWatchdogActionBit) & 7;
  if ((config & kWatchdogRuns) == 0 || action < kWatchdogResetsChip) {
    return absl::InfiniteDuration();
  }
  return absl::Seconds(1) * Read(watchdog_->stage_0_hold) / watchdog_->slow_clock_hz;
}

void Registers::Reset() {
  if (watchdog_.has_value()) {
    for (const uint32_t address :
         {watchdog_->config, watchdog_->stage_0_hold, watchdog_->write_protect}) {
      fixed_.erase(address);
    }
  }
  watchdog_written_ = false;
  spi_.clear();
  attached_ = false;
  write_enable_latch_ = 0;
  SetBaudRate(115200);
}

void Registers::SetSecurity(bool secure_boot, bool flash_encryption) {
  uint32_t& boot = fixed_[model_.efuse_base + model_.secure_boot_offset];
  boot = secure_boot ? boot | model_.secure_boot_mask : boot & ~model_.secure_boot_mask;
  uint32_t& crypt = fixed_[model_.efuse_base + model_.crypt_count_offset];
  const uint32_t count = 1u << model_.crypt_count_bit;
  crypt = flash_encryption ? crypt | count : crypt & ~count;
}

void Registers::SetBaudRate(uint32_t baud) {
  if (baud == 0) return;
  // Integer part in the low 20 bits, sixteenths above.
  const uint32_t sixteenths =
      static_cast<uint32_t>((uint64_t{model_.crystal_hz} * 16 + baud / 2) / baud);
  fixed_[model_.uart_clkdiv] = (sixteenths >> 4) | (sixteenths & 0xF) << 20;
}

uint32_t Registers::SpiWord(uint32_t offset) const {
  const auto found = spi_.find(offset);
  return found == spi_.end() ? 0 : found->second;
}

void Registers::RunSpiCommand() {
  const SpiLayout& layout = LayoutOf(model_.chip);
  const uint32_t user = SpiWord(layout.user);
  const uint8_t opcode = static_cast<uint8_t>(SpiWord(layout.user2));
  uint32_t address = 0;
  if ((user & kUserAddress) != 0) {
    const uint32_t bits = (SpiWord(layout.user1) >> 26) + 1;
    address = SpiWord(kSpiAddress);
    if (layout.address_at_top && bits < 32) address >>= 32 - bits;
  }
  if (attached_) {
    if (opcode == kWriteEnable) write_enable_latch_ = 1;
    if (opcode == kWriteDisable || opcode == kResetDevice) write_enable_latch_ = 0;
  }
  if ((user & kUserMiso) == 0) return;
  const uint32_t read_bits = (SpiWord(layout.miso_length) & 0x3FF) + 1;
  const uint32_t read_bytes = std::min<uint32_t>((read_bits + 7) / 8, 64);
  for (uint32_t word = 0; word * 4 < read_bytes; ++word) {
    uint32_t value = 0;
    for (uint32_t i = 0; i < 4 && word * 4 + i < read_bytes; ++i) {
      const uint8_t byte = attached_ ? FlashAnswer(opcode, address, word * 4 + i) : 0;
      value |= uint32_t{byte} << (8 * i);
    }
    spi_[layout.data + word * 4] = value;
  }
}

uint8_t Registers::FlashAnswer(uint8_t opcode, uint32_t address, uint32_t index) const {
  switch (opcode) {
    case kReadId:
      return index < 3 ? static_cast<uint8_t>(flash_.JedecId() >> (8 * index)) : 0;
    case kReadSfdp:
      return flash_.SfdpByte(address + index);
    case kReadStatus1:
      return static_cast<uint8_t>(write_enable_latch_ << 1);
    case kReadData: {
      uint8_t byte = 0;
      flash_.Read(address + index, absl::MakeSpan(&byte, 1));
      return byte;
    }
    default:
      return 0;
  }
}

}  // namespace kiln::simulator
