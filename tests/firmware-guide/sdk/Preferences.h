// A stand-in: what the guide uses of the ESP32's Arduino library of this name.
#pragma once
#include <Arduino.h>

#include <cstring>

#include "values.h"

class Preferences {
 public:
  bool begin(const char* name, bool read_only) {
    return read_only && std::strcmp(name, "kiln") == 0 && stand_in_value("customer_id") != nullptr;
  }
  String getString(const char* key, const char* otherwise) {
    const char* value = stand_in_value(key);
    return String(value != nullptr ? value : otherwise);
  }
  void end() {}
};
