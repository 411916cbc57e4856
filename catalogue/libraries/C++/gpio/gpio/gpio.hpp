// Pins of a Linux board, by the kernel's GPIO device: contacts and buttons, lamps and valves.
//
// Simulated where there is no such device. Source of the numbers: linux/gpio.h, interface 1.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <iostream>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <linux/gpio.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace gpio {

inline const std::string CHIP = "/dev/gpiochip0";

enum class Pull { NONE, UP, DOWN };

// A line of the chip; below zero where it is simulated.
class Pin {
  public:
    Pin(unsigned pin, std::uint32_t flags, const std::string &chip) : pin_(pin) {
        const int descriptor = open(chip.c_str(), O_RDONLY | O_CLOEXEC);
        if (descriptor < 0 && errno == ENOENT) {
            std::cout << "gpio pin " << pin << ": no " << chip << " here, it is simulated"
                      << std::endl;
            return;
        }
        if (descriptor < 0) fail(chip);
        gpiohandle_request request{};
        request.lineoffsets[0] = pin;
        request.flags = flags;
        std::strcpy(request.consumer_label, "gpio");
        request.lines = 1;
        const int code = ioctl(descriptor, GPIO_GET_LINEHANDLE_IOCTL, &request);
        const int error = errno;
        close(descriptor);
        errno = error;
        if (code < 0) fail("pin " + std::to_string(pin));
        line_ = request.fd;
    }

    Pin(const Pin &) = delete;
    Pin &operator=(const Pin &) = delete;

  protected:
    ~Pin() {
        if (line_ >= 0) close(line_);
    }

    [[noreturn]] static void fail(const std::string &what) {
        throw std::runtime_error("gpio, " + what + ": " + std::strerror(errno));
    }

    unsigned pin_;
    int line_ = -1;
};

// A pin that is read. pull: the board's own resistor. A contact from the pin to ground reads 1 where it
// is closed as Input(17, Pull::UP, true).
class Input : Pin {
  public:
    explicit Input(unsigned pin, Pull pull = Pull::NONE, bool active_low = false,
                   const std::string &chip = CHIP)
        : Pin(pin, flags(pull, active_low), chip) {}

    // 1 or 0; simulated, it changes every ten seconds. Throws runtime_error where the kernel refuses.
    int read() const {
        if (line_ < 0) return static_cast<int>(std::time(nullptr) / 10 % 2);
        gpiohandle_data data{};
        if (ioctl(line_, GPIOHANDLE_GET_LINE_VALUES_IOCTL, &data) < 0)
            fail("pin " + std::to_string(pin_));
        return data.values[0];
    }

  private:
    static std::uint32_t flags(Pull pull, bool active_low) {
        std::uint32_t found = GPIOHANDLE_REQUEST_INPUT;
        if (active_low) found |= GPIOHANDLE_REQUEST_ACTIVE_LOW;
        if (pull == Pull::UP) found |= GPIOHANDLE_REQUEST_BIAS_PULL_UP;
        if (pull == Pull::DOWN) found |= GPIOHANDLE_REQUEST_BIAS_PULL_DOWN;
        return found;
    }
};

// A pin that is set; off at the start.
class Output : Pin {
  public:
    explicit Output(unsigned pin, bool active_low = false, const std::string &chip = CHIP)
        : Pin(pin,
              GPIOHANDLE_REQUEST_OUTPUT |
                  (active_low ? std::uint32_t{GPIOHANDLE_REQUEST_ACTIVE_LOW} : 0u),
              chip) {}

    // Throws runtime_error where the kernel refuses.
    void write(bool on) {
        is_on_ = on;
        if (line_ < 0) {
            std::cout << "gpio pin " << pin_ << ": " << (on ? "on" : "off") << std::endl;
            return;
        }
        gpiohandle_data data{};
        data.values[0] = on;
        if (ioctl(line_, GPIOHANDLE_SET_LINE_VALUES_IOCTL, &data) < 0)
            fail("pin " + std::to_string(pin_));
    }

    bool is_on() const { return is_on_; }

  private:
    bool is_on_ = false;
};

}  // namespace gpio
