"""What people do in the pages: jobs, credit, tokens, messages, meters, interfaces, users."""

import re
from decimal import Decimal

import pytest
from django.test import Client

from gridtalk.alerts.models import Alert
from gridtalk.core import clock
from gridtalk.core.secrets import key_matches
from gridtalk.grid.models import Account, Circuit, Meter
from gridtalk.jobs.models import AddCredit, Job, TurnOn
from gridtalk.messaging.models import CommunicationInterface, KannelInterface, OutgoingMessage
from gridtalk.prepaid.models import Token, TokenBatch
from gridtalk.testing_village import PASSWORD, Village
from gridtalk.users.models import ApiKey, AuditEntry, Group, User
from gridtalk.users.services import api_key_find


def audited() -> tuple[str, str]:
    entry = AuditEntry.objects.exclude(action="once").order_by("-pk")[0]
    return entry.action, entry.reason


def shown_once(page: str) -> str:
    found = re.findall(r'<span class="number">([^<]+)</span>', page)
    assert found
    return found[-1]


def test_a_circuit_is_turned_on(village: Village, admin: Client) -> None:
    answer = admin.post(f"/circuits/{village.circuit.pk}/job", {"kind": "turn_on"})
    job = TurnOn.objects.get()
    assert answer["Location"] == f"/jobs/{job.pk}"
    assert (job.circuit, job.requested_by_user) == (village.circuit, village.admin)
    assert audited()[0] == "job_turn_on"


@pytest.mark.parametrize("kind", ["", "add_credit", "mping", "delete_everything"])
def test_no_other_kind_of_job_can_be_slipped_in(village: Village, admin: Client, kind: str) -> None:
    before = Job.objects.count()
    answer = admin.post(f"/circuits/{village.circuit.pk}/job", {"kind": kind})
    assert answer.status_code == 400
    assert Job.objects.count() == before


def test_credit_pressed_twice_is_added_once(village: Village, admin: Client) -> None:
    form = {"amount": "75.5", "reason": "voucher torn", "once": "key-of-this-page"}
    first = admin.post(f"/circuits/{village.circuit.pk}/credit", form)
    second = admin.post(f"/circuits/{village.circuit.pk}/credit", form)
    assert first["Location"] == second["Location"]
    job = AddCredit.objects.get(credit=Decimal("75.5"))
    assert job.note == "voucher torn"
    assert audited() == ("credit_add", "voucher torn")
    assert "nothing was added a second time" in admin.get(second["Location"]).content.decode()


def test_the_same_key_for_another_credit_is_refused(village: Village, admin: Client) -> None:
    form = {"amount": "75", "reason": "a", "once": "key-of-this-page"}
    admin.post(f"/circuits/{village.circuit.pk}/credit", form)
    answer = admin.post(f"/circuits/{village.circuit.pk}/credit", form | {"amount": "80"})
    assert answer.status_code == 409
    assert not AddCredit.objects.filter(credit=80).exists()


@pytest.mark.parametrize(
    ("label", "form"),
    [
        ("no reason", {"amount": "10", "reason": " "}),
        ("a negative amount", {"amount": "-10", "reason": "x"}),
        ("nothing", {"amount": "0", "reason": "x"}),
        ("three decimals", {"amount": "1.005", "reason": "x"}),
        ("no number", {"amount": "ten", "reason": "x"}),
        ("NaN", {"amount": "NaN", "reason": "x"}),
    ],
)
def test_credit_is_refused_with(
    village: Village, admin: Client, label: str, form: dict[str, str]
) -> None:
    before = AddCredit.objects.count()
    answer = admin.post(f"/circuits/{village.circuit.pk}/credit", form | {"once": "k"})
    assert answer.status_code == 400
    assert "errorlist" in answer.content.decode()
    assert AddCredit.objects.count() == before


def test_unconfirmed_credit_is_sent_again_with_a_reason(village: Village, admin: Client) -> None:
    where = f"/jobs/{village.unconfirmed.pk}"
    assert admin.post(f"{where}/resend", {"resend-reason": ""}).status_code == 400
    assert admin.post(f"{where}/resend", {"resend-reason": "asked Fanta"}).status_code == 302
    assert Job.objects.get(pk=village.unconfirmed.pk).state == "queued"
    assert audited() == ("credit_resend", "asked Fanta")
    assert admin.post(f"{where}/resend", {"resend-reason": "again"}).status_code == 409


