// ***[gvs]***
#include "../sharedsolar/meter.h"
static sharedsolar::SimulatedBoard board(2);  // 192.168.1.201 and 192.168.1.202
// Price of a kWh, low credit, power max in W, energy max in Wh a day.
static sharedsolar::Meter meter(board, {1000, 100, 500, 2000});
static talk::Task meter_task([] { meter.run(); });
// ***[gvsro]***
[0, 4]
