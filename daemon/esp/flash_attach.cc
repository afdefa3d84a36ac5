#include "daemon/esp/flash_attach.h"

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/loader_client.h"
#include "daemon/esp/loader_traits.h"
#include "errors/error.h"

namespace kiln::esp {
namespace {

using errors::ErrorCode;

// Bits of the SPI controller: chips' technical reference manuals, SPI_CMD, SPI_USER, SPI_USER2.
constexpr uint32_t kCmdUser = 1u << 18;
constexpr uint32_t kUserCommand = 1u << 31;
constexpr uint32_t kUserMiso = 1u << 28;
constexpr uint32_t kCommandLengthShift = 28;
// JEDEC JESD216: Read ID.
constexpr uint32_t kReadJedecId = 0x9F;
constexpr uint32_t kJedecIdBits = 24;
constexpr int kMaxPolls = 10;

absl::StatusOr<uint32_t> ReadJedecId(LoaderClient& loader, const SpiRegisters& spi) {
  ASSIGN_OR_RETURN(const uint32_t usr, loader.ReadRegister(spi.usr));
  ASSIGN_OR_RETURN(const uint32_t usr2, loader.ReadRegister(spi.usr2));
  RETURN_IF_ERROR(loader.WriteRegister(spi.miso_dlen, kJedecIdBits - 1));
  RETURN_IF_ERROR(loader.WriteRegister(spi.usr, kUserCommand | kUserMiso));
  RETURN_IF_ERROR(loader.WriteRegister(spi.usr2, 7u << kCommandLengthShift | kReadJedecId));
  RETURN_IF_ERROR(loader.WriteRegister(spi.w0, 0));
  RETURN_IF_ERROR(loader.WriteRegister(spi.cmd, kCmdUser));
  bool done = false;
  for (int poll = 0; poll < kMaxPolls && !done; ++poll) {
    ASSIGN_OR_RETURN(const uint32_t cmd, loader.ReadRegister(spi.cmd));
    done = (cmd & kCmdUser) == 0;
  }
  if (!done) {
    return errors::MakeError(ErrorCode::kFlashUnknown, "the flash controller does not finish");
  }
  ASSIGN_OR_RETURN(const uint32_t id, loader.ReadRegister(spi.w0));
  RETURN_IF_ERROR(loader.WriteRegister(spi.usr, usr));
  RETURN_IF_ERROR(loader.WriteRegister(spi.usr2, usr2));
  return id & 0xFFFFFF;
}

}  // namespace

uint32_t FlashPinsOfEsp32(uint32_t word5, uint32_t word3) {
  // ESP32 Technical Reference Manual, eFuse controller: SPI_PAD_CONFIG_CLK, _Q, _D and _CS0 in
  // BLOCK0 word 5, _HD in word 3. Values from 30 on stand for GPIO32 and 33.
  constexpr uint32_t kPadMask = 0xFFFFF;
  if ((word5 & kPadMask) == 0 || (word5 & kPadMask) == kPadMask) return 0;
  const auto pin = [](uint32_t word, int shift) {
    const uint32_t value = (word >> shift) & 0x1F;
    return value >= 30 ? value + 2 : value;
  };
  const uint32_t clk = pin(word5, 0);
  const uint32_t q = pin(word5, 5);
  const uint32_t d = pin(word5, 10);
  const uint32_t cs = pin(word5, 15);
  const uint32_t hd = pin(word3, 4);
  if (clk == q || clk == d || clk == cs || q == d || q == cs || d == cs) return 0;
  return hd << 24 | cs << 18 | d << 12 | q << 6 | clk;
}

absl::StatusOr<AttachedFlash> AttachFlash(LoaderClient& loader, Chip chip) {
  const LoaderTraits& traits = LoaderTraitsOf(chip);
  uint32_t pins = 0;
  if (chip == Chip::kEsp32 && !loader.stub()) {
    // The ESP32's ROM alone does not look up the flash pins of modules like the PICO by itself.
    constexpr uint32_t kBlock0 = 0x3FF5A000;
    ASSIGN_OR_RETURN(const uint32_t word5, loader.ReadRegister(kBlock0 + 5 * 4));
    ASSIGN_OR_RETURN(const uint32_t word3, loader.ReadRegister(kBlock0 + 3 * 4));
    pins = FlashPinsOfEsp32(word5, word3);
  }
  RETURN_IF_ERROR(loader.SpiAttach(pins));
  AttachedFlash flash;
  ASSIGN_OR_RETURN(flash.jedec_id, ReadJedecId(loader, traits.spi));
  const std::optional<uint32_t> size = FlashSizeOfJedecId(flash.jedec_id);
  if (!size.has_value()) {
    return errors::MakeError(ErrorCode::kFlashUnknown,
                             absl::StrFormat("the flash answers with id 0x%06x", flash.jedec_id));
  }
  flash.size_bytes = *size;
  RETURN_IF_ERROR(loader.SpiSetParameters(flash.size_bytes));
  return flash;
}

}  // namespace kiln::esp