def test_unconfirmed_credit_is_confirmed_with_a_reason(village: Village, admin: Client) -> None:
    where = f"/jobs/{village.unconfirmed.pk}"
    assert "Confirm the credit" in admin.get(where).content.decode()
    assert admin.post(f"{where}/confirm", {"confirm-reason": ""}).status_code == 400
    assert admin.post(f"{where}/confirm", {"confirm-reason": "Fanta has it"}).status_code == 302
    assert Job.objects.get(pk=village.unconfirmed.pk).state == "done"
    assert audited() == ("credit_confirm", "Fanta has it")
    page = admin.get(where).content.decode()
    assert "Confirm the credit" not in page
    assert "Credit arrived at the meter" in page
    assert admin.post(f"{where}/confirm", {"confirm-reason": "again"}).status_code == 409


def test_who_may_only_see_is_offered_no_action(village: Village, viewer: Client) -> None:
    page = viewer.get(f"/jobs/{village.unconfirmed.pk}").content.decode()
    assert "Confirm the credit" not in page
    assert "Send the credit again" not in page
    page = viewer.get(f"/meters/{village.meter.pk}").content.decode()
    assert "circuits/add" not in page


def test_unconfirmed_credit_is_reversed_and_the_new_token_shown_once(
    village: Village, admin: Client
) -> None:
    where = f"/jobs/{village.unconfirmed.pk}"
    assert admin.post(f"{where}/reverse", {"reverse-reason": " "}).status_code == 400
    answer = admin.post(
        f"{where}/reverse", {"reverse-reason": "never arrived", "reverse-new_token": "on"}
    )
    number = shown_once(answer.content.decode())
    token = Token.objects.get(number=number)
    assert (token.state, token.value) == ("new", village.unconfirmed.credit)
    assert number not in admin.get(where).content.decode()
    assert number not in admin.get("/audit").content.decode()
    assert Job.objects.get(pk=village.unconfirmed.pk).state == "cancelled"


def test_a_waiting_switch_is_taken_back(village: Village, admin: Client) -> None:
    assert admin.post(f"/jobs/{village.switch_job.pk}/cancel").status_code == 302
    assert Job.objects.get(pk=village.switch_job.pk).state == "cancelled"
    assert admin.post("/jobs/999999/cancel").status_code == 404


def test_tokens_are_made_once_and_exported_with_a_trace(village: Village, admin: Client) -> None:
    form = {"count": "7", "value": "250", "note": "April", "once": "k"}
    where = admin.post("/tokens/add", form)["Location"]
    assert admin.post("/tokens/add", form)["Location"] == where
    batch = TokenBatch.objects.get(note="April")
    assert batch.tokens.count() == 7
    answer = admin.post(f"{where}/export")
    lines = b"".join(answer).decode().splitlines()
    assert lines[0] == "number,value,state"
    assert len(lines) == 8
    assert lines[1] == f"{batch.tokens.order_by('pk')[0].number},250.00,new"
    assert audited()[0] == "token_batch_export"
    page = admin.get(where).content.decode()
    assert all(token.number not in page for token in batch.tokens.all())


def test_a_token_is_made_void(village: Village, admin: Client) -> None:
    token = Token.objects.filter(state="new")[0]
    where = f"/tokens/{village.batch.pk}/void"
    form = {"number": token.number, "reason": "lost voucher"}
    assert admin.post(where, form | {"number": "00000000000"}).status_code == 400
    assert admin.post(where, form | {"reason": ""}).status_code == 400
    assert admin.post(where, form).status_code == 302
    token.refresh_from_db()
    assert token.state == "void"
    assert admin.post(where, form).status_code == 409


def test_an_alert_is_seen(village: Village, admin: Client) -> None:
    admin.post(f"/alerts/{village.alert_id}/seen")
    assert Alert.objects.get(pk=village.alert_id).acknowledged_by == village.admin


def test_a_text_is_sent_once(village: Village, admin: Client) -> None:
    form = {
        "number": "76 11 22 33",
        "communication_interface": village.interface.pk,
        "text": "Bonjour",
        "once": "k",
    }
    admin.post("/messages/send", form)
    admin.post("/messages/send", form)
    assert OutgoingMessage.objects.get(text="Bonjour").number == "+22376112233"
    assert admin.post("/messages/send", form | {"number": "abc"}).status_code == 400


METER = {
    "name": "ml06",
    "phone": "70009999",
    "time_zone": "Africa/Bamako",
    "circuits": "4",
    "lang": "fr",
    "energy_max": "300",
    "power_max": "60",
    "low_credit_threshold": "20",
}


