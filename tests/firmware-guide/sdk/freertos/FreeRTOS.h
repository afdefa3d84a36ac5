// A stand-in: what the guide uses of FreeRTOS. A task runs at once, and time does not pass.
#pragma once
#include <stdint.h>

typedef uint32_t TickType_t;
#define pdMS_TO_TICKS(ms) ((TickType_t)(ms))
