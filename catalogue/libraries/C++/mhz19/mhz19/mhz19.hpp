// The CO₂ sensor MH-Z19 (B, C) on a serial line; simulated where there is none.
//
// 9600 baud, 8N1; commands and answers of nine bytes, the last one a check sum (maker's manual). The
// sensor needs three minutes to warm up, and measures 400 to 2000 or 5000 ppm.
#pragma once

#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

namespace mhz19 {

constexpr std::uint8_t START = 0xFF;
constexpr std::uint8_t READ = 0x86;
constexpr std::uint8_t ZERO = 0x87;
constexpr std::uint8_t BASELINE = 0x79;
constexpr size_t SIZE = 9;

struct Reading {
    int co2_ppm;
    int temperature_c;  // of the sensor itself
};

// The last byte that belongs to the eight before: those from the second on, taken from 256.
template <typename Frame> std::uint8_t check_sum(const Frame &frame) {
    unsigned sum = 0;
    for (size_t i = 1; i < SIZE - 1; ++i) sum += frame[i];
    return static_cast<std::uint8_t>(0u - sum);
}

inline std::array<std::uint8_t, SIZE> command(std::uint8_t code, std::uint8_t value = 0) {
    std::array<std::uint8_t, SIZE> frame{START, 1, code, value, 0, 0, 0, 0, 0};
    frame[8] = check_sum(frame);
    return frame;
}

// The reading in an answer; throws runtime_error, saying what is wrong with it.
inline Reading decode(const std::vector<std::uint8_t> &answer) {
    if (answer.size() != SIZE)
        throw std::runtime_error(std::to_string(answer.size()) + " bytes came, " +
                                 std::to_string(SIZE) + " were awaited");
    if (answer[0] != START || answer[1] != READ) throw std::runtime_error("this is no reading");
    if (answer[8] != check_sum(answer)) throw std::runtime_error("the check sum is wrong");
    return {answer[2] << 8 | answer[3], answer[4] - 40};
}

class Mhz19 {
  public:
    explicit Mhz19(const std::string &port = "/dev/serial0")
        : line_(open(port.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC)) {
        if (line_ < 0 && errno == ENOENT) {
            std::cout << "mhz19: no " << port << " here, its values are simulated" << std::endl;
            return;
        }
        termios mode{};
        mode.c_cflag = CS8 | CREAD | CLOCAL;
        mode.c_cc[VTIME] = 1;  // tenths of a second that one read waits
        cfsetspeed(&mode, B9600);
        if (line_ < 0 || tcsetattr(line_, TCSANOW, &mode) < 0) {
            const std::string cause = std::strerror(errno);
            if (line_ >= 0) close(line_);
            throw std::runtime_error("mhz19, " + port + ": " + cause);
        }
    }

    Mhz19(const Mhz19 &) = delete;
    Mhz19 &operator=(const Mhz19 &) = delete;

    ~Mhz19() {
        if (line_ >= 0) close(line_);
    }

    // Throws runtime_error where the sensor does not answer, or wrongly.
    Reading read() {
        if (line_ < 0) return simulated();
        tcflush(line_, TCIFLUSH);
        send(command(READ));
        std::vector<std::uint8_t> answer;
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
        while (answer.size() < SIZE && std::chrono::steady_clock::now() < end) {
            std::uint8_t buffer[SIZE];
            const ssize_t count = ::read(line_, buffer, SIZE - answer.size());
            if (count > 0) answer.insert(answer.end(), buffer, buffer + count);
        }
        return decode(answer);
    }

    // Let the sensor take each day's lowest value for 400 ppm, or not. Leave it on where the room is
    // aired every day; off in a greenhouse or store.
    void baseline(bool on) {
        if (line_ >= 0) send(command(BASELINE, on ? 0xA0 : 0));
    }

    // Say that this is 400 ppm: in fresh air, after twenty minutes, and not by mistake.
    void zero() {
        if (line_ >= 0) send(command(ZERO));
    }

  private:
    void send(const std::array<std::uint8_t, SIZE> &frame) {
        if (write(line_, frame.data(), SIZE) != static_cast<ssize_t>(SIZE))
            throw std::runtime_error("the command could not be sent");
    }

    // A classroom: fresh at night, used by day.
    static Reading simulated() {
        const double hour = static_cast<double>(std::time(nullptr) % 86400) / 3600;
        return {static_cast<int>(std::lround(450 + 900 * std::exp(-(hour - 12) * (hour - 12) / 10))), 22};
    }

    int line_;
};

}  // namespace mhz19
