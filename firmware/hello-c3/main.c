// hello-c3: the smallest firmware that is a Kiln product. It says who it is, as
// docs/firmware-guide.md asks of every firmware, and repeats it for whoever comes later.

#include "firmware/hello-c3/chip.h"
#include "firmware/hello-c3/nvs.h"
#include "firmware/hello-c3/partition_table.h"
#include "firmware/hello-c3/report.h"

#define VERSION "1.0.0"

// What an application says of itself: ESP-IDF Programming Guide, "App Image Format", "Application
// Description". Bootloaders and tools find it at the start of the first segment. Time and date stay
// empty, so that the same source makes the same bytes.
struct description {
  uint32_t magic;
  uint32_t secure_version;
  uint32_t reserved[2];
  char version[32];
  char project[32];
  char time[16];
  char date[16];
  char idf_version[32];
  uint8_t elf_sha256[32];
  uint32_t reserved2[20];
};
_Static_assert(sizeof(struct description) == 256, "the size is part of the format");

__attribute__((section(".description"), used)) static const struct description kDescription = {
    .magic = 0xABCD5432,
    .version = VERSION,
    .project = "hello-c3",
    .idf_version = "none",
};

// Where the partition begins in flash.
static int read_partition(void* context, uint32_t offset, void* to, uint32_t size) {
  return read_flash(*(const uint32_t*)context + offset, to, size);
}

static const char* make_report(char* report) {
  static uint8_t table[PARTITION_TABLE_SIZE];
  uint32_t offset = 0;
  uint32_t size = 0;
  if (!read_flash(PARTITION_TABLE_OFFSET, table, sizeof table)) return "cannot read the flash";
  if (!find_nvs_partition(table, sizeof table, &offset, &size)) return "no NVS partition";
  uint8_t mac[6];
  read_mac(mac);
  const struct nvs_source nvs = {read_partition, &offset, size};
  if (!write_report(&nvs, mac, "hello-c3 " VERSION, report)) return "no identity in NVS";
  return report;
}

// Called by start.S; never returns.
void hello(void) {
  stop_watchdogs();
  static char report[REPORT_SIZE];
  print("\r\nhello-c3 " VERSION ": an ESP32-C3 made by Kiln\r\n");
  for (;;) {
    // Read anew each time: whoever writes the partition later is believed.
    print(make_report(report));
    print("\r\n");
    wait_ms(1000);
  }
}
