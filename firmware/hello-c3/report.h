#ifndef KILN_FIRMWARE_HELLO_C3_REPORT_H_
#define KILN_FIRMWARE_HELLO_C3_REPORT_H_

#include <stdint.h>

#include "firmware/hello-c3/nvs.h"

#ifdef __cplusplus
extern "C" {
#endif

// The longest line a station reads, without its end (docs/architecture.md, "The board's own
// report"), and a NUL.
#define REPORT_SIZE 1025

// Writes the board's own report, one line of JSON without its end, to `out` of REPORT_SIZE bytes.
// `mac` is in the order it is read aloud. Values come from the namespace "kiln"; what is not there
// is left out, and so are the optional ones when the line would be too long. Answers whether there
// is a customer id, without which a report says nothing: then `out` is empty.
int write_report(const struct nvs_source* nvs, const uint8_t mac[6], const char* firmware,
                 char* out);

#ifdef __cplusplus
}
#endif

#endif  // KILN_FIRMWARE_HELLO_C3_REPORT_H_