def test_a_meter_is_made_with_circuits_accounts_and_pins(village: Village, admin: Client) -> None:
    form = METER | {"communication_interface": village.interface.pk, "location": "Tiebani"}
    answer = admin.post("/meters/add", form)
    meter = Meter.objects.get(name="ml06")
    assert answer["Location"] == f"/meters/{meter.pk}"
    assert (meter.phone, meter.location) == ("+22370009999", "Tiebani")
    circuits = Circuit.objects.filter(meter=meter, is_main=False)
    assert circuits.count() == 4
    assert {c.account.lang for c in circuits if c.account} == {"fr"}
    assert {c.power_max for c in circuits} == {60}
    page = admin.get(answer["Location"]).content.decode()
    assert all(c.pin in page for c in circuits)


@pytest.mark.parametrize(
    ("label", "change", "says"),
    [
        ("a name that is taken", {"name": "ml05"}, "has this name already"),
        ("a phone that is taken", {"phone": "+22370008888"}, "has this phone"),
        ("a phone that is none", {"phone": "hello"}, "is not a phone number"),
        ("too many circuits", {"circuits": "100"}, "99"),
        ("no zone", {"time_zone": "Mars/Olympus"}, "errorlist"),
    ],
)
def test_a_meter_is_refused_with(
    village: Village, admin: Client, label: str, change: dict[str, str], says: str
) -> None:
    form = METER | {"communication_interface": village.interface.pk} | change
    answer = admin.post("/meters/add", form)
    assert answer.status_code == 400
    assert says in answer.content.decode()
    assert Meter.objects.count() == 1


def _circuit_form(**more: str) -> dict[str, str]:
    return {
        "name": "Awa", "phone": "76 00 00 02", "lang": "fr", "power_max": "60",
        "energy_max": "300", "number": "", "pin": "", **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("label", "more", "address", "pin"),
    [
        ("the next free address", {}, "192.168.1.204", r"[2-9]{8}"),
        ("an address of one's own", {"number": "17"}, "192.168.1.217", r"[2-9]{8}"),
        ("an old account number", {"pin": "abc123"}, "192.168.1.204", "abc123"),
    ],
)
def test_a_circuit_is_added_at(
    village: Village, admin: Client, label: str, more: dict[str, str], address: str, pin: str
) -> None:
    where = f"/meters/{village.meter.pk}/circuits/add"
    answer = admin.post(where, _circuit_form(**more))
    made = Circuit.objects.select_related("account").get(meter=village.meter, ip_address=address)
    assert answer["Location"] == f"/circuits/{made.pk}"
    assert re.fullmatch(pin, made.pin)
    assert (made.power_max, made.energy_max) == (60, 300)
    assert made.account is not None
    assert (made.account.name, made.account.phone, made.account.lang) == (
        "Awa",
        "+22376000002",
        "fr",
    )
    assert audited()[0] == "circuit_create"
    assert made.pin in admin.get(answer["Location"]).content.decode()


@pytest.mark.parametrize(
    ("label", "more", "says"),
    [
        ("an address that is taken", {"number": "2"}, "has a circuit at 192.168.1.202 already"),
        ("an account number that is taken", {"pin": "TAKEN"}, "belongs to another circuit"),
        ("an account number nobody could text", {"pin": "12 34"}, "letters and digits"),
        ("no customer", {"name": ""}, "errorlist"),
        ("a phone that is none", {"phone": "hello"}, "is not a phone number"),
        ("the hundredth circuit", {"number": "100"}, "99"),
    ],
)
def test_a_circuit_is_refused_with(
    village: Village, admin: Client, label: str, more: dict[str, str], says: str
) -> None:
    before = (Circuit.objects.count(), Account.objects.count())
    more = {key: village.circuit.pin if value == "TAKEN" else value for key, value in more.items()}
    answer = admin.post(f"/meters/{village.meter.pk}/circuits/add", _circuit_form(**more))
    assert answer.status_code == 400
    assert says in answer.content.decode()
    assert (Circuit.objects.count(), Account.objects.count()) == before


def test_a_retired_meter_gets_no_circuit(village: Village, admin: Client) -> None:
    Meter.objects.filter(pk=village.meter.pk).update(retired_at=clock.now())
    answer = admin.post(f"/meters/{village.meter.pk}/circuits/add", _circuit_form())
    assert answer.status_code == 400
    assert "circuits/add" not in admin.get(f"/meters/{village.meter.pk}").content.decode()


def test_the_only_interface_is_chosen_already(village: Village, admin: Client) -> None:
    chosen = f'<option value="{village.interface.pk}" selected>'
    for where in ("/meters/add", "/messages/send"):
        assert chosen in admin.get(where).content.decode()
    KannelInterface.objects.create(name="Moov", host="127.0.0.1", username="u", password="p")
    for where in ("/meters/add", "/messages/send"):
        text = admin.get(where).content.decode()
        assert chosen not in text
        assert '<option value="" selected>choose</option>' in text, "nobody chose the first"


