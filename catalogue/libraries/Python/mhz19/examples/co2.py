# CO₂ in ppm.
# ***[var_define]***
port = "/dev/serial0"
# ***[import_string]***
from library.mhz19.mhz19 import Mhz19
# ***[init_content]***
sensor = Mhz19(port)
# ***[runs_content]***
values = [sensor.read().co2_ppm]
