Sets the pin high for any number but 0.
// ***[var_define]***
uint8_t pin = 13;
// ***[import_string]***
#include "../gpio/gpio.h"
// ***[member_var_define]***
gpio::Output output{pin};
// ***[runs_content]***
output.write(data.number(0) != 0);
