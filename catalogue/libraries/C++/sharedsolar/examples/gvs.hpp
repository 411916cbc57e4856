// ***[gvs]***
#include "sharedsolar/meter.hpp"
inline sharedsolar::SimulatedBoard board({"192.168.1.201", "192.168.1.202"}, sharedsolar::system_now, 500);
// Price of a kWh, low credit, power max in W, energy max in Wh a day.
inline sharedsolar::Meter meter(board, {1000, 100, 500, 2000});
inline const bool meter_started = meter.start();
// ***[gvsro]***
[0, 4]
