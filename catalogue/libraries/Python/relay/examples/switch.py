# Closes the relay for any number but 0.
# ***[var_define]***
pin = 17
active_low = False
# ***[import_string]***
from library.relay.relay import Relay
# ***[init_content]***
relay = Relay(pin, active_low=active_low)
# ***[runs_content]***
relay.switch(data[0])
