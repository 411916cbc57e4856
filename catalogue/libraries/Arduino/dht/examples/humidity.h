Relative humidity in %; DHT11 or DHT22 (AM2302).
// ***[var_define]***
uint8_t pin = 4;
dht::Type type = dht::DHT22;
// ***[import_string]***
#include "../dht/dht.h"
// ***[member_var_define]***
dht::Dht sensor{pin, type};
// ***[runs_content]***
dht::Reading reading;
if (sensor.read(reading)) values.add_fixed(reading.humidity_dp, 1);
