"""The meters' grammar: labelled tables and properties."""

# Meters' times are naive, and foreign digits are what is tested.
# ruff: noqa: DTZ001, RUF001

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from gridtalk.gateway.meter import wire, wire_encode
from gridtalk.gateway.meter.wire import (
    Alert,
    GatewayPing,
    JobAck,
    Limits,
    MeterError,
    PcuLog,
    PowerOn,
    PrimaryLogs,
    Reading,
)

PP = "(job=pp&cid=192.168.1.201&wh=10.00&tu=12&ts=2011010719&cr=20.10&status=1)"
GOOD = "1,RS,1C,2M0"
NOON = datetime(2012, 8, 31, 12)
GOOD_READING = Reading(
    "192.168.1.201", NOON, 1, Decimal(1000), Decimal("4.8"), Decimal("33.84"), mains=False
)


def pp(**changes: str | None) -> str:
    """PP with some values changed, or left out where null."""
    pairs = wire.fields(PP) | changes
    return f"({'&'.join(f'{key}={value}' for key, value in pairs.items() if value is not None)})"


def one(text: str) -> Reading:
    message = wire.parse(text)
    assert isinstance(message, PrimaryLogs), message
    (reading,) = message.entries
    assert not message.errors
    return reading


def reason(text: str) -> str:
    message = wire.parse(text)
    assert isinstance(message, MeterError), message
    return message.reason


def captured() -> list[str]:
    lines = Path(__file__).with_name("fixtures").joinpath("captured_2012.txt").read_text()
    return [line for line in lines.splitlines() if line and not line.startswith("#")]


def test_captured_lines_of_2012() -> None:
    alert, logs = (wire.parse(text) for text in captured())
    assert alert == Alert("ce", "192.168.1.208")
    assert isinstance(logs, PrimaryLogs)
    assert not logs.errors
    assert [reading.cid[-3:] for reading in logs.entries] == ["214", "215", "216", "217"]
    assert logs.entries[0] == Reading(
        "192.168.1.214", NOON, 1, Decimal(4122), Decimal("1069.6"), Decimal("1789.90"), mains=False
    )


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        pytest.param({"ts": "11010719"}, "meter_time", datetime(2011, 1, 7, 19), id="8 digits"),
        pytest.param({"ts": "09010719"}, "meter_time", datetime(2009, 1, 7, 19), id="2009"),
        pytest.param({"ts": "2011010719"}, "meter_time", datetime(2011, 1, 7, 19), id="10 digits"),
        pytest.param(
            {"ts": "201101071923"}, "meter_time", datetime(2011, 1, 7, 19, 23), id="12 digits"
        ),
        pytest.param(
            {"ts": "110107192318"},
            "meter_time",
            datetime(2011, 1, 7, 19, 23, 18),
            id="12 digits without century",
        ),
        pytest.param(
            {"ts": "20110107192318"},
            "meter_time",
            datetime(2011, 1, 7, 19, 23, 18),
            id="14 digits",
        ),
        pytest.param({"wh": "0"}, "watthours", Decimal(0), id="wh zero"),
        pytest.param({"wh": "999999.9"}, "watthours", Decimal("999999.9"), id="wh largest"),
        pytest.param({"tu": "86400"}, "use_time_s", Decimal(86400), id="tu largest"),
        pytest.param({"tu": "12.12"}, "use_time_s", Decimal("12.12"), id="tu fraction"),
        pytest.param({"cr": "-3.5"}, "credit", Decimal("-3.5"), id="cr negative"),
        pytest.param({"cr": "146418"}, "credit", Decimal(146418), id="cr of the field"),
        pytest.param(
            {"cr": "99999999999999.99"}, "credit", Decimal("99999999999999.99"), id="cr largest"
        ),
        pytest.param({"cr": None}, "credit", None, id="cr missing"),
        pytest.param({"cr": ""}, "credit", None, id="cr empty"),
        pytest.param({"status": "0"}, "status", 0, id="status off"),
        pytest.param({"ct": "mains"}, "mains", True, id="ct mains"),
        pytest.param({"ct": "CIRCUIT"}, "mains", False, id="ct circuit"),
        pytest.param({"cid": "192.168.1.200"}, "mains", True, id="mains by address"),
        pytest.param({"cid": "192.168.1.299"}, "cid", "192.168.1.299", id="the highest address"),
    ],
)
def test_pp_value(changes: dict[str, str | None], field: str, value: object) -> None:
    assert getattr(one(pp(**changes)), field) == value


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PP[1:-1], id="no brackets"),
        pytest.param(PP[1:], id="opening bracket missing"),
        pytest.param(PP[:-1], id="closing bracket missing"),
        pytest.param(f"  {PP}\r\n", id="white space around"),
        pytest.param(PP.replace("&", "\n&"), id="line breaks between"),
        pytest.param(PP.upper(), id="upper case"),
        pytest.param(PP.replace(")", "&status=0&wh=99)"), id="first value wins"),
    ],
)
def test_pp_written_otherwise(text: str) -> None:
    assert wire.parse(text) == wire.parse(PP)


