// Values without hardware: a number that walks by chance, and one that shows what came.
#pragma once

#include <algorithm>
#include <cmath>
#include <iostream>
#include <random>
#include <string>

namespace dummy {

// A number that moves a little at each reading, and stays between two bounds.
class Walk {
  public:
    explicit Walk(double lowest = 0, double highest = 100, double step = 5)
        : lowest_(lowest), highest_(highest), step_(-step, step), value_((lowest + highest) / 2) {}

    // The next value, with two decimals.
    double read() {
        value_ = std::clamp(value_ + step_(chance_), lowest_, highest_);
        return std::round(value_ * 100) / 100;
    }

  private:
    double lowest_;
    double highest_;
    std::mt19937 chance_{std::random_device{}()};
    std::uniform_real_distribution<double> step_;
    double value_;
};

// Print what came for a device feature; anything that can be written to a stream.
template <typename Data> void show(const std::string &name, const Data &data) {
    std::cout << name << ": " << data << std::endl;
}

}  // namespace dummy
