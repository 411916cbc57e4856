// A device application for IoTtalk v2: registration over HTTP, data over MQTT.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace iottalk {

using nlohmann::json;

// The environment (IOTTALK_URL, IOTTALK_DEVICE_ADDRESS) goes before server_url and device_address.
struct Settings {
    std::string server_url;      // registration is at <server_url>/<address>
    std::string device_name;     // empty: the server gives one
    std::string device_model;
    std::string device_address;  // a UUID; empty: a new one at each start
    double push_interval_s = 1;
    std::string version;
};

// A feature that sends. The function is called once in each interval; null sends nothing.
struct Input {
    std::string name;
    std::vector<std::string> params;
    std::function<json()> function;
};

// A feature that receives; the function gets a list of values.
struct Output {
    std::string name;
    std::vector<std::string> params;
    std::function<void(const json &)> function;
};

// Run until SIGINT or SIGTERM. Returns 0, or 2 where the settings cannot be used. Functions are
// called in this thread only; one that throws is reported, and called again at its next turn.
int run(const Settings &settings, const std::vector<Input> &inputs,
        const std::vector<Output> &outputs);

}  // namespace iottalk
