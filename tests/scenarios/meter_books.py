"""What a generated meter knows and has said, held against the database: each thing exactly once."""

from collections import Counter
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.scenarios.generated_meters import (
    CIRCUITS,
    PRICE_PER_KWH,
    VALUE,
    GeneratedMeter,
    World,
)

CENT = Decimal("0.01")
JOB_DONE = "JobDone-I"

_MESSAGES = """
    SELECT i.dedupe_key, i.handled_at IS NOT NULL, i.outcome, i.error
    FROM incoming_messages i JOIN messages m USING (id) WHERE m.number = %s
"""
_READINGS = """
    SELECT c.ip_address, p.meter_time, p.status, p.watthours, p.use_time_s, p.credit
    FROM primary_logs p JOIN circuits c ON c.id = p.circuit_id WHERE c.meter_id = %s
"""
_PCU = "SELECT meter_time FROM pcu_logs WHERE meter_id = %s"
_JOBS = """
    SELECT j.id, j.state, a.credit,
           (SELECT count(*) FROM ledger_entries l WHERE l.job_id = j.id AND l.cause = 'delivery')
    FROM jobs j JOIN circuits c ON c.id = j.circuit_id LEFT JOIN add_credit_jobs a ON a.id = j.id
    WHERE c.meter_id = %s
"""
_LINES = """
    SELECT c.ip_address, c.credit, c.status, coalesce((
               SELECT sum(amount) FROM ledger_entries
               WHERE credit_account_id = a.id AND cause = 'delivery'), 0)
    FROM circuits c LEFT JOIN ledger_accounts a ON a.circuit_id = c.id
    WHERE c.meter_id = %s AND NOT c.is_main
"""
_ALERTS = """
    SELECT c.ip_address, a.kind, sum(a.repeats + 1)
    FROM alerts a JOIN circuits c ON c.id = a.circuit_id WHERE a.meter_id = %s GROUP BY 1, 2
"""
_SALES = """
    SELECT count(*) FROM add_credit_jobs a JOIN jobs j USING (id)
    JOIN circuits c ON c.id = j.circuit_id WHERE c.meter_id = ANY(%s)
"""
#: What the meter's codes raise. Low and no credit the gateway notices by the reports, too.
KINDS = {"lcw": "low_credit", "nocw": "no_credit", "pmax": "power_max"}


def history(world: World, meter: GeneratedMeter) -> dict[str, tuple[str, list[Any]]]:
    """All that the meter ever said, or still held when its power went: reference → what."""
    names = dict(
        world.rows(
            "SELECT number, name FROM registered_features WHERE device_id = %s AND kind = 'idf'",
            meter.device_id,
        )
    )
    said = dict(meter.kept)
    for one in world.lossy.said_by(meter.handle):
        *values, reference = one.values
        said[reference] = (names[one.feature], values)
    return said


def judge(world: World, meter: GeneratedMeter) -> None:
    """Fail where anything of the meter is in the database not exactly once. It must be at rest."""
    said = history(world, meter)
    _messages(world, meter, said)
    _readings(world, meter, said)
    _alerts(world, meter, said)
    _jobs(world, meter)
    _money(world, meter)


def _messages(world: World, meter: GeneratedMeter, said: dict[str, tuple[str, list[Any]]]) -> None:
    rows = world.rows(_MESSAGES, meter.handle)
    wrong = [row for row in rows if not row[1] or row[3] or row[2] in {"failed", "error"}]
    assert not wrong, "stored, and not used"
    prefix = f"iottalk:{meter.handle}:"
    stored = Counter(key.removeprefix(prefix) for key, *_ in rows)
    assert max(stored.values()) == 1
    state = meter.state()
    assert not state["outbox"]
    ever = {f"{state['origin']}-{number}" for number in range(1, state["count"] + 1)}
    assert stored.keys() <= ever, "the meter never made these"
    # A confirmation that was not yet heard is replaced when its job comes again.
    missing = {one: said[one] for one in ever - stored.keys() if one in said}
    lost = {one: what for one, what in missing.items() if what[0] != JOB_DONE}
    assert not lost, "the meter has forgotten these, and the gateway never had them"
    confirmed = {what[1][0] for one, what in said.items() if what[0] == JOB_DONE and one in stored}
    assert confirmed == set(state["jobs"])