BAD_NUMBERS = ["nan", "NaN", "inf", "-inf", "1_0", "1e3", "١٢", "１２", "0x10", "1,5", "1 0", "--1"]


@pytest.mark.parametrize("number", BAD_NUMBERS)
@pytest.mark.parametrize("key", ["wh", "tu", "cr"])
def test_numbers_are_strict(key: str, number: str) -> None:
    assert reason(pp(**{key: number})) == (
        f"{key} is “{number}”; it must be a plain number such as 20.10"
    )


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        *(({key: None}, f"{key} is missing") for key in ("cid", "wh", "tu", "ts", "status")),
        *(({key: ""}, f"{key} is missing") for key in ("cid", "wh", "tu", "ts", "status")),
        ({"wh": "-1"}, "from 0 to 999999.9"),
        ({"wh": "1000000"}, "from 0 to 999999.9"),
        ({"tu": "86401"}, "from 0 to 86400"),
        ({"cr": "100000000000000"}, "cr is"),
        ({"cr": "9" * 5000}, "cr is “999"),
        ({"status": "2"}, "status is “2”"),
        ({"status": "01"}, "status is “01”"),
        ({"ts": "20110230"}, "not a date"),
        ({"ts": "2011022919"}, "not a date"),
        ({"ts": "2011010724"}, "not a date"),
        ({"ts": "20110107196018"}, "not a date"),
        ({"ts": "0001010719"}, "not a date"),
        ({"ts": "201101071"}, "ts is"),
        ({"ts": "2011-01-07"}, "ts is"),
        ({"ts": "٢٠١١٠١٠٧"}, "ts is"),
        ({"cid": "abc"}, "cid is"),
        ({"cid": "192.168.1"}, "cid is"),
        ({"ct": "ROOF"}, "ct is"),
        ({"job": "pq"}, "job is “pq”"),
        ({"job": None}, "job is missing"),
    ],
)
def test_pp_refused(changes: dict[str, str | None], part: str) -> None:
    assert part in reason(pp(**changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("(job=delete&jobid=1)", JobAck(1), id="ack, the least"),
        pytest.param(
            "(job=delete&jobid=1&status=1&cr=475.95&ts=2011010719&wh=1&tu=2&ct=CIRCUIT)",
            JobAck(1, 1, Decimal("475.95"), datetime(2011, 1, 7, 19)),
            id="ack, all",
        ),
        pytest.param("(job=delete&jobid=7&ts=soon)", JobAck(7), id="ack, a broken clock"),
        pytest.param("(job=delete&jobid=7&status=&cr=)", JobAck(7), id="ack, empty values"),
        pytest.param(
            "(JOB=Alerts&ALERT=LCW&CID=192.168.1.201)",
            Alert("lcw", "192.168.1.201"),
            id="alert in upper case",
        ),
        pytest.param(
            "(job=alert&alert=emax&cid=192.168.1.201&wh=12.5)",
            Alert("emax", "192.168.1.201", watthours=Decimal("12.5")),
            id="alert with energy",
        ),
        pytest.param("(job=alert&alert=md)", Alert("md"), id="md needs no cid"),
        pytest.param("(job=alert&alert=sdc)", Alert("sdc"), id="sdc needs no cid"),
        pytest.param("(job=alert&alert=online)", PowerOn(), id="online as an alert"),
        pytest.param("ml05 online", PowerOn(), id="online"),
        pytest.param("ml-05  Online since 12:00\n", PowerOn(), id="online with a tail"),
        pytest.param(
            "(pcu#2011062205#1,2,3,4,5,6,7,-8.5)",
            PcuLog(
                datetime(2011, 6, 22, 5),
                (*map(Decimal, (1, 2, 3, 4, 5, 6, 7)), Decimal("-8.5"), None),
            ),
            id="pcu of 8, long time",
        ),
        pytest.param(
            "(pcu#11062200#0,0,0,0,0,0,0,0,)",
            PcuLog(datetime(2011, 6, 22), (*[Decimal(0)] * 8, None)),
            id="pcu, empty temperature",
        ),
        pytest.param(
            "job=gateway-ping&meter-time=2011-09-07 12:34:56",
            GatewayPing("2011-09-07 12:34:56"),
            id="ping",
        ),
        pytest.param(
            "(job=Gateway-Ping&meter-time=7+9%202011T1)", GatewayPing("7+9%202011T1"), id="as sent"
        ),
    ],
)
def test_other_messages(text: str, message: wire.MeterMessage) -> None:
    assert wire.parse(text) == message
    assert wire.looks_like_meter(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "(job=delete&jobid=1&status=1&cr=5x0)",
            JobAck(1, 1, errors=("cr is “5x0”; it must be a plain number such as 20.10",)),
            id="ack, a credit that is none",
        ),
        pytest.param(
            "(job=delete&jobid=1&status=on&cr=500.00)",
            JobAck(1, None, Decimal(500), errors=("status is “on”; it must be 0 (off) or 1 (on)",)),
            id="ack, a status that is none",
        ),
        pytest.param(
            "(job=delete&jobid=1&status=9&cr=nan&ts=soon)",
            JobAck(
                1,
                errors=(
                    "status is “9”; it must be 0 (off) or 1 (on)",
                    "cr is “nan”; it must be a plain number such as 20.10",
                ),
            ),
            id="ack, all bad but the job",
        ),
        pytest.param(
            "(job=delete&jobid=1&cr=100000000000000)",
            JobAck(
                1,
                errors=(
                    f"cr is “{10**14}”; it must be from -99999999999999.99 to 99999999999999.99",
                ),
            ),
            id="ack, a credit beyond belief",
        ),
        pytest.param(
            "(job=alert&alert=nocw&cid=192.168.1.201&cr=x&wh=-1)",
            Alert(
                "nocw",
                "192.168.1.201",
                errors=(
                    "cr is “x”; it must be a plain number such as 20.10",
                    "wh is “-1”; it must be from 0 to 999999.9",
                ),
            ),
            id="alert, bad numbers",
        ),
        pytest.param(
            "(job=alert&alert=sdc&cid=x)",
            Alert("sdc", errors=("cid is “x”; it must be an address such as 192.168.1.201",)),
            id="alert, an address that it does not need",
        ),
    ],
)
def test_a_bad_value_that_is_not_needed_is_left_out_and_named(
    text: str, message: wire.MeterMessage
) -> None:
    assert wire.parse(text) == message


