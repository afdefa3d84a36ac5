// A stand-in: what the guide uses of Arduino.
#pragma once
#include <cstdint>
#include <cstdio>
#include <string>

class String {
 public:
  String(const char* text = "")
      : text_(text) {}  // NOLINT(google-explicit-constructor): as Arduino's
  String& operator+=(const char* text) {
    text_ += text;
    return *this;
  }
  String& operator+=(const String& text) {
    text_ += text.text_;
    return *this;
  }
  String& operator+=(char c) {
    text_ += c;
    return *this;
  }
  char operator[](size_t i) const { return text_[i]; }
  size_t length() const { return text_.size(); }
  const char* c_str() const { return text_.c_str(); }

 private:
  std::string text_;
};

struct StandInSerial {
  void begin(unsigned long) {}
  void println(const String& text = "") { std::printf("%s\r\n", text.c_str()); }
};
inline StandInSerial Serial;

inline uint32_t standInTime = 0;
inline uint32_t millis() { return standInTime; }
inline void standInAdvance(uint32_t ms) { standInTime += ms; }
