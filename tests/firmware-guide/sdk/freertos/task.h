// A stand-in: what the guide uses of FreeRTOS. A task runs at once, and time does not pass.
#pragma once
#include <stddef.h>

#include "FreeRTOS.h"

static inline int xTaskCreate(void (*run)(void*), const char* name, uint32_t stack, void* argument,
                              uint32_t priority, void* handle) {
  (void)name, (void)stack, (void)priority, (void)handle;
  run(argument);
  return 1;
}

static inline void vTaskDelay(TickType_t ticks) { (void)ticks; }
static inline void vTaskDelete(void* task) { (void)task; }