def test_the_longest_ping() -> None:
    assert wire.parse(f"(job=gateway-ping&meter-time={'9' * 100})") == GatewayPing("9" * 100)


@pytest.mark.parametrize("nn", ["0", "00"])
def test_circuit_zero_is_the_mains(nn: str) -> None:
    assert one(f"(l76ZE0##{nn},RS,1C,2M0)") == Reading(
        "192.168.1.200", NOON, 0, Decimal(1000), Decimal("4.8"), Decimal("33.84"), mains=True
    )


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "empty"),
        ("hello", "not a meter's message"),
        ("bal.234567", "not a meter's message"),
        ("(job=delete)", "jobid is missing"),
        ("(job=delete&jobid=1.5)", "jobid is"),
        ("(job=delete&jobid=-1)", "jobid is"),
        ("(job=delete&jobid=1x&cr=5x0)", "jobid is"),
        ("(job=delete&jobid=99999999999999999999)", "jobid is"),
        ("(job=alert&alert=zzz&cid=192.168.1.201)", "alert is “zzz”"),
        ("(job=alert&alert=lcw)", "cid is missing"),
        ("(job=alert&alert=lcw&cid=192.168.1&cr=x)", "cid is"),
        ("(job=alert&alert=ce&cid=x)", "cid is"),
        ("(job=gateway-ping)", "meter-time is missing"),
        (f"(job=gateway-ping&meter-time={'9' * 101})", "longer than 100"),
        ("(pcu#11062200#1,2,3,4,5,6,7)", "8 or 9 values; this has 7"),
        ("(pcu#11062200#1,2,3,4,5,6,7,8,9,10)", "8 or 9 values; this has 10"),
        ("(pcu#11062200#1,2,3,,5,6,7,8)", "value 4 is"),
        ("(pcu#11062200#1,2,3,4,5,6,7,8,warm)", "value 9 is"),
        ("(pcu#11063100#1,2,3,4,5,6,7,8)", "not a date"),
        ("(pcu#201106220015#1,2,3,4,5,6,7,8)", "not yymmddHH"),
        ("(pcu#11062200,1,2,3,4,5,6,7,8)", "two “#”"),
        ("(pcu#11062200#1,2,3,4,5,6,7,8", "closing bracket"),
        ("(L76ZE0#2S#)", "lower case"),
        ("(l76ZE0#2S", "closing bracket"),
        ("(l76ZE0#2S#) and more", "closing bracket"),
        ("(l76ZE0#2S)", "two “#”"),
        ("(l76ZE0#2S##)", "two “#”"),
        ("(l#2S#)", "the hour"),
        ("(l-76ZE0#2S#)", "the hour"),
        ("(l7_6ZE0#2S#)", "the hour"),
        ("(lZZZZZZ#2S#)", "yymmddHH"),
        ("(l75P0K#2S#)", "not a date"),
        (f"(l{wire_encode.wire_compressed.base36(12083124)}#2S#)", "not a date"),
    ],
)
def test_refused(text: str, part: str) -> None:
    assert part in reason(text)


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("1,RS,1C", "3 field(s)"),
        ("1,RS,,2M0", "wh is empty"),
        (",RS,1C,2M0", "circuit number is empty"),
        ("1,RS,1C,", "cr is empty"),
        ("2S,", "tu is empty"),
        ("-1,RS,1C,2M0", "circuit number is “-1”"),
        ("1,-RS,1C,2M0", "tu is “-RS”"),
        ("1,RS,+1C,2M0", "wh is “+1C”"),
        ("1,RS,1C,- 2M0", "cr is “- 2M0”"),
        ("1,RS,1C,--1", "cr is “--1”"),
        ("1,RS,1_C,2M0", "wh is “1_C”"),
        ("1,R S,1C,2M0", "tu is “R S”"),
        ("1,RS,1C,2.0", "cr is “2.0”"),
        ("1,RS,１,2M0", "wh is “１”"),
        ("2S,RS,1C,2M0", "circuit number is 100"),
        ("1,1UO1,1C,2M0", "tu is 86401 s"),
        ("1,RS,5YC1S,2M0", "wh is 1000000.0"),
        ("1,RS,1C,ZZZZZZZZZZZZ", "cr is beyond"),
        ("1,RS,1C,-ZZZZZZZZZZZZ", "cr is beyond"),
        (f"1,RS,1C,{'Z' * 5000}", "cr is “ZZZ"),
        ("5YC1S", "wh is 1000000.0"),
        ("2S,1UO1", "tu is 86401 s"),
    ],
)
def test_a_bad_entry_is_named_and_its_neighbours_kept(entry: str, part: str) -> None:
    message = wire.parse(f"(l76ZE0#2S;{entry};{GOOD}#)")
    assert isinstance(message, PrimaryLogs)
    assert [reading.cid for reading in message.entries] == ["192.168.1.200", "192.168.1.201"]
    (error,) = message.errors
    assert error.entry == 2
    assert part in error.reason


