#include "firmware/hello-c3/chip.h"

#include "firmware/hello-c3/bytes.h"

// Addresses and bits: ESP32-C3 Technical Reference Manual, chapters "System and Memory" (where the
// modules are), "Watchdog Timers", "Low-power Management", "eFuse Controller", "UART Controller"
// and "USB Serial/JTAG Controller".
#define REGISTER(address) (*(volatile uint32_t*)(address))

#define UART0_FIFO REGISTER(0x60000000)
#define UART0_STATUS REGISTER(0x6000001C)
#define UART_TX_COUNT(status) ((status) >> 16 & 0x3FF)
#define UART_TX_ROOM 128u

#define RTC_WDT_CONFIG0 REGISTER(0x60008090)
#define RTC_WDT_WRITE_PROTECT REGISTER(0x600080A8)
#define SUPER_WDT_CONFIG REGISTER(0x600080AC)
#define SUPER_WDT_WRITE_PROTECT REGISTER(0x600080B0)
#define SUPER_WDT_FEED_ITSELF (1u << 31)
#define TIMER0_WDT_CONFIG0 REGISTER(0x6001F048)
#define TIMER0_WDT_WRITE_PROTECT REGISTER(0x6001F064)
// Its settings take effect when this is written with them.
#define TIMER0_WDT_UPDATE (1u << 22)
#define WDT_KEY 0x50D83AA1u
#define SUPER_WDT_KEY 0x8F1D312Au

#define EFUSE_MAC_LOW REGISTER(0x60008844)
#define EFUSE_MAC_HIGH REGISTER(0x60008848)

#define USB_SERIAL_FIFO REGISTER(0x60043000)
#define USB_SERIAL_CONFIG REGISTER(0x60043004)
#define USB_SERIAL_SEND (1u << 0)
#define USB_SERIAL_HAS_ROOM (1u << 1)

// Functions of the mask ROM, the same in all its revisions: ESP-IDF, esp32c3.rom.ld.
typedef void (*rom_delay_us)(uint32_t us);
typedef int (*rom_flash_read)(uint32_t offset, uint32_t* to, int32_t size);  // 0 when it could
#define ROM_DELAY_US ((rom_delay_us)0x40000050)
#define ROM_FLASH_READ ((rom_flash_read)0x40000130)

enum {
  kFlashPiece = 64,  // what the flash controller's own buffer holds
  // Of each byte, not of a text, which takes as long as it is: far longer than a full buffer at
  // 115200 baud (11 ms), and than a host that listens, which asks every millisecond.
  kUartPatienceUs = 50000,
  kUsbPatienceUs = 2000,
};

void stop_watchdogs(void) {
  RTC_WDT_WRITE_PROTECT = WDT_KEY;
  RTC_WDT_CONFIG0 = 0;
  RTC_WDT_WRITE_PROTECT = 0;
  SUPER_WDT_WRITE_PROTECT = SUPER_WDT_KEY;
  SUPER_WDT_CONFIG |= SUPER_WDT_FEED_ITSELF;
  SUPER_WDT_WRITE_PROTECT = 0;
  TIMER0_WDT_WRITE_PROTECT = WDT_KEY;
  TIMER0_WDT_CONFIG0 = TIMER0_WDT_UPDATE;
  TIMER0_WDT_WRITE_PROTECT = 0;
}

void read_mac(uint8_t mac[6]) {
  const uint32_t low = EFUSE_MAC_LOW;
  const uint32_t high = EFUSE_MAC_HIGH;
  mac[0] = (uint8_t)(high >> 8);
  mac[1] = (uint8_t)high;
  mac[2] = (uint8_t)(low >> 24);
  mac[3] = (uint8_t)(low >> 16);
  mac[4] = (uint8_t)(low >> 8);
  mac[5] = (uint8_t)low;
}

int read_flash(uint32_t offset, void* to, uint32_t size) {
  uint8_t* out = to;
  while (size > 0) {
    // The ROM wants everything in whole words.
    uint32_t words[kFlashPiece / 4];
    const uint32_t start = offset & ~3u;
    const uint32_t skip = offset - start;
    uint32_t now = kFlashPiece - skip;
    if (now > size) now = size;
    if (ROM_FLASH_READ(start, words, (int32_t)((skip + now + 3) & ~3u)) != 0) return 0;
    const uint8_t* bytes = (const uint8_t*)words + skip;
    for (uint32_t i = 0; i < now; ++i) out[i] = bytes[i];
    out += now;
    offset += now;
    size -= now;
  }
  return 1;
}

static void print_on_uart(const char* text) {
  for (; *text != '\0'; ++text) {
    int patience = kUartPatienceUs / 10;
    while (UART_TX_COUNT(UART0_STATUS) >= UART_TX_ROOM - 1) {
      if (--patience < 0) return;
      ROM_DELAY_US(10);
    }
    UART0_FIFO = (uint8_t)*text;
  }
}

static void print_on_usb(const char* text) {
  while (*text != '\0') {
    int patience = kUsbPatienceUs / 10;
    while ((USB_SERIAL_CONFIG & USB_SERIAL_HAS_ROOM) == 0) {
      if (--patience < 0) return;
      ROM_DELAY_US(10);
    }
    USB_SERIAL_FIFO = (uint8_t)*text++;
    // A full packet leaves by itself; the last one has to be sent.
    if (*text == '\0') USB_SERIAL_CONFIG = USB_SERIAL_SEND;
  }
}

void print(const char* text) {
  print_on_uart(text);
  print_on_usb(text);
}

void wait_ms(uint32_t ms) {
  for (; ms > 0; --ms) ROM_DELAY_US(1000);
}
