Power in watts.
// ***[var_define]***
std::string port = "/dev/ttyUSB0";
// ***[import_string]***
#include "pzem/pzem.hpp"
// ***[member_var_define]***
pzem::Pzem meter{port};
// ***[runs_content]***
values = json::array({meter.read().power_w});
