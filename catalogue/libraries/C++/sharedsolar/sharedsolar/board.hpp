// What measures and switches a meter's circuits: an interface, and simulated households.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <iostream>
#include <map>
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

// The circuits' hardware. switch_to and measure throw runtime_error where a line does not answer.
class Board {
  public:
    virtual ~Board() = default;
    virtual std::vector<std::string> circuits() const = 0;
    virtual void switch_to(const std::string &cid, bool on) = 0;
    virtual Measured measure(const std::string &cid) = 0;
};

// Households that use more in the evening; loads_w fixes the load of some circuits.
class SimulatedBoard : public Board {
  public:
    explicit SimulatedBoard(std::vector<std::string> circuits, Now now = system_now)
        : circuits_(std::move(circuits)), now_(std::move(now)) {
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
    std::map<std::string, Line> lines_;
};

}  // namespace sharedsolar
