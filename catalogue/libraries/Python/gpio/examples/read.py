# A contact from the pin to ground: 1 where it is closed.
# ***[var_define]***
pin = 22
# ***[import_string]***
from library.gpio.gpio import Input
# ***[init_content]***
contact = Input(pin, pull="up", active_low=True)
# ***[runs_content]***
values = [contact.read()]
