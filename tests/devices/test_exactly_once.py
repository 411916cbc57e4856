"""The catalogue's own meter against the gateway, through anything that may happen between them.

Messages get lost, come twice, late, in any order; the gateway is killed before it has stored what
it was told, or after, before it acknowledged it; the senders are killed with a job in their hands;
the meter loses its power at any moment. In the end every reading, alert and confirmation is in the
database exactly once, every credit was applied once, and the ledger is clean.

``GRIDTALK_HUNT=500`` makes it hunt for longer, with examples that differ each time.
"""

import importlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis.strategies as st
import pytest
import time_machine
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.devices.village import device_village

from gridtalk.core import clock
from gridtalk.gateway.inbound import handle_waiting
from gridtalk.gateway.job_work import jobs_work
from gridtalk.grid.models import Circuit, Meter
from gridtalk.iottalk.models import RegisteredDevice
from gridtalk.iottalk.services.jobs_out import (
    device_jobs_again,
    device_jobs_sent,
    device_jobs_take,
)
from gridtalk.iottalk.voice import devices_said
from gridtalk.jobs.models import AddCredit, Job
from gridtalk.jobs.services import credit_add, job_request
from gridtalk.jobs.verify import verify
from gridtalk.messaging.drain_results import leases_end
from gridtalk.messaging.interfaces.iottalk.wire import SPOKEN, Said
from gridtalk.messaging.models import IncomingMessage
from gridtalk.messaging.services import messages_expire
from gridtalk.telemetry.models import PCULog, PrimaryLog

HUNT = int(os.environ.get("GRIDTALK_HUNT", "0"))
LIBRARY = Path(__file__).parents[2] / "catalogue/libraries/Python/sharedsolar/sharedsolar"
CIRCUITS = ("192.168.1.201", "192.168.1.202", "192.168.1.203")
HAND_OVERS = ("arrives", "arrives", "lost", "no broker", "killed", "arrived, killed")

few = st.integers(0, 7)
many = st.lists(few, max_size=6)


def _library() -> Any:
    package = ModuleType("sharedsolar_of_the_catalogue")
    package.__path__ = [str(LIBRARY)]
    sys.modules[package.__name__] = package
    return importlib.import_module(f"{package.__name__}.meter")


class Board:
    """Three households with a lamp each, and a power unit."""

    circuits = CIRCUITS

    def __init__(self) -> None:
        self.on = dict.fromkeys(CIRCUITS, False)
        self.measured = dict.fromkeys(CIRCUITS, clock.now())

    def switch(self, cid: str, on: bool) -> None:
        self.on[cid] = on

    def measure(self, cid: str) -> tuple[float, float]:
        hours = (clock.now() - self.measured[cid]) / timedelta(hours=1)
        self.measured[cid] = clock.now()
        power_w = 7.3 if self.on[cid] else 0.0
        return power_w, power_w * hours

    def pcu(self) -> list[float | None]:
        return [1523.4, 311.02, 290.5, 48.01, 0.1 + 0.2, 1.1102230246251565e-16, 5.25, 61.0, None]


