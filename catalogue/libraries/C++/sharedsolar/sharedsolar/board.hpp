// What measures and switches a meter's circuits: an interface, and simulated households.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <iostream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace sharedsolar {

using Now = std::function<double()>;  // seconds since 1970

inline double system_now() {
    using namespace std::chrono;
    return duration<double>(system_clock::now().time_since_epoch()).count();
}

struct Measured {
    double power_w;
    double energy_wh;  // since the last call
};

// A power conditioning unit's report: kWh from the sun, into the battery and out of it, battery V,
// charge and discharge, solar A and V, battery °C. A value that it does not measure is empty.
using Pcu = std::array<std::optional<double>, 9>;

// The circuits' hardware. switch_to, measure and pcu throw runtime_error where a line does not answer.
class Board {
  public:
    virtual ~Board() = default;
    virtual std::vector<std::string> circuits() const = 0;
    virtual void switch_to(const std::string &cid, bool on) = 0;
    virtual Measured measure(const std::string &cid) = 0;
    // Empty where there is no power conditioning unit.
    virtual std::optional<Pcu> pcu() { return std::nullopt; }
};

// Households that use more in the evening, and the sun by day where solar_peak_w is above zero.
// loads_w fixes the load of some circuits.
class SimulatedBoard : public Board {
  public:
    explicit SimulatedBoard(std::vector<std::string> circuits, Now now = system_now,
                            double solar_peak_w = 0)
        : circuits_(std::move(circuits)), now_(std::move(now)), solar_peak_w_(solar_peak_w) {
        for (const auto &cid : circuits_) lines_[cid] = {false, now_(), 0};
        std::cout << "meter: no hardware is set, " << circuits_.size() << " circuits are simulated"
                  << std::endl;
    }

    std::vector<std::string> circuits() const override { return circuits_; }

    void switch_to(const std::string &cid, bool on) override {
        count(cid);  // what was used until now
        lines_.at(cid).on = on;
    }

    Measured measure(const std::string &cid) override {
        const double power_w = count(cid);
        return {power_w, std::exchange(lines_.at(cid).energy_wh, 0)};
    }

    // All of it follows from the time, so that the energies go on after a restart.
    std::optional<Pcu> pcu() override {
        if (solar_peak_w_ <= 0) return std::nullopt;
        const double now = now_();
        const double sun = std::sin((std::fmod(now, 86400) / 3600 - 6) / 12 * M_PI);
        const double power_w = solar_peak_w_ * std::max(sun, 0.0);
        const double day_kwh = solar_peak_w_ * 24 / M_PI / 1000;
        const double today = std::clamp((std::fmod(now, 86400) / 3600 - 6) / 12, 0.0, 1.0);
        const double solar_kwh =
            day_kwh * (std::floor(now / 86400) + (1 - std::cos(today * M_PI)) / 2);
        const auto rounded = [](double value) { return std::round(value * 100) / 100; };
        return Pcu{rounded(solar_kwh),        rounded(solar_kwh * 0.6),
                   rounded(solar_kwh * 0.5),  rounded(48 + 4 * std::max(sun, 0.0)),
                   rounded(power_w * 0.6 / 48), rounded(power_w > 0 ? 0 : 1.5),
                   rounded(power_w / 60),     rounded(power_w > 0 ? 60 : 0),
                   rounded(25 + 5 * std::max(sun, 0.0))};
    }

    std::map<std::string, double> loads_w;

  private:
    struct Line {
        bool on;
        double measured_at;
        double energy_wh;  // since the last measure()
    };

    // Count the energy until now; gives the present power.
    double count(const std::string &cid) {
        Line &line = lines_.at(cid);
        const double now = now_();
        const double power_w = line.on ? load_w(cid, now) : 0;
        line.energy_wh += power_w * std::max(now - line.measured_at, 0.0) / 3600;
        line.measured_at = now;
        return power_w;
    }

    double load_w(const std::string &cid, double now) const {
        if (const auto fixed = loads_w.find(cid); fixed != loads_w.end()) return fixed->second;
        const double hour = std::fmod(now, 86400) / 3600;
        return 5 + 30 * std::exp(-(hour - 20) * (hour - 20) / 6);
    }

    std::vector<std::string> circuits_;
    Now now_;
    double solar_peak_w_;
    std::map<std::string, Line> lines_;
};

}  // namespace sharedsolar
