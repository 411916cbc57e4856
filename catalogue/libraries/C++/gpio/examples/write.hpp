Sets the pin on for any number but 0.
// ***[var_define]***
unsigned pin = 23;
bool active_low = false;
// ***[import_string]***
#include "gpio/gpio.hpp"
// ***[member_var_define]***
gpio::Output output{pin, active_low};
// ***[runs_content]***
output.write(data.at(0).get<double>() != 0);
