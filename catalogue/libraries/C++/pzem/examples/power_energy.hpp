Power in watts and energy in watt-hours.
// ***[var_define]***
std::string port = "/dev/ttyUSB0";
// ***[import_string]***
#include "pzem/pzem.hpp"
// ***[member_var_define]***
pzem::Pzem meter{port};
// ***[runs_content]***
const pzem::Reading reading = meter.read();
values = json::array({reading.power_w, reading.energy_wh});
