#ifndef KILN_FIRMWARE_HELLO_C3_CHIP_H_
#define KILN_FIRMWARE_HELLO_C3_CHIP_H_

#include <stdint.h>

// The ESP32-C3 as far as this program needs it.

// Stops the three watchdogs that guard a start from flash.
void stop_watchdogs(void);

// The factory's MAC, in the order it is read aloud.
void read_mac(uint8_t mac[6]);

// Reads flash through the ROM; any offset, any size, any place. Answers whether it could.
int read_flash(uint32_t offset, void* to, uint32_t size);

// Prints on UART0, at the rate the ROM or the bootloader set (115200 baud), and on the chip's own
// USB serial port as long as a host reads it; neither is waited for without end.
void print(const char* text);

void wait_ms(uint32_t ms);

#endif  // KILN_FIRMWARE_HELLO_C3_CHIP_H_
