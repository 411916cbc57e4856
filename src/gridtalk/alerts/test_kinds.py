"""The kinds of alerts: one sweep over all of them, and each rule by itself."""

from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured

from gridtalk.alerts.catalogue import ALERT_KINDS, Catalogue
from gridtalk.alerts.families import ALERTS
from gridtalk.alerts.kinds.base import AlertKind, Seen, Verdict
from gridtalk.alerts.kinds.low_credit import LowCreditKind
from gridtalk.alerts.models import LowCredit, NoCredit
from gridtalk.core.errors import UserError
from gridtalk.grid.models import Circuit
from gridtalk.messaging.models import Language
from gridtalk.messaging.segments import segments
from gridtalk.messaging.texts import render


def seen(
    credit: str | None = None,
    *,
    before: str | None = None,
    threshold: str = "0",
    status: int | None = None,
    reported: bool = True,
) -> Seen:
    return Seen(
        threshold=Decimal(threshold),
        credit_before=None if before is None else Decimal(before),
        credit=None if credit is None else Decimal(credit),
        status=status,
        reported=reported,
    )


@pytest.mark.parametrize("kind", ALERT_KINDS.kinds, ids=lambda kind: kind.model.KIND)
class TestEveryKind:
    def test_is_in_the_family_with_its_own_model(self, kind: AlertKind) -> None:
        assert ALERTS.model(kind.model.KIND) is kind.model
        assert ALERT_KINDS.kind_get(kind.model.KIND) is kind

    def test_says_in_its_docstring_what_raises_it(self, kind: AlertKind) -> None:
        assert "aised by" in (type(kind).__doc__ or "")

    def test_has_a_text_of_one_segment_in_every_language(self, kind: AlertKind) -> None:
        if not kind.text_key:
            return
        said = set()
        for lang in Language.values:
            text = render(lang, kind.text_key, account="23456789", credit="99999999.99")
            found = segments(text)
            assert (found.encoding, found.count) == ("gsm7", 1), text
            assert "23456789" in text
            said.add(text)
        assert len(said) == len(Language.values)

    def test_asks_for_a_circuit_or_takes_none(self, kind: AlertKind) -> None:
        circuit = Circuit(ip_address="192.168.1.201")
        for code in kind.codes or ("",):
            topic = kind.topic(code)
            assert len(topic) <= 32
            if kind.concerns_circuit(topic):
                assert kind.circuit_for(topic=topic, circuit=circuit) is circuit
                with pytest.raises(UserError, match="must name a circuit"):
                    kind.circuit_for(topic=topic, circuit=None)
            else:
                assert kind.circuit_for(topic=topic, circuit=circuit) is None

    def test_gives_all_columns_of_its_table_for_a_meters_code(self, kind: AlertKind) -> None:
        columns = {field.name for field in kind.model._meta.local_fields if not field.primary_key}
        for code in kind.codes:
            assert kind.child_fields(code).keys() == columns
            assert ALERT_KINDS.code_get(code) is kind

    def test_without_a_report_rule_costs_a_report_nothing(self, kind: AlertKind) -> None:
        has_rule = type(kind).after_report is not AlertKind.after_report
        assert has_rule == kind.follows_reports

    def test_a_report_that_touched_nothing_raises_nothing(self, kind: AlertKind) -> None:
        assert kind.after_report(seen(threshold="50")) is not Verdict.RAISE


def test_the_catalogue_and_the_family_hold_the_same_kinds() -> None:
    assert tuple(ALERT_KINDS.by_kind) == ALERTS.kinds


def test_the_meters_codes_are_those_of_the_protocol() -> None:
    codes = {code: kind.model.KIND for code, kind in ALERT_KINDS.by_code.items()}
    assert codes == {
        "lcw": "low_credit",
        "nocw": "no_credit",
        "pmax": "power_max",
        "emax": "energy_max",
        "online": "power_on",
        "md": "meter_fault",
        "ce": "meter_fault",
        "sdc": "meter_fault",
    }


def test_unknown_names_fail_loudly() -> None:
    with pytest.raises(ImproperlyConfigured, match="there is no alert “flood”"):
        ALERT_KINDS.kind_get("flood")
    with pytest.raises(UserError, match="“pp” is not an alert code; there are: pmax"):
        ALERT_KINDS.code_get("pp")


class _SameKind(AlertKind):
    model = LowCredit


class _SameCode(AlertKind):
    model = NoCredit
    codes = ("lcw",)


@pytest.mark.parametrize(
    ("other", "complaint"),
    [(_SameKind(), "kind “low_credit”"), (_SameCode(), "code “lcw”")],
    ids=["the same kind twice", "the same code twice"],
)
def test_a_duplicate_fails_loudly(other: AlertKind, complaint: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=complaint):
        Catalogue([LowCreditKind(), other])


RAISE, CLEAR, NOTHING = Verdict.RAISE, Verdict.CLEAR, Verdict.NOTHING


@pytest.mark.parametrize(
    ("kind", "label", "report", "verdict"),
    [
        ("low_credit", "below the threshold", seen("49.99", threshold="50"), RAISE),
        ("low_credit", "at the threshold", seen("50", threshold="50"), NOTHING),
        ("low_credit", "above the threshold", seen("50.01", threshold="50"), CLEAR),
        ("low_credit", "used up is not low", seen("0", threshold="50"), NOTHING),
        ("low_credit", "overdrawn is not low", seen("-1", threshold="50"), NOTHING),
        ("low_credit", "risen, yet below", seen("20", before="10", threshold="50"), RAISE),
        ("low_credit", "no threshold, falling", seen("9", before="10"), NOTHING),
        ("low_credit", "no threshold, the same", seen("10", before="10"), NOTHING),
        ("low_credit", "no threshold, risen", seen("10.01", before="10"), CLEAR),
        ("low_credit", "no threshold, risen to zero", seen("0", before="-5"), NOTHING),
        ("low_credit", "no threshold, nothing before", seen("10"), NOTHING),
        ("low_credit", "a report without credit", seen(status=1, threshold="50"), NOTHING),
        ("no_credit", "one cent", seen("0.01"), CLEAR),
        ("no_credit", "zero", seen("0"), RAISE),
        ("no_credit", "below zero", seen("-0.01"), RAISE),
        ("no_credit", "a report without credit", seen(status=1), NOTHING),
        ("power_max", "on", seen("5", status=1), CLEAR),
        ("power_max", "still off", seen("5", status=0), NOTHING),
        ("power_max", "an older report", seen(), NOTHING),
        ("energy_max", "on", seen("5", status=1), CLEAR),
        ("energy_max", "still off", seen("5", status=0), NOTHING),
        ("unresponsive_circuit", "a report", seen(), CLEAR),
        ("unresponsive_circuit", "an acknowledgement", seen("5", reported=False), NOTHING),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_report_means(kind: str, label: str, report: Seen, verdict: Verdict) -> None:
    assert ALERT_KINDS.kind_get(kind).after_report(report) is verdict
