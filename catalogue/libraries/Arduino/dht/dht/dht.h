// Temperature and humidity from a DHT11, DHT22 or AM2302 on a pin, with 4.7 kΩ from its data line to 5 V.
//
// With SIMULATED defined (make SIMULATED=1) the values are made up. Source: the makers' data sheets.
#pragma once

#include <string.h>

#include "../../talk.h"

namespace dht {

enum Type : uint8_t { DHT11 = 11, DHT22 = 22, AM2302 = 22 };

struct Reading {
    int16_t temperature_dc = 0;  // tenths of a degree Celsius
    int16_t humidity_dp = 0;     // tenths of a per cent
};

// The reading in a sensor's five bytes; false where the check sum is wrong.
inline bool decode(const uint8_t *bytes, Type type, Reading &reading) {
    if (static_cast<uint8_t>(bytes[0] + bytes[1] + bytes[2] + bytes[3]) != bytes[4]) return false;
    // Some sensors that are not there look like five zeros, whose check sum is right.
    if (bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 0 && bytes[3] == 0) return false;
    int16_t temperature;
    if (type == DHT11) {
        reading.humidity_dp = static_cast<int16_t>(bytes[0] * 10 + bytes[1]);
        temperature = static_cast<int16_t>(bytes[2] * 10 + (bytes[3] & 0x7F));
        if (bytes[3] & 0x80) temperature = static_cast<int16_t>(-temperature);
    } else {
        reading.humidity_dp = static_cast<int16_t>(bytes[0] << 8 | bytes[1]);
        temperature = static_cast<int16_t>((bytes[2] & 0x7F) << 8 | bytes[3]);
        if (bytes[2] & 0x80) temperature = static_cast<int16_t>(-temperature);
    }
    reading.temperature_dc = temperature;
    return true;
}

class Dht {
  public:
    explicit Dht(uint8_t pin, Type type = DHT22) : pin_(pin), type_(type) {
#ifdef SIMULATED
        talk::Log log;
        log.print(F("dht: its values are simulated"));
#endif
    }

    // The last reading where this one failed; false where none has succeeded yet.
    bool read(Reading &reading) {
        // The sensor needs a pause between two readings.
        if (!tried_ || millis() - tried_at_ >= PAUSE_MS) {
            tried_ = true;
            tried_at_ = millis();
            if (measure()) {
                good_ = true;
            } else if (!good_) {
                talk::Log log;
                log.print(F("dht: no answer from the sensor on pin "));
                log.print(static_cast<int>(pin_));
            }
        }
        reading = last_;
        return good_;
    }

  private:
    static const uint32_t PAUSE_MS = 2000;

#ifdef SIMULATED
    // Warm and dry by day, in steps of an hour.
    bool measure() {
        const int16_t from_noon = static_cast<int16_t>(talk::now() / 3600 % 24) - 12;
        const int16_t away = from_noon < 0 ? static_cast<int16_t>(-from_noon) : from_noon;
        last_.temperature_dc = static_cast<int16_t>(300 - away * 8);
        last_.humidity_dp = static_cast<int16_t>(400 + away * 33);
        return true;
    }
#else
    // Low for as long as the slower type asks for, then 40 bits: the longer the pulse, a 1.
    bool measure() {
        uint8_t bytes[5] = {0, 0, 0, 0, 0};
        pinMode(pin_, OUTPUT);
        digitalWrite(pin_, LOW);
        delay(type_ == DHT11 ? 20 : 2);
        pinMode(pin_, INPUT_PULLUP);
        bool good = true;
        noInterrupts();  // about 5 ms; a line from the bridge that comes just then comes again
        // Its answer: low and high, 80 µs each.
        good = pulse(LOW) > 0 && pulse(HIGH) > 0;
        for (uint8_t bit = 0; good && bit < 40; ++bit) {
            const uint16_t low = pulse(LOW);
            const uint16_t high = pulse(HIGH);
            good = low > 0 && high > 0;
            bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] << 1 | (high > low));
        }
        interrupts();
        return good && decode(bytes, type_, last_);
    }

    // How long the pin goes on to be so, in rounds of this loop, from when it is; 0 after some 250 µs.
    uint16_t pulse(uint8_t level) const {
        const uint8_t mask = digitalPinToBitMask(pin_);
        const volatile uint8_t *port = portInputRegister(digitalPinToPort(pin_));
        const uint8_t wanted = level == HIGH ? mask : 0;
        uint16_t waited = 0;
        while ((*port & mask) != wanted)
            if (++waited > MOST_ROUNDS) return 0;
        uint16_t rounds = 0;
        while ((*port & mask) == wanted)
            if (++rounds > MOST_ROUNDS) return 0;
        return rounds + 1;
    }

    static const uint16_t MOST_ROUNDS = 400;
#endif

    uint8_t pin_;
    Type type_;
    Reading last_;
    bool good_ = false;
    bool tried_ = false;
    uint32_t tried_at_ = 0;
};

}  // namespace dht
