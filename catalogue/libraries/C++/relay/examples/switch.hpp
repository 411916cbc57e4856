Closes the relay for any number but 0.
// ***[var_define]***
unsigned pin = 17;
bool active_low = false;
// ***[import_string]***
#include "relay/relay.hpp"
// ***[member_var_define]***
relay::Relay relay{pin, active_low};
// ***[runs_content]***
relay.set(data.at(0).get<double>() != 0);
