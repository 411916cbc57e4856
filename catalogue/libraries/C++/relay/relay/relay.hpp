// A relay on a pin of a Linux board, by the kernel's GPIO device; simulated where there is none.
#pragma once

#include <cerrno>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <linux/gpio.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace relay {

// One relay; off at the start. active_low for boards whose relays close on a low pin.
class Relay {
  public:
    explicit Relay(unsigned pin, bool active_low = false, const std::string &chip = "/dev/gpiochip0")
        : pin_(pin), active_low_(active_low) {
        const int descriptor = open(chip.c_str(), O_RDONLY | O_CLOEXEC);
        if (descriptor < 0 && errno == ENOENT) {
            std::cout << "relay on pin " << pin << ": no " << chip << " here, it is simulated"
                      << std::endl;
            return;
        }
        if (descriptor < 0) fail(chip);
        gpiohandle_request request{};
        request.lineoffsets[0] = pin;
        request.flags = GPIOHANDLE_REQUEST_OUTPUT;
        request.default_values[0] = active_low ? 1 : 0;
        std::strcpy(request.consumer_label, "relay");
        request.lines = 1;
        const int code = ioctl(descriptor, GPIO_GET_LINEHANDLE_IOCTL, &request);
        const int error = errno;
        close(descriptor);
        errno = error;
        if (code < 0) fail("pin " + std::to_string(pin));
        line_ = request.fd;
    }

    Relay(const Relay &) = delete;
    Relay &operator=(const Relay &) = delete;

    ~Relay() {
        if (line_ >= 0) close(line_);
    }

    // Close the relay, or open it; throws runtime_error where the kernel refuses.
    void set(bool on) {
        is_on_ = on;
        if (line_ < 0) {
            std::cout << "relay on pin " << pin_ << ": " << (on ? "on" : "off") << std::endl;
            return;
        }
        gpiohandle_data data{};
        data.values[0] = on != active_low_;
        if (ioctl(line_, GPIOHANDLE_SET_LINE_VALUES_IOCTL, &data) < 0)
            fail("pin " + std::to_string(pin_));
    }

    bool is_on() const { return is_on_; }

  private:
    [[noreturn]] static void fail(const std::string &what) {
        throw std::runtime_error("relay, " + what + ": " + std::strerror(errno));
    }

    unsigned pin_;
    bool active_low_;
    bool is_on_ = false;
    int line_ = -1;
};

}  // namespace relay
