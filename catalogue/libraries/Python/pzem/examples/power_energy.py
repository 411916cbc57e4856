# Power in watts and energy in watt-hours.
# ***[var_define]***
port = "/dev/ttyUSB0"
# ***[import_string]***
from library.pzem.pzem import Pzem
# ***[init_content]***
meter = Pzem(port)
# ***[runs_content]***
reading = meter.read()
values = [reading.power_w, reading.energy_wh]
