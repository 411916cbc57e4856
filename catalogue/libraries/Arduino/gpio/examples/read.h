A contact from the pin to ground: 1 where it is closed.
// ***[var_define]***
uint8_t pin = 2;
// ***[import_string]***
#include "../gpio/gpio.h"
// ***[member_var_define]***
gpio::Contact contact{pin};
// ***[runs_content]***
values.add(contact.read());
