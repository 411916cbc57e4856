A contact from the pin to ground: 1 where it is closed.
// ***[var_define]***
unsigned pin = 22;
// ***[import_string]***
#include "gpio/gpio.hpp"
// ***[member_var_define]***
gpio::Input contact{pin, gpio::Pull::UP, true};
// ***[runs_content]***
values = json::array({contact.read()});
