// The energy meter PZEM-004T, version 3, on a serial line; simulated where there is none.
//
// Modbus RTU, 9600 baud, 8N1. Input registers from 0 (maker's manual): voltage in 0.1 V, current in
// mA (two registers, low first), power in 0.1 W (two), energy in Wh (two), frequency in 0.1 Hz,
// power factor in 0.01, alarm.
#pragma once

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

namespace pzem {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint8_t ANY_ADDRESS = 0xF8;
constexpr std::uint8_t READ_INPUT = 0x04;
constexpr std::uint8_t RESET_ENERGY = 0x42;
constexpr std::uint8_t REGISTERS = 10;

struct Reading {
    double voltage_v;
    double current_a;
    double power_w;
    double energy_wh;
    double frequency_hz;
    double power_factor;
};

// Modbus's check sum of some bytes.
inline std::uint16_t crc16(const Bytes &data) {
    std::uint16_t crc = 0xFFFF;
    for (const std::uint8_t byte : data) {
        crc = static_cast<std::uint16_t>(crc ^ byte);
        for (int bit = 0; bit < 8; ++bit)
            crc = static_cast<std::uint16_t>((crc >> 1) ^ (crc & 1 ? 0xA001 : 0));
    }
    return crc;
}

// A Modbus frame: the bytes with their check sum, low byte first.
inline Bytes frame(Bytes data) {
    const std::uint16_t crc = crc16(data);
    data.push_back(static_cast<std::uint8_t>(crc & 0xFF));
    data.push_back(static_cast<std::uint8_t>(crc >> 8));
    return data;
}

// The reading in an answer; throws runtime_error, saying what is wrong with it.
inline Reading decode(const Bytes &answer, std::uint8_t address = ANY_ADDRESS) {
    if (answer.size() >= 2 && answer[1] == (READ_INPUT | 0x80))
        throw std::runtime_error("the meter refuses");
    const size_t size = 3 + 2 * REGISTERS + 2;
    if (answer.size() != size || answer[1] != READ_INPUT || answer[2] != 2 * REGISTERS)
        throw std::runtime_error(std::to_string(answer.size()) + " bytes came, " +
                                 std::to_string(size) + " were awaited");
    if (crc16(answer) != 0) throw std::runtime_error("the check sum is wrong");
    if (address != ANY_ADDRESS && answer[0] != address)
        throw std::runtime_error("another meter answered");
    const auto one = [&](size_t i) -> unsigned { return answer[3 + 2 * i] << 8 | answer[4 + 2 * i]; };
    const auto two = [&](size_t i) { return one(i) + 65536.0 * one(i + 1); };
    return {one(0) / 10.0, two(1) / 1000, two(3) / 10, two(5), one(7) / 10.0, one(8) / 100.0};
}

class Pzem {
  public:
    explicit Pzem(const std::string &port = "/dev/ttyUSB0", std::uint8_t address = ANY_ADDRESS)
        : address_(address), read_at_(std::chrono::steady_clock::now()) {
        line_ = open(port.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (line_ < 0 && errno == ENOENT) {
            std::cout << "pzem: no " << port << " here, its values are simulated" << std::endl;
            return;
        }
        termios mode{};
        mode.c_cflag = CS8 | CREAD | CLOCAL;
        mode.c_cc[VTIME] = 1;  // tenths of a second that one read waits
        cfsetspeed(&mode, B9600);
        if (line_ < 0 || tcsetattr(line_, TCSANOW, &mode) < 0) {
            const std::string cause = std::strerror(errno);
            if (line_ >= 0) close(line_);
            throw std::runtime_error("pzem, " + port + ": " + cause);
        }
    }

    Pzem(const Pzem &) = delete;
    Pzem &operator=(const Pzem &) = delete;

    ~Pzem() {
        if (line_ >= 0) close(line_);
    }

    // Throws runtime_error where the meter does not answer, or wrongly.
    Reading read() {
        if (line_ < 0) return simulated();
        const Bytes request = frame({address_, READ_INPUT, 0, 0, 0, REGISTERS});
        return decode(ask(request, 3 + 2 * REGISTERS + 2), address_);
    }

    // Sets the meter's energy to zero; throws runtime_error where it does not confirm.
    void reset_energy() {
        if (line_ < 0) {
            energy_wh_ = 0;
            return;
        }
        const Bytes request = frame({address_, RESET_ENERGY});
        if (ask(request, request.size()) != request)
            throw std::runtime_error("the meter did not confirm the reset");
    }

  private:
    // The meter's answer: so many bytes, or fewer where a second was not enough.
    Bytes ask(const Bytes &request, size_t size) {
        tcflush(line_, TCIFLUSH);
        if (write(line_, request.data(), request.size()) != static_cast<ssize_t>(request.size()))
            throw std::runtime_error("the request could not be sent");
        Bytes answer;
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
        while (answer.size() < size && std::chrono::steady_clock::now() < end) {
            Bytes buffer(size - answer.size());
            const ssize_t count = ::read(line_, buffer.data(), buffer.size());
            if (count > 0) answer.insert(answer.end(), buffer.begin(), buffer.begin() + count);
        }
        return answer;
    }

    // A household: more in the evening.
    Reading simulated() {
        const auto now = std::chrono::steady_clock::now();
        const double hour = static_cast<double>(std::time(nullptr) % 86400) / 3600;
        const double load_w = 15 + 60 * std::exp(-(hour - 20) * (hour - 20) / 6);
        energy_wh_ += load_w * std::chrono::duration<double>(now - read_at_).count() / 3600;
        read_at_ = now;
        return {230, load_w / 230, load_w, std::floor(energy_wh_), 50, 1};
    }

    std::uint8_t address_;
    int line_ = -1;
    double energy_wh_ = 0;
    std::chrono::steady_clock::time_point read_at_;
};

}  // namespace pzem
