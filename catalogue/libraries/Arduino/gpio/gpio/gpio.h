// Pins: contacts and buttons, lamps, voltages and dimmers.
#pragma once

#include "../../talk.h"

namespace gpio {

// A contact from the pin to ground, with the board's own resistor: closed is 1.
class Contact {
  public:
    explicit Contact(uint8_t pin) : pin_(pin) { pinMode(pin_, INPUT_PULLUP); }
    int read() const { return digitalRead(pin_) == LOW ? 1 : 0; }

  private:
    uint8_t pin_;
};

// A pin that is high for 1 and low for 0; low at the start.
class Output {
  public:
    explicit Output(uint8_t pin) : pin_(pin) {
        digitalWrite(pin_, LOW);
        pinMode(pin_, OUTPUT);
    }
    void write(bool high) { digitalWrite(pin_, high ? HIGH : LOW); }

  private:
    uint8_t pin_;
};

// The voltage at an analogue pin, of a board with that supply.
inline double volts(uint8_t pin, double supply_v = 5.0) { return analogRead(pin) * supply_v / 1023; }

// A brightness or speed from 0 to 1, on a pin with PWM (marked ~ on the board).
inline void dim(uint8_t pin, double part) {
    analogWrite(pin, static_cast<int>(constrain(part, 0.0, 1.0) * 255 + 0.5));
}

}  // namespace gpio
