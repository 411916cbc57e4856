// A relay on a pin.
#pragma once

#include "../../talk.h"

namespace relay {

// One relay; off at the start. active_low for boards whose relays close on a low pin.
class Relay {
  public:
    explicit Relay(uint8_t pin, bool active_low = false) : pin_(pin), active_low_(active_low) {
        set(false);
        pinMode(pin_, OUTPUT);
    }

    void set(bool on) {
        is_on_ = on;
        digitalWrite(pin_, on != active_low_ ? HIGH : LOW);
    }

    bool is_on() const { return is_on_; }

  private:
    uint8_t pin_;
    bool active_low_;
    bool is_on_ = false;
};

}  // namespace relay
