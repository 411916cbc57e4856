"""Values without hardware: a number that walks by chance, and one that shows what came."""

import random


class Walk:
    """A number that moves a little at each reading, and stays between two bounds."""

    def __init__(self, lowest=0.0, highest=100.0, step=5.0):
        self.lowest = lowest
        self.highest = highest
        self.step = step
        self.value = (lowest + highest) / 2

    def read(self):
        """The next value."""
        moved = self.value + random.uniform(-self.step, self.step)
        self.value = min(max(moved, self.lowest), self.highest)
        return round(self.value, 2)


def show(name, data):
    """Print what came for a device feature."""
    print(f"{name}: {data}", flush=True)
