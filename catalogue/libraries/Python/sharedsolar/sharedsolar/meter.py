"""A SharedSolar meter: counts credit, cuts off, takes jobs, forgets nothing in a power cut.

The board (``board.py``) measures and switches; this module decides. All that matters is in one
state file, which is replaced whole: a job's credit, its number and its confirmation are saved
together, before the confirmation is sent. What the gateway has not acknowledged is sent again.
"""

import datetime as dt
import json
import os
import threading
import time
from collections import OrderedDict
from decimal import Decimal, InvalidOperation

from .turn import Turn

MAINS = "192.168.1.200"
#: Pauses before a message is sent again, in seconds; the last one stays.
RESEND_S = (10, 30, 60, 300, 900, 3600)
#: Energy counted since the last save is lost in a power cut; it is saved this often.
SAVE_S = 60
#: So many job numbers are remembered; the gateway repeats a job for days, not for thousands.
JOBS_KEPT = 1000
#: So many unacknowledged hourly reports are kept; then the oldest are dropped. Nothing else is.
REPORTS_KEPT = 5000
JOB_KINDS = ("cr", "con", "coff", "cping", "mping")
REPORT_DFS = ("PrimaryLog-I", "PcuLog-I")
#: The alerts that keep a circuit off while they hold.
CUT_OFFS = {"nocw", "pmax", "emax"}


class Circuit:
    """One household's line. Credit is exact; energy and time in use count from local midnight."""

    def __init__(self, cid, saved=None):
        saved = saved or {}
        self.cid = cid
        self.credit = Decimal(saved.get("credit", "0"))
        self.is_on = saved.get("is_on", False)
        self.watthours = saved.get("watthours", 0.0)
        self.use_time_s = saved.get("use_time_s", 0.0)
        self.told = set(saved.get("told", []))  # alerts that hold at present
        # Switched off by a job: off until con, whatever else changes. A state of before this was
        # written down: off, though there is credit and no alert, was a job.
        was_job = not self.is_on and self.credit > 0 and not self.told & CUT_OFFS
        self.off_by_job = saved.get("off_by_job", was_job)

    @property
    def may_be_on(self):
        """Whether neither a job nor a limit keeps it off."""
        return self.credit > 0 and not self.off_by_job and not self.told & CUT_OFFS

    def saved(self):
        """What goes into the state file."""
        return {
            "credit": str(self.credit),
            "is_on": self.is_on,
            "watthours": self.watthours,
            "use_time_s": self.use_time_s,
            "told": sorted(self.told),
            "off_by_job": self.off_by_job,
        }


