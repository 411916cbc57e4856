// What measures and switches a meter's circuits: relays and pulse meters, or simulated households.
#pragma once

#include "../../talk.h"

namespace sharedsolar {

struct Measured {
    uint16_t power_w;
    uint32_t energy_mwh;  // thousandths of a watt-hour since the last call
};

// The circuits' hardware. A circuit is called by its place, from 0; its number is 1 for 192.168.1.201.
class Board {
  public:
    virtual void begin() {}
    virtual uint8_t size() const = 0;
    virtual uint8_t number(uint8_t place) const = 0;
    virtual void switch_to(uint8_t place, bool on) = 0;
    virtual Measured measure(uint8_t place) = 0;
    // Called again and again, also in what takes long.
    virtual void poll() {}

  protected:
    ~Board() = default;
};

// Households that use more in the evening; load_w fixes the load of all circuits.
class SimulatedBoard : public Board {
  public:
    explicit SimulatedBoard(uint8_t size, uint16_t load_w = 0)
        : size_(size <= MOST ? size : MOST), load_w_(load_w) {}

    void begin() override {
        talk::Log log;
        log.print(F("meter: no hardware is set, its circuits are simulated"));
    }

    uint8_t size() const override { return size_; }
    uint8_t number(uint8_t place) const override { return static_cast<uint8_t>(place + 1); }

    void switch_to(uint8_t place, bool on) override {
        count(place);  // what was used until now
        lines_[place].on = on;
    }

    Measured measure(uint8_t place) override {
        const uint16_t power_w = count(place);
        Line &line = lines_[place];
        const uint32_t energy_mwh = line.work / 3600;  // W ms to mWh
        line.work %= 3600;
        return {power_w, energy_mwh};
    }

    void load_set(uint16_t load_w) { load_w_ = load_w; }

  private:
    static const uint8_t MOST = 4;
    struct Line {
        bool on = false;
        uint32_t measured_at = 0;
        uint32_t work = 0;  // W ms since the last measure()
    };

    // Count the energy until now; gives the present power.
    uint16_t count(uint8_t place) {
        Line &line = lines_[place];
        const uint32_t now = millis();
        const uint16_t power_w = line.on ? load_now() : 0;
        line.work += power_w * (now - line.measured_at);
        line.measured_at = now;
        return power_w;
    }

    uint16_t load_now() const {
        if (load_w_ > 0) return load_w_;
        const uint8_t hour = talk::now() / 3600 % 24;
        return hour >= 18 && hour < 22 ? 35 : 5;
    }

    uint8_t size_;
    uint16_t load_w_;
    Line lines_[MOST];
};

struct Line {
    uint8_t number;        // 1 for 192.168.1.201
    uint8_t relay_pin;
    uint8_t pulse_pin;     // the S0 output of an energy meter, to ground
    uint16_t pulses_per_kwh;
    bool active_low;       // of the relay
};

// A relay and an energy meter with a pulse output for each circuit.
template <uint8_t SIZE> class PulseBoard : public Board {
    static_assert(SIZE >= 1 && SIZE <= 4, "one to four circuits");

  public:
    explicit PulseBoard(const Line (&lines)[SIZE]) {
        for (uint8_t i = 0; i < SIZE; ++i) lines_[i] = lines[i];
    }

    void begin() override {
        for (uint8_t i = 0; i < SIZE; ++i) {
            pinMode(lines_[i].pulse_pin, INPUT_PULLUP);
            switch_to(i, false);
            pinMode(lines_[i].relay_pin, OUTPUT);
        }
    }

    uint8_t size() const override { return SIZE; }
    uint8_t number(uint8_t place) const override { return lines_[place].number; }

    void switch_to(uint8_t place, bool on) override {
        digitalWrite(lines_[place].relay_pin, on != lines_[place].active_low);
    }

    Measured measure(uint8_t place) override {
        Count &count = counts_[place];
        const uint16_t per_kwh = lines_[place].pulses_per_kwh;
        // A pulse that does not come means a smaller load.
        const uint32_t silent_ms = millis() - count.pulse_at;
        const uint32_t interval_ms = silent_ms > count.interval_ms ? silent_ms : count.interval_ms;
        const uint32_t power_w = count.interval_ms == 0 || interval_ms > HOUR_MS
                                     ? 0
                                     : HOUR_MS / interval_ms * 1000 / per_kwh;
        count.rest += count.pulses * 1000000UL;
        count.pulses = 0;
        const uint32_t energy_mwh = count.rest / per_kwh;
        count.rest %= per_kwh;
        return {static_cast<uint16_t>(power_w < 65535 ? power_w : 65535), energy_mwh};
    }

    void poll() override {
        const uint32_t now = millis();
        for (uint8_t i = 0; i < SIZE; ++i) {
            Count &count = counts_[i];
            const bool low = digitalRead(lines_[i].pulse_pin) == LOW;
            // A pulse lasts for 30 ms at least; contacts bounce for less.
            if (low == count.low || now - count.changed_at < BOUNCE_MS) continue;
            count.low = low;
            count.changed_at = now;
            if (!low) continue;
            count.interval_ms = now - count.pulse_at;
            count.pulse_at = now;
            ++count.pulses;
        }
    }

  private:
    static const uint32_t HOUR_MS = 3600000;
    static const uint32_t BOUNCE_MS = 20;
    struct Count {
        bool low = false;
        uint32_t changed_at = 0;
        uint32_t pulse_at = 0;
        uint32_t interval_ms = 0;  // 0: there was none yet
        uint32_t pulses = 0;       // since the last measure()
        uint32_t rest = 0;
    };

    Line lines_[SIZE];
    Count counts_[SIZE];
};

}  // namespace sharedsolar
