"""A household, and books that are right when a test ends."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from gridtalk.grid.models import Circuit
from gridtalk.jobs.verify import verify
from gridtalk.telemetry.testing import circuit_make, meter_make


@pytest.fixture
def circuit(db: None) -> Circuit:
    """A household with 100 of credit, on a meter that forgets jobs."""
    circuit = circuit_make(meter_make(phone="+22370000001"), credit=Decimal(100))
    circuit_make(circuit.meter, last=0)
    return circuit


@pytest.fixture
def clean_at_the_end(circuit: Circuit) -> Iterator[None]:
    """``verify`` finds nothing; asked for by name, for its own tests spoil the books."""
    yield
    assert verify().errors == {}