class Meter:
    """All circuits of one meter, and what is to be told to the gateway.

    ``price_per_kwh`` in credit. ``power_max_w`` and ``energy_max_wh`` (of a day) cut a circuit off;
    None is no limit. It reports each hour, and besides every ``report_every_s`` where that is
    set. ``resend_s`` are the pauses before a message that nobody acknowledged is sent again.
    ``now`` gives seconds since 1970 and ``board`` is one of ``board.py``.
    """

    def __init__(
        self,
        board,
        path="meter-state.json",
        price_per_kwh="1000",
        low_credit="100",
        power_max_w=None,
        energy_max_wh=None,
        report_every_s=None,
        resend_s=RESEND_S,
        now=time.time,
    ):
        self.board = board
        self.path = path
        self.price_per_wh = Decimal(str(price_per_kwh)) / 1000
        self.low_credit = Decimal(str(low_credit))
        self.power_max_w = power_max_w
        self.energy_max_wh = energy_max_wh
        self.report_every_s = report_every_s
        self.resend_s = tuple(resend_s)
        self._now = now
        self._interval_s = None
        self._due = {}  # reference → (when to send it again, how often it was sent)
        self._unsaved = False
        self._load()
        self._turn = Turn(f"{path}.turn", self._begun)
        self._unswitched = set(self.circuits)  # whose relay is not yet known to be as it should
        self._switch_pending()
        self._last_tick = self._last_save = self._last_report = now()

    # What the device features call

    def next(self, df_name):
        """The values of the next message of that feature that is due, its reference last; or None.

        A message is due once, and again after growing pauses until :meth:`ack`.
        """
        with self._turn.held() as mine:
            if not mine:
                return None
            if self._unsaved:
                self._save()  # nothing is said that a power cut could still undo
            now = self._now()
            for reference, message in self.outbox.items():
                when, count = self._due.get(reference, (0, 0))
                if message["df"] == df_name and when <= now:
                    pause = self.resend_s[min(count, len(self.resend_s) - 1)]
                    self._due[reference] = (now + pause, count + 1)
                    return [*message["values"], reference]
            return None

    def ack(self, reference):
        """The gateway has stored that message: forget it."""
        with self._turn.held() as mine:
            if mine and self.outbox.pop(reference, None) is not None:
                self._due.pop(reference, None)
                self._save()

    def job(self, kind, job_id, cid, amount):
        """Carry a job out, once however often it comes, and confirm it; raises ValueError.

        ``kind``: cr (add ``amount`` of credit), con, coff (switch), cping, mping (report now).
        What coff switched off stays off until con: neither credit nor a new day switches it on.
        """
        with self._turn.held() as mine:
            if not mine:
                raise ValueError(f"job {job_id}: another process is this meter now")
            if kind not in JOB_KINDS:
                raise ValueError(f"job {job_id}: unknown kind {kind!r}")
            circuit = self.circuits.get(cid)
            if circuit is None and kind != "mping" and cid != MAINS:
                raise ValueError(f"job {job_id}: there is no circuit {cid!r}")
            if job_id not in self.jobs:
                self._carry_out(kind, circuit, amount)
                self.jobs[job_id] = True
                while len(self.jobs) > JOBS_KEPT:
                    self.jobs.popitem(last=False)
            self._confirm(job_id, circuit)
            self._save()

    # What the board's clock calls

    def tick(self):
        """Measure all circuits, count, cut off where a limit is passed, and report each hour.

        False where another process is this meter now: then nothing was done.
        """
        with self._turn.held() as mine:
            if not mine:
                return False
            now = self._now()
            elapsed_s = max(now - self._last_tick, 0.0)
            self._last_tick = now
            self._turn_hour(now)
            self._switch_pending()
            changed = False
            for circuit in self.circuits.values():
                try:
                    power_w, energy_wh = self.board.measure(circuit.cid)
                except OSError as error:  # a silent line must not stop the others
                    print(f"meter: {circuit.cid}: {error}", flush=True)
                    continue
                circuit.watthours += energy_wh
                if power_w > 0:
                    circuit.use_time_s += elapsed_s
                circuit.credit -= Decimal(str(energy_wh)) * self.price_per_wh
                changed |= self._limits(circuit, power_w)
            if self.report_every_s and now - self._last_report >= self.report_every_s:
                self._report_all()
                changed = True
            if changed or now - self._last_save >= SAVE_S:
                self._save()
            return True

    def start(self, interval_s=1.0):
        """Call :meth:`tick` from now on, in a thread of its own; gives this meter back.

        Where this process forks, the child goes on in its place as soon as it is asked something.
        """
        self._interval_s = interval_s
        with self._turn.held():
            return self

    # Inside

    def _begun(self):
        """This process is the meter from now on."""
        if self._saves_of_file() != self.saves:
            self._load()  # the process before us went on after we were copied
            self._unswitched.update(self.circuits)
        if self._interval_s is not None:
            threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        goes_on = True
        while goes_on:
            try:
                goes_on = self.tick()
            except OSError as error:  # the disk is full: go on counting, say it again
                print(f"meter: the state cannot be saved: {error}", flush=True)
            time.sleep(self._interval_s)

    def _saves_of_file(self):
        try:
            with open(self.path, encoding="utf-8") as file:
                return json.load(file).get("saves", 0)
        except FileNotFoundError:
            return 0

    def _carry_out(self, kind, circuit, amount):
        if kind == "cr":
            if circuit is None:
                raise ValueError("the mains take no credit")
            had = circuit.credit
            circuit.credit += _credit(amount)
            if circuit.credit > self.low_credit:
                circuit.told.discard("lcw")
            if had <= 0 < circuit.credit:
                circuit.told.discard("nocw")
                self._switch(circuit, on=circuit.may_be_on)
        elif kind in ("con", "coff") and circuit is not None:
            circuit.off_by_job = kind == "coff"
            if kind == "con":
                circuit.told.discard("pmax")
            self._switch(circuit, on=circuit.may_be_on)
        elif kind == "cping" and circuit is not None:
            self._report(circuit)
        elif kind == "mping":
            self._report_all()

    def _confirm(self, job_id, circuit):
        """One confirmation of a job at a time waits in the outbox, with the present credit."""
        for reference, message in list(self.outbox.items()):
            if message["df"] == "JobDone-I" and message["values"][0] == job_id:
                del self.outbox[reference]
                self._due.pop(reference, None)
        status = int(circuit.is_on) if circuit else 1
        self._post("JobDone-I", [job_id, status, float(circuit.credit) if circuit else 0.0])

    def _limits(self, circuit, power_w):
        """Alerts and cut-offs; each is told once, until its cause is gone. True where one was."""
        before = (circuit.is_on, len(self.outbox))
        if 0 < circuit.credit <= self.low_credit:
            self._tell(circuit, "lcw")
        if circuit.credit <= 0:
            self._tell(circuit, "nocw")
        if self.power_max_w is not None and power_w > self.power_max_w:
            self._tell(circuit, "pmax")
        if self.energy_max_wh is not None and circuit.watthours > self.energy_max_wh:
            self._tell(circuit, "emax")
        if circuit.is_on and circuit.told & CUT_OFFS:
            self._switch(circuit, on=False)
        return before != (circuit.is_on, len(self.outbox))

    def _tell(self, circuit, code):
        if code not in circuit.told:
            circuit.told.add(code)
            self._post("Alert-I", [circuit.cid, code])

    def _switch(self, circuit, on):
        circuit.is_on = on
        self._unswitched.add(circuit.cid)
        self._switch_pending()

    def _switch_pending(self):
        """Set relays as they should be; one that fails is tried again with the next tick."""
        for cid in sorted(self._unswitched):
            try:
                self.board.switch(cid, self.circuits[cid].is_on)
            except OSError as error:
                print(f"meter: {cid}: {error}", flush=True)
            else:
                self._unswitched.discard(cid)

    def _turn_hour(self, now):
        moment = dt.datetime.fromtimestamp(now)  # noqa: DTZ006  meters speak local time
        hour = moment.strftime("%Y%m%d%H")
        if hour == self.hour:
            return
        new_day = self.hour is None or hour[:8] != self.hour[:8]
        if self.hour is not None:
            start = moment.replace(minute=0, second=0)
            # The last report of a day bears that day's date, as its energy is that day's.
            self._report_all(start - dt.timedelta(seconds=1) if new_day else start)
        if new_day:
            for circuit in self.circuits.values():
                circuit.watthours = circuit.use_time_s = 0.0
                if "emax" in circuit.told:
                    circuit.told.discard("emax")
                    self._switch(circuit, on=circuit.may_be_on)
        self.hour = hour
        self._save()

    def _report_all(self, moment=None):
        self._last_report = self._now()
        for circuit in self.circuits.values():
            self._report(circuit, moment)
        values = self.board.pcu()
        if values is not None:
            self._post("PcuLog-I", [self._meter_time(moment), *values])

    def _report(self, circuit, moment=None):
        self._post(
            "PrimaryLog-I",
            [
                circuit.cid,
                self._meter_time(moment),
                int(circuit.is_on),
                round(circuit.watthours, 1),
                int(circuit.use_time_s),
                float(round(circuit.credit, 2)),
            ],
        )

    def _meter_time(self, moment=None):
        moment = moment or dt.datetime.fromtimestamp(self._now())  # noqa: DTZ006
        return moment.strftime("%Y%m%d%H%M%S")

    def _post(self, df_name, values):
        self._unsaved = True
        self.count += 1
        self.outbox[f"{self.origin}-{self.count}"] = {"df": df_name, "values": values}
        if df_name in REPORT_DFS:
            reports = [r for r, message in self.outbox.items() if message["df"] in REPORT_DFS]
            for reference in reports[:-REPORTS_KEPT]:
                del self.outbox[reference]
                self._due.pop(reference, None)

    def _load(self):
        """The state of the last run. A file that cannot be read stops the meter: it is money."""
        saved = {}
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                saved = json.load(file)
        # References stay unlike any of before, even where the state file was removed.
        self.origin = saved.get("origin") or os.urandom(4).hex()
        self.count = saved.get("count", 0)
        self.saves = saved.get("saves", 0)  # how often this file was written
        self.hour = saved.get("hour")
        self.jobs = OrderedDict((job_id, True) for job_id in saved.get("jobs", []))
        self.outbox = OrderedDict(saved.get("outbox", []))
        known = saved.get("circuits", {})
        self.circuits = {cid: Circuit(cid, known.get(cid)) for cid in self.board.circuits}
        # A circuit that the board has lost for now keeps its credit.
        self._others = {cid: data for cid, data in known.items() if cid not in self.circuits}

    def _save(self):
        circuits = {cid: circuit.saved() for cid, circuit in self.circuits.items()}
        state = {
            "saves": self.saves + 1,
            "origin": self.origin,
            "count": self.count,
            "hour": self.hour,
            "jobs": list(self.jobs),
            "outbox": list(self.outbox.items()),
            "circuits": {**self._others, **circuits},
        }
        beside = f"{self.path}.new"
        with open(beside, "w", encoding="utf-8") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.path)
        folder = os.open(os.path.dirname(os.path.abspath(self.path)), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self.saves += 1
        self._unsaved = False
        self._last_save = self._now()


def _credit(amount):
    try:
        added = Decimal(str(amount))
    except InvalidOperation:
        added = Decimal("NaN")
    if not (added.is_finite() and added > 0):
        raise ValueError(f"credit must be a number above zero, not {amount!r}")
    return added
