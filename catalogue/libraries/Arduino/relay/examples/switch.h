Closes the relay for any number but 0.
// ***[var_define]***
uint8_t pin = 7;
bool active_low = false;
// ***[import_string]***
#include "../relay/relay.h"
// ***[member_var_define]***
relay::Relay relay{pin, active_low};
// ***[runs_content]***
relay.set(data.number(0) != 0);
