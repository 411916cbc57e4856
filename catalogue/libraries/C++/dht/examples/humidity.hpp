// ***[import_string]***
#include "dht/dht.hpp"
// ***[member_var_define]***
dht::Dht sensor;
// ***[runs_content]***
values = json::array({sensor.read().humidity_percent});
