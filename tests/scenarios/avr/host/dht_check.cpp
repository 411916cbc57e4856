// What a DHT sensor's five bytes mean; and that a sensor which fails gives its last reading.

#define SIMULATED
#include "library/dht/dht.h"

uint32_t now_ms = 0;
uint8_t pins[20];

namespace talk {
Log::Log() {}
Log::~Log() {}
size_t Log::write(uint8_t) { return 1; }
uint32_t now() { return 12 * 3600; }
}  // namespace talk

int main() {
    struct Case {
        const char *label;
        uint8_t bytes[5];
        dht::Type type;
        bool good;
        int temperature_dc, humidity_dp;
    };
    const Case cases[] = {
        // The examples of the data sheets.
        {"DHT22", {0x02, 0x8C, 0x01, 0x5F, 0xEE}, dht::DHT22, true, 351, 652},
        {"DHT22 below zero", {0x02, 0x8C, 0x80, 0x65, 0x73}, dht::DHT22, true, -101, 652},
        {"DHT11", {0x35, 0x00, 0x18, 0x04, 0x51}, dht::DHT11, true, 244, 530},
        {"DHT11 below zero", {0x35, 0x00, 0x0A, 0x81, 0xC0}, dht::DHT11, true, -101, 530},
        {"check sum", {0x02, 0x8C, 0x01, 0x5F, 0xEF}, dht::DHT22, false, 0, 0},
        {"nothing there", {0, 0, 0, 0, 0}, dht::DHT22, false, 0, 0},
    };
    int failures = 0;
    for (const Case &each : cases) {
        dht::Reading reading;
        const bool good = dht::decode(each.bytes, each.type, reading);
        if (good == each.good && (!good || (reading.temperature_dc == each.temperature_dc &&
                                            reading.humidity_dp == each.humidity_dp)))
            continue;
        std::cerr << each.label << ": " << good << " " << reading.temperature_dc << " "
                  << reading.humidity_dp << std::endl;
        ++failures;
    }
    dht::Dht sensor(4);
    dht::Reading reading;
    if (!sensor.read(reading) || reading.temperature_dc != 300 || reading.humidity_dp != 400) ++failures;
    return failures;
}
