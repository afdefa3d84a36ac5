// A stand-in: what the guide uses of ESP-IDF's header of this name.
#pragma once
#include <stddef.h>

#include "esp_err.h"
#include "values.h"

#define ESP_ERR_NVS_NOT_FOUND 0x1102
#define ESP_ERR_NVS_INVALID_LENGTH 0x110C
typedef int nvs_handle_t;
typedef enum { NVS_READONLY, NVS_READWRITE } nvs_open_mode_t;

static inline esp_err_t nvs_open(const char* name, nvs_open_mode_t mode, nvs_handle_t* out) {
  *out = 1;
  return mode == NVS_READONLY && strcmp(name, "kiln") == 0 && stand_in_value("customer_id") != NULL
             ? ESP_OK
             : ESP_ERR_NVS_NOT_FOUND;
}

static inline esp_err_t nvs_get_str(nvs_handle_t nvs, const char* key, char* out, size_t* length) {
  const char* value = stand_in_value(key);
  if (nvs != 1 || value == NULL) return ESP_ERR_NVS_NOT_FOUND;
  if (strlen(value) + 1 > *length) return ESP_ERR_NVS_INVALID_LENGTH;
  *length = strlen(value) + 1;
  memcpy(out, value, *length);
  return ESP_OK;
}

static inline void nvs_close(nvs_handle_t nvs) { (void)nvs; }
