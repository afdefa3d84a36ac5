// A stand-in: what the guide uses of ESP-IDF's header of this name.
#pragma once
#include "esp_err.h"

static inline esp_err_t nvs_flash_init(void) { return ESP_OK; }
