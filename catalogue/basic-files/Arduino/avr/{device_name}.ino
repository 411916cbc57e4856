// The device's features, made by DeviceTalk. Build it with make, or in the Arduino IDE; then start
// bridge.py on the computer that the board is connected to.

#include "src/talk.h"

#include "src/library/{{ sa.safe_name }}_library/functions.h"

// Names are in flash, as the board has little memory.
{%- for feature in idf.info + odf.info %}
static const char name_of_{{ feature.func_name }}[] PROGMEM = {{ feature.name | cstr }};
{%- endfor %}
// By the version the server tells whether this is the device as it was saved last.
static const char VERSION[] PROGMEM = {{ sa.version | cstr }};
{%- if idf.info %}
static const talk::Input INPUTS[] PROGMEM = {
{%- for feature in idf.info %}
    {name_of_{{ feature.func_name }}, {{ feature.func_name }}},
{%- endfor %}
};
{%- else %}
static const talk::Input *const INPUTS = nullptr;
{%- endif %}
{%- if odf.info %}
static const talk::Output OUTPUTS[] PROGMEM = {
{%- for feature in odf.info %}
    {name_of_{{ feature.func_name }}, {{ feature.func_name }}},
{%- endfor %}
};
{%- else %}
static const talk::Output *const OUTPUTS = nullptr;
{%- endif %}

static_assert({{ idf.info | length }} <= 32, "the bridge can ask for 32 input features, not {{ idf.info | length }}");

void setup() {
    talk::begin({VERSION, INPUTS, {{ idf.info | length }}, OUTPUTS, {{ odf.info | length }}, {{ (da.push_interval * 1000) | round | int }}UL});
}

void loop() { talk::run(); }
