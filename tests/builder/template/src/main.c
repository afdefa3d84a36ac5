// A program that greets; the values come from kiln-template.toml.

#include "kiln_values.h"

#if KILN_BROKEN
#error this template was asked to be broken
#endif

struct description {
  unsigned magic;
  unsigned reserved[3];
  char version[32];
  char project[32];
  char rest[176];
};
__attribute__((section(".description"), used)) static const struct description kDescription = {
    .magic = 0xABCD5432, .version = "1.0.0", .project = "greeter"};

static const char kGreeting[] = KILN_GREETING;

typedef void (*rom_delay_us)(unsigned us);

// ROM function and UART0: see firmware/hello-c3/chip.c.
void greet(void) {
  for (;;) {
    for (const char* c = kGreeting; *c != '\0'; ++c) *(volatile unsigned*)0x60000000 = (unsigned char)*c;
    for (int second = 0; second < KILN_INTERVAL_S; ++second) ((rom_delay_us)0x40000050)(1000000);
  }
}

__attribute__((naked, section(".entry"))) void _start(void) {
  __asm__("la sp, stack_top\n"
          "j greet\n");
}
