#include "daemon/ports/usb/adapters.h"

#include <cstdint>

#include "absl/types/span.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/usb_sysfs.h"

namespace kiln::ports {
namespace {

using enum UsbDriver;
using enum LinkKind;

// Sources. Ids: the tables of Linux' cp210x, ch341, ftdi_sio and pl2303 drivers; of WCH's newer
// chips, with their numbers of ports, WCH's driver ch343ser; Espressif's: esptool's documentation
// ("USB-OTG": the product is the chip's image id). Rates: the makers' data sheets, except CH340 and
// CH341, whose data sheets promise 2 Mbaud and whose divisor reaches the 3 Mbaud that Linux allows.
//
// FIFOs: the data sheets of CP2102N, CP2105, CP2108, FT232R, FT2232H, FT4232H, FT232H and FT230X.
// FTDI's types with power delivery (HP) or for cars (HA) are FT2232H, FT4232H and FT232H for the
// rest. Where no data sheet tells a FIFO, a bound on the safe side: CH34x twice its largest packet
// of 32 bytes, WCH's newer chips 2 KiB.
//
// Not here: CP2102C (10c4:ea64), a CDC-ACM device. Its flow control by hardware cannot be turned
// off and moves RTS, and so the reset of a board, with what it receives (esptool's pull request
// 1157).
//
// CH9102 and CH343 speak both CDC-ACM and WCH's own requests. Kiln takes CDC-ACM: it is documented
// by a standard, carries the rate as a plain number and both modem lines in one request, and is
// what the kernel's driver has proven on these chips.
constexpr UsbAdapter kAdapters[] = {
    // Silicon Labs. The part number behind ea60 is asked for when the device is opened.
    {0x10c4, 0xea60, "CP210x", kCp210x, kUartBridge, 1, 3'000'000, 640},
    {0x10c4, 0xea61, "CP210x", kCp210x, kUartBridge, 1, 3'000'000, 640},
    {0x10c4, 0xea63, "CP210x", kCp210x, kUartBridge, 1, 3'000'000, 640},
    {0x10c4, 0xea70, "CP2105", kCp210x, kUartBridge, 2, 2'000'000, 320},
    {0x10c4, 0xea71, "CP2108", kCp210x, kUartBridge, 4, 2'000'000, 1024},
    // The same, for drivers that come by Windows Update.
    {0x10c4, 0xea7a, "CP2105", kCp210x, kUartBridge, 2, 2'000'000, 320},
    {0x10c4, 0xea7b, "CP2108", kCp210x, kUartBridge, 4, 2'000'000, 1024},
    // WCH
    {0x1a86, 0x7523, "CH340", kCh34x, kUartBridge, 1, 3'000'000, 64},
    {0x1a86, 0x7522, "CH340", kCh34x, kUartBridge, 1, 3'000'000, 64},
    {0x1a86, 0x5523, "CH341", kCh34x, kUartBridge, 1, 3'000'000, 64},
    {0x4348, 0x5523, "CH341", kCh34x, kUartBridge, 1, 3'000'000, 64},
    {0x1a86, 0x55d2, "CH342", kCdcAcm, kUartBridge, 2, 3'000'000, 2048},
    {0x1a86, 0x55d3, "CH343", kCdcAcm, kUartBridge, 1, 6'000'000, 2048},
    {0x1a86, 0x55d4, "CH9102", kCdcAcm, kUartBridge, 1, 4'000'000, 2048},
    {0x1a86, 0x55d5, "CH344", kCdcAcm, kUartBridge, 4, 6'000'000, 2048},
    {0x1a86, 0x55d7, "CH9103", kCdcAcm, kUartBridge, 2, 3'000'000, 2048},
    {0x1a86, 0x55d8, "CH9101", kCdcAcm, kUartBridge, 1, 3'000'000, 2048},
    {0x1a86, 0x55df, "CH9104", kCdcAcm, kUartBridge, 4, 6'000'000, 2048},
    // FTDI. Which chip of a family it is, bcdDevice tells.
    {0x0403, 0x6001, "FT232R", kFtdi, kUartBridge, 1, 3'000'000, 512},
    {0x0403, 0x6010, "FT2232", kFtdi, kUartBridge, 2, 12'000'000, 4096},
    {0x0403, 0x6011, "FT4232H", kFtdi, kUartBridge, 4, 12'000'000, 2048},
    {0x0403, 0x6014, "FT232H", kFtdi, kUartBridge, 1, 12'000'000, 1024},
    {0x0403, 0x6015, "FT230X", kFtdi, kUartBridge, 1, 3'000'000, 512},
    {0x0403, 0x6040, "FT2233HP", kFtdi, kUartBridge, 2, 12'000'000, 4096},
    {0x0403, 0x6041, "FT4233HP", kFtdi, kUartBridge, 4, 12'000'000, 2048},
    {0x0403, 0x6042, "FT2232HP", kFtdi, kUartBridge, 2, 12'000'000, 4096},
    {0x0403, 0x6043, "FT4232HP", kFtdi, kUartBridge, 4, 12'000'000, 2048},
    {0x0403, 0x6044, "FT233HP", kFtdi, kUartBridge, 1, 12'000'000, 1024},
    {0x0403, 0x6045, "FT232HP", kFtdi, kUartBridge, 1, 12'000'000, 1024},
    {0x0403, 0x6048, "FT4232HA", kFtdi, kUartBridge, 4, 12'000'000, 2048},
    // Espressif. The chips' own USB has no UART: any rate is taken, none matters.
    {kEspressifVendor, kUsbSerialJtagProduct, "USB-Serial/JTAG", kCdcAcm, kUsbSerialJtag, 1,
     12'000'000, 0},
    {kEspressifVendor, 0x0002, "ESP32-S2", kCdcAcm, kUsbOtg, 1, 12'000'000, 0},
    {kEspressifVendor, 0x0009, "ESP32-S3", kCdcAcm, kUsbOtg, 1, 12'000'000, 0},
    {kEspressifVendor, 0x0012, "ESP32-P4", kCdcAcm, kUsbOtg, 1, 12'000'000, 0},
    // Prolific: rare on ESP32 boards, and every generation speaks differently.
    {0x067b, 0x2303, "PL2303", kKernelOnly, kUartBridge, 1, 6'000'000, 512},
    {0x067b, 0x23a3, "PL2303GC", kKernelOnly, kUartBridge, 1, 12'000'000, 512},
    {0x067b, 0x23b3, "PL2303GB", kKernelOnly, kUartBridge, 1, 12'000'000, 512},
    {0x067b, 0x23c3, "PL2303GT", kKernelOnly, kUartBridge, 1, 12'000'000, 512},
    {0x067b, 0x23d3, "PL2303GL", kKernelOnly, kUartBridge, 1, 12'000'000, 512},
};

// Product 0 stands for whatever the firmware calls itself.
constexpr UsbAdapter kAnyEspressif = {kEspressifVendor, 0, "ESP32 USB-OTG", kCdcAcm,
                                      kUsbOtg,          1, 12'000'000,      0};

}  // namespace

const UsbAdapter* FindUsbAdapter(uint16_t vendor, uint16_t product) {
  for (const UsbAdapter& adapter : kAdapters) {
    if (adapter.vendor == vendor && adapter.product == product) return &adapter;
  }
  return nullptr;
}

const UsbAdapter* FindUsbAdapter(uint16_t vendor, uint16_t product, bool has_cdc_interface) {
  const UsbAdapter* known = FindUsbAdapter(vendor, product);
  if (known != nullptr || vendor != kEspressifVendor || !has_cdc_interface) return known;
  return &kAnyEspressif;
}

absl::Span<const UsbAdapter> AllUsbAdapters() { return kAdapters; }

}  // namespace kiln::ports
