"""What we write in the meters' language is what a reader of it understands."""

# Meters' times are naive.
# ruff: noqa: DTZ001

import dataclasses
import itertools
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtalk.gateway.meter import wire, wire_compressed, wire_encode
from gridtalk.gateway.meter.wire import ALERT_CODES, MeterError, PrimaryLogs, Reading
from gridtalk.gateway.meter.wire_encode import MeterJob, PingAnswer

NOON = datetime(2012, 8, 31, 12)
hours = st.integers(0, 100 * 365 * 24).map(lambda n: datetime(2000, 1, 1) + timedelta(hours=n))
seconds = st.integers(0, 10**9).map(lambda n: datetime(2000, 1, 1) + timedelta(seconds=n))
addresses = st.sampled_from(wire_compressed.ADDRESSES)
amounts = st.integers(-(10**16) + 1, 10**16 - 1).map(lambda n: Decimal(n).scaleb(-2))
watthours = st.integers(0, 9_999_999).map(lambda n: Decimal(n).scaleb(-1))
use_times = st.integers(0, 86_400).map(Decimal)
names = st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True)


def circuit(**changes: object) -> Reading:
    values: dict[str, object] = {
        "cid": "192.168.1.201",
        "meter_time": NOON,
        "status": 1,
        "use_time_s": Decimal(1000),
        "watthours": Decimal("4.8"),
        "credit": Decimal("33.84"),
        "mains": False,
    }
    return Reading(**(values | changes))  # type: ignore[arg-type]


def mains(**changes: object) -> Reading:
    return circuit(**({"cid": "192.168.1.200", "credit": None, "mains": True} | changes))


@st.composite
def villages(draw: st.DrawFn) -> list[Reading]:
    hour = draw(hours)
    circuits = st.builds(
        circuit,
        cid=st.sampled_from(wire_compressed.ADDRESSES[1:]),
        meter_time=st.just(hour),
        status=st.sampled_from([0, 1]),
        use_time_s=use_times,
        watthours=watthours,
        credit=amounts,
    )
    the_mains = st.builds(
        mains, meter_time=st.just(hour), use_time_s=use_times, watthours=watthours
    )
    return draw(st.lists(the_mains, max_size=1)) + draw(st.lists(circuits, max_size=40))


@given(villages())
def test_compressed_identity(readings: list[Reading]) -> None:
    texts = wire_encode.encode_compressed(readings)
    entries: list[Reading] = []
    for text in texts:
        message = wire.parse(text)
        assert isinstance(message, PrimaryLogs)
        assert not message.errors
        assert len(text) <= 160
        assert text.isascii()
        entries += message.entries
    assert sorted(entries, key=repr) == sorted(readings, key=repr)
    for status in (0, 1):
        assert [e for e in entries if e.status == status] == [
            r for r in readings if r.status == status
        ]


@given(villages())
def test_compressed_repeats_the_prefix_and_has_the_mains_in_the_first(
    readings: list[Reading],
) -> None:
    texts = wire_encode.encode_compressed(readings)
    assert len({text.partition("#")[0] for text in texts}) <= 1
    for text in texts[1:]:
        message = wire.parse(text)
        assert isinstance(message, PrimaryLogs)
        assert not any(reading.mains for reading in message.entries)


@given(villages(), st.sampled_from([0, 1]))
def test_compressed_is_greedy(readings: list[Reading], status: int) -> None:
    texts = wire_encode.encode_compressed(
        [dataclasses.replace(r, status=status) for r in readings if not r.mains]
    )
    for text, following in itertools.pairwise(texts):
        entry = following.strip("()").split("#")[2 - status].partition(";")[0]
        assert len(f"{text};{entry}") > 160


def test_compressed_as_the_meters_wrote_it() -> None:
    text = "(l76ZE0#E,36I,894,3U3Y;F,96,7N2,1IUL;G,N9,9WD,2XHX;H,90,4RE,1824#)"
    message = wire.parse(text)
    assert isinstance(message, PrimaryLogs)
    assert wire_encode.encode_compressed(message.entries) == [text]
    assert wire_encode.encode_compressed([]) == []
    assert wire_encode.encode_compressed([circuit(status=0), mains(watthours=Decimal(10))]) == [
        "(l76ZE0#2S,RS#1,RS,1C,2M0)"
    ]
    assert wire_encode.encode_compressed([mains(use_time_s=Decimal(86400))]) == ["(l76ZE0#1C#)"]


