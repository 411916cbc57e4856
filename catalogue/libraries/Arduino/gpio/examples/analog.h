The voltage at an analogue pin.
// ***[var_define]***
uint8_t pin = A0;
double supply_v = 5.0;
// ***[import_string]***
#include "../gpio/gpio.h"
// ***[runs_content]***
values.add(gpio::volts(pin, supply_v), 3);