def test_a_customer_is_changed(village: Village, admin: Client) -> None:
    where = f"/circuits/{village.circuit.pk}/account"
    form = {"name": "Awa", "phone": "76 00 00 02", "lang": "fr", "notes": "", "secondary_phone": ""}
    assert admin.post(where, form | {"phone": "xyz"}).status_code == 400
    assert admin.post(where, form).status_code == 302
    village.circuit.refresh_from_db()
    account = village.circuit.account
    assert account is not None
    assert (account.name, account.phone, account.lang) == ("Awa", "+22376000002", "fr")
    assert audited()[0] == "account_edit"


def test_an_interface_is_made_and_its_key_shown_once(village: Village, admin: Client) -> None:
    form = {
        "name": "Moov", "provider": "Moov Africa", "region": "ml", "lang": "fr", "phone": "",
        "host": "10.1.2.3", "port": "13013", "username": "gw", "password": "very secret",
    }  # fmt: skip
    page = admin.post("/interfaces/add/kannel", form).content.decode()
    made = KannelInterface.objects.get(name="Moov")
    assert (made.region, made.password) == ("ML", "very secret")
    key = shown_once(page)
    assert key_matches(key, made.inbound_key_hash)
    assert "very secret" not in page
    assert key not in admin.get("/interfaces").content.decode()
    assert admin.post("/interfaces/add/kannel", form).status_code == 400
    assert admin.get("/interfaces/add/nothing").status_code == 404
    newer = shown_once(admin.post(f"/interfaces/{made.pk}/key").content.decode())
    made.refresh_from_db()
    assert key_matches(newer, made.inbound_key_hash)
    assert not key_matches(key, made.inbound_key_hash)


def test_an_interface_is_stopped_and_started(village: Village, admin: Client) -> None:
    for active in (False, True):
        admin.post(
            f"/interfaces/{village.interface.pk}/activity", {"active": "yes" if active else "no"}
        )
        assert CommunicationInterface.objects.get(pk=village.interface.pk).active is active


def test_a_user_is_added_with_a_password_shown_once(village: Village, admin: Client) -> None:
    group = Group.objects.get(name="view")
    page = admin.post("/users/add", {"name": "salif", "group": group.pk, "email": ""})
    password = shown_once(page.content.decode())
    assert page["Cache-Control"] == "private, no-store"
    assert Client().post("/sign-in", {"username": "salif", "password": password}).status_code == 302
    answer = admin.post("/users/add", {"name": "salif", "group": group.pk})
    assert answer.status_code == 400
    user = User.objects.get(name="salif")
    newer = shown_once(admin.post(f"/users/{user.pk}/password").content.decode())
    assert newer != password
    user.refresh_from_db()
    assert user.check_password(newer)
    assert all(password not in str(entry.data) for entry in AuditEntry.objects.all())


def test_the_last_administrator_stays(village: Village, admin: Client) -> None:
    view = Group.objects.get(name="view")
    me = village.admin
    assert admin.post(f"/users/{me.pk}/activity", {"active": "no"}).status_code == 409
    assert admin.post(f"/users/{me.pk}/group", {"group": view.pk}).status_code == 409
    permissions = {"permissions": ["view", "money"]}
    assert admin.post(f"/groups/{me.group_id}", permissions).status_code == 409
    me.refresh_from_db()
    assert me.may("users")
    admin.post(f"/users/{village.viewer.pk}/group", {"group": me.group_id})
    assert admin.post(f"/users/{me.pk}/activity", {"active": "no"}).status_code == 302
    assert admin.get("/").status_code == 302


def test_a_group_of_ones_own(village: Village, admin: Client) -> None:
    assert admin.post("/groups/add", {"name": "sellers", "permissions": ["view", "money"]}).url
    assert admin.post("/groups/add", {"name": "Sellers", "permissions": []}).status_code == 400
    group = Group.objects.get(name="sellers")
    assert group.permissions == ["view", "money"]
    admin.post(f"/users/{village.viewer.pk}/group", {"group": group.pk})
    client = Client()
    client.post("/sign-in", {"username": "viktor", "password": PASSWORD})
    assert client.get("/tokens/add").status_code == 200
    assert client.get("/meters/add").status_code == 403


def test_an_api_key_is_made_and_ended(village: Village, admin: Client) -> None:
    where = f"/users/{village.viewer.pk}"
    key = shown_once(admin.post(f"{where}/keys", {"name": "billing"}).content.decode())
    assert api_key_find(key) == village.viewer
    assert key not in admin.get(where).content.decode()
    admin.post(f"/keys/{ApiKey.objects.get().pk}/end")
    assert api_key_find(key) is None
