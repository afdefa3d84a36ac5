#include "firmware/hello-c3/report.h"

static const char kDigits[] = "0123456789abcdef";

// Text that grows at `at`; `whole` turns 0 when something did not fit.
struct text {
  char* at;
  char* end;
  int whole;
};

static void put(struct text* text, char c) {
  if (text->at == text->end) {
    text->whole = 0;
  } else {
    *text->at++ = c;
  }
}

static void put_all(struct text* text, const char* what) {
  while (*what != '\0') put(text, *what++);
}

// `value` as a JSON string (RFC 8259, 7). UTF-8 needs no escapes; a value that is not UTF-8 makes a
// report that a station refuses, which is what it should do.
static void put_quoted(struct text* text, const char* value) {
  put(text, '"');
  for (; *value != '\0'; ++value) {
    const unsigned char c = (unsigned char)*value;
    if (c == '"' || c == '\\') {
      put(text, '\\');
      put(text, *value);
    } else if (c < 0x20) {
      put_all(text, "\\u00");
      put(text, kDigits[c >> 4]);
      put(text, kDigits[c & 15]);
    } else {
      put(text, *value);
    }
  }
  put(text, '"');
}

// Appends ,"name":"value", or leaves the text as it was when there is no such value, or no room.
static int put_value(struct text* text, const struct nvs_source* nvs, const char* name,
                     const char* key) {
  // Longer values cannot be in a report; static, because the stack is small.
  static char value[REPORT_SIZE];
  if (nvs_read_string(nvs, "kiln", key, value, sizeof value) != NVS_OK || value[0] == '\0') {
    return 0;
  }
  const struct text before = *text;
  put_all(text, ",\"");
  put_all(text, name);
  put_all(text, "\":");
  put_quoted(text, value);
  if (!text->whole) {
    *text = before;
    return 0;
  }
  return 1;
}

int write_report(const struct nvs_source* nvs, const uint8_t mac[6], const char* firmware,
                 char* out) {
  // Room for the closing brace and the NUL is kept from the start.
  struct text text = {out, out + REPORT_SIZE - 2, 1};
  put_all(&text, "{\"kiln\":1,\"mac_address\":\"");
  for (int i = 0; i < 6; ++i) {
    if (i > 0) put(&text, ':');
    put(&text, kDigits[mac[i] >> 4]);
    put(&text, kDigits[mac[i] & 15]);
  }
  put(&text, '"');
  if (!put_value(&text, nvs, "customer_id", "customer_id")) {
    out[0] = '\0';
    return 0;
  }
  // The ones that a station compares come before the ones that are only shown.
  put_value(&text, nvs, "wifi_ssid", "ssid");
  put_value(&text, nvs, "deployment", "deployment");
  put_value(&text, nvs, "application", "application");
  put_value(&text, nvs, "organization", "organization");
  const struct text before = text;
  put_all(&text, ",\"firmware\":");
  put_quoted(&text, firmware);
  if (!text.whole) text = before;
  *text.at++ = '}';
  *text.at = '\0';
  return 1;
}
