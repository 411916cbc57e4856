CO₂ in ppm.
// ***[var_define]***
std::string port = "/dev/serial0";
// ***[import_string]***
#include "mhz19/mhz19.hpp"
// ***[member_var_define]***
mhz19::Mhz19 sensor{port};
// ***[runs_content]***
values = json::array({sensor.read().co2_ppm});
