# Power in watts.
# ***[var_define]***
port = "/dev/ttyUSB0"
# ***[import_string]***
from library.pzem.pzem import Pzem
# ***[init_content]***
meter = Pzem(port)
# ***[runs_content]***
values = [meter.read().power_w]
