# Sets the pin on for any number but 0.
# ***[var_define]***
pin = 23
active_low = False
# ***[import_string]***
from library.gpio.gpio import Output
# ***[init_content]***
output = Output(pin, active_low=active_low)
# ***[runs_content]***
output.write(data[0])
