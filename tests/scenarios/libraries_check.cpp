// The C++ libraries with a wire format of their own, without their hardware.

#include <iostream>

#include "gpio/gpio.hpp"
#include "mhz19/mhz19.hpp"
#include "pzem/pzem.hpp"

namespace {

int failures = 0;

void must(bool good, const std::string &what) {
    if (good) return;
    std::cerr << "not so: " << what << std::endl;
    ++failures;
}

template <typename Call> std::string error_of(Call call) {
    try {
        call();
    } catch (const std::runtime_error &error) {
        return error.what();
    }
    return "none";
}

void co2() {
    const auto read = mhz19::command(mhz19::READ);
    must(std::vector<std::uint8_t>(read.begin(), read.end()) ==
             std::vector<std::uint8_t>({0xFF, 1, 0x86, 0, 0, 0, 0, 0, 0x79}),
         "the manual's command to read");
    must(mhz19::command(mhz19::BASELINE, 0xA0)[8] == 0xE6, "the manual's command for the baseline");
    std::vector<std::uint8_t> answer{0xFF, 0x86, 0x02, 0x60, 62, 0, 0, 0, 0};
    answer[8] = mhz19::check_sum(answer);
    const mhz19::Reading reading = mhz19::decode(answer);
    must(reading.co2_ppm == 608 && reading.temperature_c == 22, "a reading");
    struct Bad {
        size_t place;
        std::uint8_t value;
        std::string awaited;
    };
    const Bad cases[] = {{3, 0x61, "the check sum is wrong"},
                         {1, 0x99, "this is no reading"},
                         {0, 0, "this is no reading"}};
    for (const auto &[place, value, awaited] : cases) {
        auto bad = answer;
        bad[place] = value;
        must(error_of([&bad] { mhz19::decode(bad); }) == awaited, awaited);
    }
    must(error_of([] { mhz19::decode({}); }) == "0 bytes came, 9 were awaited", "silence");
    mhz19::Mhz19 simulated("/nowhere/tty");
    must(simulated.read().co2_ppm >= 450, "simulated");
}

void energy() {
    must(pzem::frame({0xF8, 4, 0, 0, 0, 10}) ==
             pzem::Bytes({0xF8, 4, 0, 0, 0, 0x0A, 0x64, 0x64}),
         "the maker's own example of a request");
    pzem::Pzem meter("/nowhere/tty");
    meter.reset_energy();
    must(meter.read().energy_wh == 0, "a simulated meter begins at zero, and again after a reset");
    must(pzem::frame({0xF8, pzem::RESET_ENERGY}).size() == 4, "the request to reset has no data");
}

void pins() {
    must(GPIOHANDLE_GET_LINE_VALUES_IOCTL == 0xC040B408, "the number that the Python library has");
    gpio::Output output(1, false, "/nowhere/chip");
    output.write(true);
    must(output.is_on(), "a simulated pin is on");
    const int value = gpio::Input(2, gpio::Pull::UP, true, "/nowhere/chip").read();
    must(value == 0 || value == 1, "a simulated contact");
    must(error_of([] { gpio::Output(1, false, "/dev/null"); }).find("gpio, pin 1: ") == 0,
         "what is no chip is refused");
}

}  // namespace

int main() {
    co2();
    energy();
    pins();
    return failures;
}