@pytest.mark.parametrize(
    ("changes", "entry"),
    [
        ({"credit": Decimal("4.35")}, "1,RS,1C,C3"),
        ({"credit": Decimal("4.345")}, "1,RS,1C,C2"),
        ({"credit": Decimal("4.355")}, "1,RS,1C,C4"),
        ({"credit": Decimal("-4.345")}, "1,RS,1C,-C2"),
        ({"watthours": Decimal("4.85")}, "1,RS,1C,2M0"),
        ({"watthours": Decimal("4.75")}, "1,RS,1C,2M0"),
        ({"use_time_s": Decimal("1000.5")}, "1,RS,1C,2M0"),
    ],
)
def test_compressed_rounds_half_to_even(changes: dict[str, object], entry: str) -> None:
    assert wire_encode.encode_compressed([circuit(**changes)]) == [f"(l76ZE0#{entry}#)"]


@pytest.mark.parametrize(
    ("readings", "part"),
    [
        ([circuit(), circuit(meter_time=NOON + timedelta(hours=1))], "one hour"),
        ([circuit(meter_time=NOON + timedelta(minutes=1))], "whole hour"),
        ([circuit(meter_time=datetime(1999, 1, 1))], "years 2000"),
        ([circuit(cid="10.0.0.1")], "not an address"),
        ([circuit(credit=None)], "must have a credit"),
        ([mains(status=0)], "must have a credit"),
        ([circuit(use_time_s=Decimal(86401))], "use time"),
        ([circuit(watthours=Decimal(-1))], "energy"),
        ([circuit(credit=Decimal(10) ** 14)], "credit"),
    ],
)
def test_compressed_refuses(readings: list[Reading], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        wire_encode.encode_compressed(readings)


decimals = st.integers(0, 86_400_00).map(lambda n: Decimal(n).scaleb(-2))


@given(
    st.builds(
        circuit,
        cid=addresses,
        meter_time=seconds,
        status=st.sampled_from([0, 1]),
        use_time_s=decimals,
        watthours=decimals,
        credit=st.none() | amounts,
    ),
    st.none() | names,
)
def test_pp_identity(reading: Reading, meter: str | None) -> None:
    expected = circuit(
        **{
            name: getattr(reading, name)
            for name in ("cid", "meter_time", "status", "use_time_s", "watthours", "credit")
        }
        | {"mains": reading.cid.endswith(".200")}
    )
    assert wire.parse(wire_encode.encode_pp(reading, meter=meter)) == PrimaryLogs((expected,))


@given(
    st.integers(0, 2**31 - 1),
    st.sampled_from([None, 0, 1]),
    st.none() | amounts,
    st.none() | seconds,
)
def test_ack_identity(
    job_id: int, status: int | None, credit: Decimal | None, meter_time: datetime | None
) -> None:
    text = wire_encode.encode_ack(
        job_id=job_id, status=status, credit=credit, meter_time=meter_time
    )
    assert wire.parse(text) == wire.JobAck(job_id, status, credit, meter_time)


@given(st.sampled_from(ALERT_CODES), addresses, st.none() | amounts, st.none() | watthours)
def test_alert_identity(
    code: str, cid: str, credit: Decimal | None, energy: Decimal | None
) -> None:
    text = wire_encode.encode_alert(
        code=code, cid=cid, meter="ml01", credit=credit, watthours=energy
    )
    assert wire.parse(text) == wire.Alert(code, cid, credit, energy)


@given(names)
def test_power_on_identity(name: str) -> None:
    assert wire.parse(wire_encode.encode_online(name)) == wire.PowerOn()
    assert wire.parse(wire_encode.encode_alert(code="online", meter=name)) == wire.PowerOn()


values = st.integers(-(10**8), 10**8).map(lambda n: Decimal(n).scaleb(-2))


@given(hours, st.lists(values, min_size=8, max_size=8), st.none() | values)
def test_pcu_identity(hour: datetime, eight: list[Decimal], temperature: Decimal | None) -> None:
    text = wire_encode.encode_pcu(meter_time=hour, values=[*eight, temperature])
    assert wire.parse(text) == wire.PcuLog(hour, (*eight, temperature))


@given(st.text("0123456789-: /TZ+%=", min_size=1, max_size=100).filter(lambda s: s == s.strip()))
def test_ping_identity(meter_time: str) -> None:
    assert wire.parse(wire_encode.encode_ping(meter_time)) == wire.GatewayPing(meter_time)


@given(seconds, st.text(max_size=100))
def test_ping_answer_identity(now: datetime, meter_time: str) -> None:
    answer = wire_encode.ping_answer(now, meter_time)
    assert wire_encode.parse_ping_answer(answer) == PingAnswer(now, meter_time)


def test_ping_answer() -> None:
    assert wire_encode.ping_answer(datetime(2011, 9, 7, 1, 2, 3), "2011-09-07 12:34:56") == (
        "(ack&gateway-time=2011-09-07-01:02:03&meter-time=2011-09-07 12:34:56)"
    )


jobs = st.one_of(
    st.builds(MeterJob, st.just("mping"), st.integers(0, 2**31 - 1)),
    st.builds(
        MeterJob,
        st.sampled_from(["turn_on", "turn_off", "cping"]),
        st.integers(0, 2**31 - 1),
        addresses,
    ),
    st.builds(
        MeterJob,
        st.just("add_credit"),
        st.integers(0, 2**31 - 1),
        addresses,
        st.integers(1, 10**16 - 1).map(lambda n: Decimal(n).scaleb(-2)),
    ),
)


@given(jobs)
def test_job_identity(job: MeterJob) -> None:
    text = wire_encode.encode_job(kind=job.kind, job_id=job.job_id, cid=job.cid, amount=job.amount)
    assert wire_encode.parse_job(text) == job


@pytest.mark.parametrize(
    ("kind", "cid", "amount", "text"),
    [
        ("add_credit", "192.168.1.201", "500", "(job=cr&jobid=7&cid=192.168.1.201&amt=500.0)"),
        ("add_credit", "192.168.1.201", "20.50", "(job=cr&jobid=7&cid=192.168.1.201&amt=20.5)"),
        ("add_credit", "192.168.1.201", "0.05", "(job=cr&jobid=7&cid=192.168.1.201&amt=0.05)"),
        ("turn_on", "192.168.1.201", None, "(job=con&jobid=7&cid=192.168.1.201)"),
        ("turn_off", "192.168.1.201", None, "(job=coff&jobid=7&cid=192.168.1.201)"),
        ("cping", "192.168.1.201", None, "(job=cping&jobid=7&cid=192.168.1.201)"),
        ("mping", None, None, "(job=mping&jobid=7)"),
    ],
)
def test_job_text(kind: str, cid: str | None, amount: str | None, text: str) -> None:
    number = None if amount is None else Decimal(amount)
    assert wire_encode.encode_job(kind=kind, job_id=7, cid=cid, amount=number) == text


@pytest.mark.parametrize(
    ("kind", "cid", "amount"),
    [
        ("explode", "192.168.1.201", None),
        ("turn_on", None, None),
        ("mping", "192.168.1.200", None),
        ("add_credit", "192.168.1.201", None),
        ("turn_on", "192.168.1.201", Decimal(1)),
        ("add_credit", "192.168.1.201", Decimal(0)),
        ("add_credit", "192.168.1.201", Decimal("0.001")),
    ],
)
def test_job_refused(kind: str, cid: str | None, amount: Decimal | None) -> None:
    with pytest.raises(ValueError, match=r"job|kind|amount"):
        wire_encode.encode_job(kind=kind, job_id=7, cid=cid, amount=amount)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "(job=cr&jobid=7&cid=192.168.1.201)",
        "(job=cr&jobid=7&cid=192.168.1.201&amt=0)",
        "(job=cr&jobid=7&cid=192.168.1.201&amt=nan)",
        "(job=con&jobid=7)",
        "(job=con&cid=192.168.1.201)",
        "(job=pp&jobid=7)",
    ],
)
def test_job_not_understood(text: str) -> None:
    assert isinstance(wire_encode.parse_job(text), MeterError)


@pytest.mark.parametrize(
    "write",
    [
        lambda: wire_encode.encode_online("ml 05"),
        lambda: wire_encode.encode_online(""),
        lambda: wire_encode.encode_online("(ml05"),
        lambda: wire_encode.encode_ping("a&b"),
        lambda: wire_encode.encode_ping("a)"),
        lambda: wire_encode.encode_alert(code="pp"),
        lambda: wire_encode.encode_pcu(meter_time=NOON, values=[Decimal(1)] * 8),
        lambda: wire_encode.encode_pcu(meter_time=NOON, values=[None] * 10),
        lambda: wire_encode.encode_pcu(
            meter_time=NOON.replace(microsecond=1), values=[Decimal(1)] * 9
        ),
        lambda: wire_encode.encode_ack(job_id=1, meter_time=NOON.replace(microsecond=1)),
    ],
)
def test_what_cannot_be_said_is_refused(write: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        write()  # type: ignore[operator]


@given(st.text())
def test_arbitrary_job_text_never_raises(text: str) -> None:
    wire_encode.parse_job(text)
    wire_encode.parse_ping_answer(text)
