# ***[gvs]***
from library.sharedsolar.board import SimulatedBoard
from library.sharedsolar.meter import Meter
board = SimulatedBoard(["192.168.1.201", "192.168.1.202"], solar_peak_w=500)
meter = Meter(board, price_per_kwh=1000, low_credit=100, power_max_w=500, energy_max_wh=2000).start()
# ***[gvsro]***
[0, 1]
