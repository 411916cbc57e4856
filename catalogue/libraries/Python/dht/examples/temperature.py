# ***[import_string]***
from library.dht.dht import Dht

# ***[init_content]***
sensor = Dht()
# ***[runs_content]***
temperature, humidity = sensor.read()
values = [temperature]
