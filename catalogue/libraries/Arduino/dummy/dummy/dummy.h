// Values without hardware: a number that walks by chance, and one that shows what came.
#pragma once

#include "../../talk.h"

namespace dummy {

// A number that moves a little at each reading, and stays between two bounds.
class Walk {
  public:
    Walk(double lowest = 0, double highest = 100, double step = 5)
        : lowest_(lowest), highest_(highest), step_(step), value_((lowest + highest) / 2) {}

    double read() {
        value_ += step_ * random(-1000, 1001) / 1000;
        value_ = constrain(value_, lowest_, highest_);
        return value_;
    }

  private:
    double lowest_;
    double highest_;
    double step_;
    double value_;
};

// Print the first value that came for a device feature.
inline void show(const char *name, const talk::Data &data) {
    talk::Log log;
    log.print(name);
    log.print(F(": "));
    if (data.text(0)[0])
        log.print(data.text(0));
    else
        log.print(data.number(0));
}

}  // namespace dummy