@pytest.mark.parametrize(
    "text",
    [
        f"(l76ZE0#{GOOD}#)",
        f"(l76ze0#{GOOD.lower()}#)",
        "\n( l 76ZE0 # 1 ,\nRS, 1C ,2M0\r\n # )  ",
        "(l76ZE0#1,RS,1C,+2M0#)",
        f"(l76ZE0#{GOOD},,?#)",
        "(l00076ZE0#01,0RS,01C,02M0#)",
    ],
)
def test_a_circuit_written_otherwise(text: str) -> None:
    assert wire.parse(text) == PrimaryLogs((GOOD_READING,))


def test_errors_are_counted_over_both_sections() -> None:
    message = wire.parse(f"(l76ZE0#2S;x.;{GOOD}#2,1;2S;{GOOD};)")
    assert isinstance(message, PrimaryLogs)
    assert [error.entry for error in message.errors] == [2, 4, 5, 7]
    assert [reading.status for reading in message.entries] == [1, 1, 0]


def test_a_frame_without_a_good_entry_is_still_logs() -> None:
    assert wire.parse("(l76ZE0##)") == PrimaryLogs(())
    message = wire.parse("(l76ZE0#1,2,3#)")
    assert isinstance(message, PrimaryLogs)
    assert not message.entries
    assert len(message.errors) == 1


def test_limits_are_parameters() -> None:
    limits = Limits(use_time_s=10, watthours=Decimal("1.5"), credit=Decimal("2.00"))
    message = wire.parse("(l76ZE0#F,A;1,A,F,5K;1,B,F,5K;1,A,G,5K;1,A,F,5L#)", limits)
    assert isinstance(message, PrimaryLogs)
    assert len(message.entries) == 2
    assert [error.entry for error in message.errors] == [3, 4, 5]
    assert isinstance(wire.parse(pp(tu="11"), limits), MeterError)


@pytest.mark.parametrize(
    ("text", "is_meter"),
    [
        (PP, True),
        (PP[1:-1], True),
        (PP[:30], True),
        ("(l76ZE0#2S;1,RS", True),
        ("(L76ZE0#2S#)", True),
        ("(pcu#1106", True),
        ("(jb=alert&mid=ml01)", True),
        ("ml05 online", True),
        ("online", False),
        ("(hello", False),
        ("(l", False),
        ("(lang.234567.fr)", False),
        ("bal.234567", False),
        ("*2*234567#", False),
        ("price = 3?", False),
        ("", False),
        ("(", False),
    ],
)
def test_looks_like_meter(text: str, is_meter: bool) -> None:
    assert wire.looks_like_meter(text) is is_meter
