// As much of Arduino's core as the libraries need, so that they can be tested without a board.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

class __FlashStringHelper;
#define F(text) reinterpret_cast<const __FlashStringHelper *>(text)
#define PROGMEM
#define A0 14
#define LOW 0
#define HIGH 1
#define INPUT 0
#define OUTPUT 1
#define INPUT_PULLUP 2

class Print {
  public:
    virtual size_t write(uint8_t byte) = 0;
    void print(const char *text) {
        while (*text) write(static_cast<uint8_t>(*text++));
    }
    void print(const __FlashStringHelper *text) { print(reinterpret_cast<const char *>(text)); }
    void print(long value) { print(std::to_string(value).c_str()); }
    void print(int value) { print(static_cast<long>(value)); }
    void print(double value) { print(std::to_string(value).c_str()); }

  protected:
    ~Print() = default;
};

inline char *ultoa(unsigned long value, char *text, int) {
    std::strcpy(text, std::to_string(value).c_str());
    return text;
}

// The test's own clock and pins.
extern uint32_t now_ms;
extern uint8_t pins[20];
inline uint32_t millis() { return now_ms; }
inline uint32_t micros() { return now_ms * 1000; }
inline void delay(uint32_t ms) { now_ms += ms; }
inline int analogRead(uint8_t) { return 321; }
inline void pinMode(uint8_t, uint8_t) {}
inline int digitalRead(uint8_t pin) { return pins[pin]; }
inline void digitalWrite(uint8_t pin, uint8_t value) { pins[pin] = value; }