class Village(RuleBasedStateMachine):
    """See the module."""

    state_file: Path
    library: Any

    def __init__(self) -> None:
        super().__init__()
        self.savepoint: Any = transaction.atomic()
        self.savepoint._from_testcase = True
        self.savepoint.__enter__()
        # No example lasts beyond midnight, where the box counts energy anew.
        start = datetime.now(UTC).replace(hour=0, minute=5)
        self.time = time_machine.travel(start, tick=False)
        self.clock = self.time.start()
        self.state_file.unlink(missing_ok=True)
        self.meter = Meter.objects.get()
        self.handle = RegisteredDevice.objects.get().handle
        self.posted: dict[str, tuple[str, list[Any]]] = {}
        self.air: list[Said] = []  # all that the box ever said
        self.jobs_air: list[Any] = []  # all that was ever handed over
        self.taken: list[Any] = []
        self.board = Board()
        self.power_comes_back()

    def teardown(self) -> None:
        try:
            if self.posted or Job.objects.exists():
                self.all_comes_to_rest()
        finally:
            self.time.stop()
            transaction.set_rollback(True)
            self.savepoint.__exit__(None, None, None)

    # The box

    def power_comes_back(self) -> None:
        self.box = self.library.Meter(
            self.board,
            path=str(self.state_file),
            price_per_kwh=1000,
            low_credit=2,
            now=lambda: clock.now().timestamp(),
        )

    @rule()
    def power_cut(self) -> None:
        """What the box had not yet said, and not saved, never happened."""
        self.power_comes_back()

    @rule(minutes=st.sampled_from([1, 1, 30, 60]))
    def time_passes(self, minutes: int) -> None:
        self.clock.shift(timedelta(minutes=minutes))
        self.box.tick()
        if minutes > 1:
            self.taken = []  # a lease is seconds long: whoever held it was killed
        leases_end()
        messages_expire()
        jobs_work()

    def _speaks(self) -> list[Said]:
        """All that is due, which the box then holds for said."""
        said = []
        for feature in SPOKEN.keys() - {"Message-I"}:
            while (values := self.box.next(feature)) is not None:
                exact = [Decimal(repr(v)) if isinstance(v, float) else v for v in values]
                said.append(Said(self.handle, feature, tuple(exact), clock.now()))
                self.posted[values[-1]] = (feature, values[:-1])
        self.air += said
        return said

    # The way between

    @rule(
        order=st.randoms(use_true_random=False),
        lost=many,
        again=many,
        end=st.sampled_from(["heard", "heard", "killed before", "killed after"]),
    )
    def box_speaks(self, order: Any, lost: list[int], again: list[int], end: str) -> None:
        """Some of it is lost, some of old comes again, all in any order, in two batches."""
        batch = [said for place, said in enumerate(self._speaks()) if place not in lost]
        batch += [self.air[-1 - place] for place in again if place < len(self.air)]
        order.shuffle(batch)
        half = len(batch) // 2
        self._hears(batch[:half], end)
        self._hears(batch[half:], end)

    def _hears(self, batch: list[Said], end: str) -> None:
        if end == "killed before":
            with transaction.atomic():
                devices_said(batch)
                transaction.set_rollback(True)
            return
        for said, heard in zip(batch, devices_said(batch), strict=True):
            assert heard.reference == said.values[-1]
            assert not heard.error
            if end == "heard":
                self.box.ack(heard.reference)

    @rule()
    def gateway_works(self) -> None:
        handle_waiting()

    @rule(most=st.integers(1, 3))
    def device_server_takes(self, most: int) -> None:
        self.taken += device_jobs_take(handles=[self.handle], most=most)

    @precondition(lambda self: self.taken)
    @rule(
        end=st.sampled_from(
            ["arrives", "arrives", "lost", "no broker", "killed", "arrived, killed"]
        )
    )
    def device_server_hands_over(self, end: str) -> None:
        taken, self.taken = self.taken, []
        if "arrive" in end:
            self.jobs_air += taken
            self._box_hears(taken)
        if "killed" not in end:
            device_jobs_sent(taken=taken, error="no broker" if end == "no broker" else "")

    def _box_hears(self, jobs: list[Any]) -> None:
        for job in jobs:
            word, job_id, cid, amount = job.values
            self.box.job(word, job_id, cid, float(amount))

    @precondition(lambda self: self.jobs_air)
    @rule(which=few)
    def an_old_job_comes_again(self, which: int) -> None:
        self._box_hears([self.jobs_air[which % len(self.jobs_air)]])

    @rule()
    def box_comes_online(self) -> None:
        device_jobs_again(handle=self.handle)

    # People

    @initialize(stage=st.sampled_from(["nothing", "credit", "applied"]))
    def begins_somewhere(self, stage: str) -> None:
        if stage == "nothing":
            return
        self.person_asks("credit", 0)
        if stage == "applied":
            self.device_server_takes(1)
            self.device_server_hands_over("arrived, killed")

    @rule(
        what=st.sampled_from(["credit", "credit", "turn_on", "turn_off", "cping", "mping"]),
        which=few,
    )
    def person_asks(self, what: str, which: int) -> None:
        circuit = Circuit.objects.select_related("meter__communication_interface").get(
            meter=self.meter, ip_address=CIRCUITS[which % len(CIRCUITS)]
        )
        if what == "credit":
            credit_add(circuit=circuit, amount=Decimal("3.10"), user=None, reason="a test")
        else:
            job_request(kind=what, circuit=circuit)

    # What must hold

    @invariant()
    def no_cent_is_lost_or_made(self) -> None:
        assert verify().errors == {}

    @invariant()
    def nothing_is_stored_that_was_not_said_nor_twice(self) -> None:
        stored = Counter(IncomingMessage.objects.values_list("provider_id", flat=True))
        assert all(count == 1 for count in stored.values())
        assert stored.keys() <= self.posted.keys()

    def all_comes_to_rest(self) -> None:
        """Nothing is lost any more, and the clock goes on until all is told and done."""
        for _ in range(40):
            self.clock.shift(timedelta(minutes=3))
            self.taken = []
            leases_end()
            jobs_work()
            device_jobs_again(handle=self.handle)
            taken = device_jobs_take(handles=[self.handle])
            self._box_hears(taken)
            device_jobs_sent(taken=taken)
            while said := self._speaks():
                self._hears(said, "heard")
            handle_waiting()
            if not self.box.outbox and not Job.objects.filter(ended_at__isnull=True).exists():
                break
        else:
            pytest.fail(f"it does not come to rest: {self.box.outbox}, {list(Job.objects.all())}")
        self._all_is_there_once()

    def _all_is_there_once(self) -> None:
        stored = IncomingMessage.objects.values_list("provider_id", "outcome")
        references = {reference for reference, _ in stored}
        # A confirmation takes the place of the last one of the same job.
        latest = {v[0]: ref for ref, (f, v) in self.posted.items() if f == "JobDone-I"}
        needed = {ref for ref, (f, _) in self.posted.items() if f != "JobDone-I"}
        assert needed | set(latest.values()) <= references
        outcomes = Counter(outcome for _, outcome in stored)
        said = Counter(self.posted[reference][0] for reference in references)
        reports = {tuple(v[:2]) for f, v in self.posted.values() if f == "PrimaryLog-I"}
        assert PrimaryLog.objects.count() == len(reports) == outcomes["reports"]
        assert outcomes["reports"] + outcomes["duplicate"] >= said["PrimaryLog-I"]
        hours = {v[0] for f, v in self.posted.values() if f == "PcuLog-I"}
        assert PCULog.objects.count() == len(hours) == outcomes["pcu log"]
        assert outcomes["alert"] == said["Alert-I"]
        done = outcomes["acknowledged"] + outcomes["acknowledged again"]
        assert done == said["JobDone-I"]
        assert set(outcomes) <= {
            "reports", "duplicate", "pcu log", "alert", "acknowledged", "acknowledged again"
        }  # fmt: skip
        credits_ = AddCredit.objects.all()
        assert {job.state for job in credits_} <= {"done"}
        circuits = self.box.circuits.values()
        left = sum((circuit.credit for circuit in circuits), Decimal(0))
        used = sum((Decimal(str(circuit.watthours)) for circuit in circuits), Decimal(0))
        given = sum((job.credit for job in credits_), Decimal(0))
        assert abs(left + used - given) < Decimal("0.01"), "one credit a watt-hour, applied once"
        assert verify().errors == {}


@pytest.fixture
def _meters_speak_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The library asks the process for the local time."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.django_db
@pytest.mark.usefixtures("_meters_speak_utc")
def test_whatever_happens_between_all_is_there_once(tmp_path: Path) -> None:
    village = device_village()
    Meter.objects.filter(pk=village.meter.pk).update(knows_job_ids=True, time_zone="UTC")
    Circuit.objects.update(credit=0)
    Village.state_file = tmp_path / "state.json"
    Village.library = _library()
    run_state_machine_as_test(
        Village,
        settings=settings(
            max_examples=HUNT or 8,
            stateful_step_count=20,
            derandomize=not HUNT,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink] if HUNT else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert not IncomingMessage.objects.exists(), "each example leaves nothing behind"
