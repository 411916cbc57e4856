"""How much power people draw, hour by hour: real shapes, so that a village looks like one.

Mean watts by local hour of seven days of September 2012 on SharedSolar meters in Uganda
(SEL-Columbia/SharedSolar_datamunge, ``SD_wh_11_2012.csv``); the name is the meter's and circuit's.
"""

import json
from pathlib import Path

Curve = tuple[int, ...]

#: ug01_4: a few lamps and a telephone.
LIGHTS: Curve = (2, 1, 0, 0, 0, 0, 0, 0, 0, 2, 3, 3, 2, 3, 2, 1, 1, 0, 1, 2, 7, 7, 4, 3)
#: ug08_1: a household with a television in the evening.
HOUSEHOLD: Curve = (0, 0, 0, 0, 0, 0, 2, 4, 6, 1, 0, 1, 0, 1, 0, 0, 1, 0, 0, 8, 33, 49, 51, 17)
#: ug08_10: a shop with a radio and a small fridge, open from eight.
SHOP: Curve = (0, 0, 0, 0, 0, 0, 0, 0, 20, 29, 34, 35, 32, 42, 36, 38, 39, 41, 42, 49, 48, 17, 8, 2)
#: ug08_2: a household that rises early.
EARLY: Curve = (1, 1, 0, 0, 8, 14, 14, 4, 2, 2, 2, 1, 1, 1, 1, 1, 2, 4, 5, 33, 50, 39, 10, 2)
#: ug08_3: something that is always on.
STEADY: Curve = (4, 4, 4, 4, 4, 4, 3, 3, 3, 2, 3, 3, 3, 4, 3, 3, 6, 5, 4, 4, 4, 4, 4, 4)

CURVES: tuple[Curve, ...] = (HOUSEHOLD, SHOP, LIGHTS, EARLY, STEADY)


def measured_curves() -> tuple[Curve, ...]:
    """The shapes of all consumers' circuits in that data, thirty of them, in order of name."""
    found = json.loads(Path(__file__).with_name("loads.json").read_text(encoding="utf-8"))["watts"]
    return tuple(tuple(found[name]) for name in sorted(found))