def _readings(world: World, meter: GeneratedMeter, said: dict[str, tuple[str, list[Any]]]) -> None:
    zone = ZoneInfo(world.zone)

    def local(moment: datetime) -> str:
        return f"{moment.astimezone(zone):%Y%m%d%H%M%S}"

    reports = [values for name, values in said.values() if name == "PrimaryLog-I"]
    known: dict[tuple[str, str], list[list[Any]]] = {}
    for cid, when, *values in reports:
        known.setdefault((cid, when), []).append(values)
    stored: dict[tuple[str, str], list[Any]] = {}
    for cid, when, *values in world.rows(_READINGS, meter.meter_id):
        assert (cid, local(when)) not in stored
        stored[cid, local(when)] = values
    assert stored.keys() == known.keys()
    assert len(known) >= len(CIRCUITS) * 3, f"{meter.language} reported only {known.keys()}"
    for key, values in stored.items():
        told = [[Decimal(str(one)) for one in each] for each in known[key]]
        assert values in told, f"{key}: {values} is stored, {told} was said"
    pcu = Counter(values[0] for name, values in said.values() if name == "PcuLog-I")
    assert Counter(local(when) for (when,) in world.rows(_PCU, meter.meter_id)) == Counter(set(pcu))


def _alerts(world: World, meter: GeneratedMeter, said: dict[str, tuple[str, list[Any]]]) -> None:
    told = Counter((cid, KINDS[code]) for name, (cid, code, *_) in _alerts_said(said))
    found = {(cid, kind): int(count) for cid, kind, count in world.rows(_ALERTS, meter.meter_id)}
    assert told.keys() <= found.keys()
    strong = {key: count for key, count in found.items() if key[1] == "power_max"}
    assert strong == {key: count for key, count in told.items() if key[1] == "power_max"}


def _alerts_said(said: dict[str, tuple[str, list[Any]]]) -> list[tuple[str, list[Any]]]:
    return [(name, values) for name, values in said.values() if name == "Alert-I"]


def _jobs(world: World, meter: GeneratedMeter) -> None:
    jobs = world.rows(_JOBS, meter.meter_id)
    done = [job for job, state, _, _ in jobs if state == "done"]
    # An on or off whose place a newer one took; the meter may have heard of it.
    replaced = [job for job, state, credit, _ in jobs if state == "cancelled" and credit is None]
    assert len(done) + len(replaced) == len(jobs), jobs
    known = meter.state()["jobs"]
    assert len(set(known)) == len(known)
    assert set(done) <= set(known) <= {*done, *replaced}
    wrong = [row for row in jobs if row[3] != (row[2] is not None)]
    assert not wrong, "credit that was not delivered exactly once"
    assert all(credit in {None, VALUE} for _, _, credit, _ in jobs)


def _money(world: World, meter: GeneratedMeter) -> None:
    for cid, credit, status, delivered in world.rows(_LINES, meter.meter_id):
        at_meter, is_on, used_wh = meter.line(cid)
        assert abs(credit - at_meter) <= CENT, f"{cid}: {credit} here, {at_meter} at the meter"
        assert bool(status) == is_on, cid
        spent = used_wh * PRICE_PER_KWH / 1000
        assert abs(delivered - spent - at_meter) <= CENT, f"{cid}: {delivered} bought, {spent} used"


def judge_all(world: World) -> None:
    """All meters, the tokens, and the ledger as a whole."""
    for meter in world.meters:
        judge(world, meter)
    used = "SELECT count(*) FROM tokens WHERE state = 'used' AND number = ANY(%s)"
    assert world.ask(used, world.redeemed) == len(world.redeemed)
    assert world.ask(_SALES, [meter.meter_id for meter in world.meters]) == len(world.redeemed)
    verified = world.gridtalk.command("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
