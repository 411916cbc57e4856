Brightness or speed from 0 to 1, on a pin with PWM.
// ***[var_define]***
uint8_t pin = 9;
// ***[import_string]***
#include "../gpio/gpio.h"
// ***[runs_content]***
gpio::dim(pin, data.number(0));
