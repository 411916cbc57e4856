// The device's settings and features, made by DeviceTalk. Build with make, start with ./device.

#include "iottalk.hpp"

#include "library/{{ sa.safe_name }}_library/functions.hpp"

int main() {
    iottalk::Settings settings;
    settings.server_url = {{ da.server_url | cstr }};
    settings.device_name = {{ sa.device_name | cstr }};
    settings.device_model = {{ da.device_model | cstr }};
    settings.device_address = {{ da.device_addr | cstr }};
    settings.push_interval_s = {{ da.push_interval }};
    // By the version the server tells whether this is the device as it was saved last.
    settings.version = {{ sa.version | cstr }};
    const std::vector<iottalk::Input> inputs = {
{%- for feature in idf.info %}
        { {{- feature.name | cstr }}, { {%- for type in feature.params.list %}{{ type | cstr }}, {% endfor -%} }, ::{{ feature.func_name }}},
{%- endfor %}
    };
    const std::vector<iottalk::Output> outputs = {
{%- for feature in odf.info %}
        { {{- feature.name | cstr }}, { {%- for type in feature.params.list %}{{ type | cstr }}, {% endfor -%} }, ::{{ feature.func_name }}},
{%- endfor %}
    };
    return iottalk::run(settings, inputs, outputs);
}
