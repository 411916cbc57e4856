"""The JSON API: keys, permissions, errors, pages, and requests that come twice."""

from typing import Any

import pytest
from django.test import Client

from gridtalk.jobs.models import AddCredit, Job
from gridtalk.prepaid.models import TokenBatch
from gridtalk.testing_village import Village, village_make
from gridtalk.users.models import ApiKey, AuditEntry, User
from gridtalk.users.services import api_key_create, api_key_revoke


@pytest.fixture
def village(db: None) -> Village:
    return village_make()


class Program:
    """A program with a key."""

    def __init__(self, user: User) -> None:
        self.row, self.key = api_key_create(name="test", user=user)
        self.client = Client(headers={"authorization": f"Bearer {self.key}"})

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"/api/{path}", query)

    def post(self, path: str, body: Any, once: str | None = None) -> Any:
        headers = {} if once is None else {"Idempotency-Key": once}
        return self.client.post(
            f"/api/{path}", body, content_type="application/json", headers=headers
        )


@pytest.fixture
def admin(village: Village) -> Program:
    return Program(village.admin)


@pytest.fixture
def viewer(village: Village) -> Program:
    return Program(village.viewer)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic YTpi", "Bearer \u00e9"])
def test_without_a_key_nothing_opens(village: Village, header: str) -> None:
    client = Client(headers={"authorization": header} if header else {})
    answer = client.get("/api/meters")
    assert answer.status_code == 401
    assert "Authorization: Bearer KEY" in answer.json()["error"]
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_session_does_not_open_the_api(village: Village) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(village.admin, backend="gridtalk.users.backends.NameBackend")
    assert client.get("/api/meters").status_code == 401
    assert client.post("/api/jobs", {}, content_type="application/json").status_code == 401


def test_a_revoked_key_and_a_deactivated_user_open_nothing(
    admin: Program, viewer: Program, village: Village
) -> None:
    api_key_revoke(api_key=admin.row)
    assert admin.get("meters").status_code == 401
    User.objects.filter(pk=village.viewer.pk).update(is_active=False)
    assert viewer.get("meters").status_code == 401


def test_a_key_is_noted_when_used_and_stored_as_a_hash(admin: Program) -> None:
    admin.get("meters")
    row = ApiKey.objects.get(pk=admin.row.pk)
    assert row.last_used_at is not None
    assert admin.key not in row.key_hash


def test_meters_and_circuits(village: Village, viewer: Program) -> None:
    (meter,) = viewer.get("meters").json()["items"]
    assert (meter["id"], meter["name"], meter["phone"]) == (
        village.meter.pk,
        "ml05",
        "+22370008888",
    )
    assert meter["last_reported_at"]
    circuits = viewer.get("circuits", meter=meter["id"]).json()["items"]
    assert len(circuits) == 4
    (circuit,) = viewer.get("circuits", pin=village.circuit.pin).json()["items"]
    assert circuit == viewer.get(f"circuits/{village.circuit.pk}").json()
    assert circuit["credit"] == "1234.50"
    assert circuit["account"]["phone"] == "+22376000001"
    assert viewer.get(f"meters/{meter['id']}").json() == meter


def test_pages_give_every_row_once(village: Village, viewer: Program) -> None:
    for path, step in (("circuits", "after"), ("jobs", "before"), ("messages", "before")):
        seen: list[int] = []
        query: dict[str, int] = {}
        while True:
            page = viewer.get(path, limit=1, **query).json()
            seen += [item["id"] for item in page["items"]]
            if page[f"next_{step}"] is None:
                break
            query = {step: page[f"next_{step}"]}
        assert len(seen) == len(set(seen)) >= 3, path
        assert seen == sorted(seen, reverse=step == "before")


def test_messages_are_filtered(village: Village, viewer: Program) -> None:
    found = viewer.get("messages", number="+22376000001", kind="incoming").json()["items"]
    assert [item["id"] for item in found] == [village.incoming.pk]
    assert viewer.get(f"messages/{village.answer.pk}").json()["text"] == "Credit added."
    assert viewer.get("messages", state="failed").json()["items"] == []


def test_jobs_are_read(village: Village, viewer: Program) -> None:
    job = viewer.get(f"jobs/{village.unconfirmed.pk}").json()
    assert (job["kind"], job["state"], job["amount"]) == ("add_credit", "unconfirmed", "20.00")
    found = viewer.get("jobs", state="unconfirmed").json()["items"]
    assert [item["id"] for item in found] == [job["id"]]
    assert viewer.get("jobs", kind="turn_off").json()["items"][0]["amount"] is None
    of_meter = viewer.get("jobs", meter=village.circuit.meter_id).json()["items"]
    assert [job["id"] for job in of_meter] == list(
        Job.objects.filter(circuit__meter=village.circuit.meter_id)
        .order_by("-pk")
        .values_list("pk", flat=True)
    )
    assert viewer.get("jobs", meter=0).json()["items"] == []


def test_a_job_is_asked_for_by_a_program(village: Village, admin: Program) -> None:
    answer = admin.post("jobs", {"kind": "cping", "circuit": village.circuit.pk})
    assert answer.status_code == 201
    job = Job.objects.get(pk=answer.json()["id"])
    assert (job.kind, job.requested_by, job.requested_by_user) == ("cping", "api", village.admin)


def test_credit_repeated_after_a_time_out_is_given_once(village: Village, admin: Program) -> None:
    body = {"kind": "add_credit", "circuit": village.circuit.pk, "amount": "33", "reason": "sold"}
    first = admin.post("jobs", body, once="order-17")
    second = admin.post("jobs", body, once="order-17")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert AddCredit.objects.get(credit=33).requested_by == "api"
    other = admin.post("jobs", body | {"amount": "34"}, once="order-17")
    assert other.status_code == 409
    assert admin.post("jobs", body, once="order-18").json()["id"] != first.json()["id"]


@pytest.mark.parametrize(
    ("label", "body", "status", "says"),
    [
        ("no key for credit", {"kind": "add_credit", "amount": "5", "reason": "x"}, 400, "Idempot"),
        ("an unknown kind", {"kind": "explode"}, 400, "explode"),
        ("no circuit", {"kind": "cping", "circuit": 999999}, 404, "999999"),
        ("no kind", {}, 400, "kind"),
        ("text for a circuit", {"kind": "cping", "circuit": "x"}, 400, "circuit"),
    ],
)
def test_a_job_is_refused_with(
    village: Village, admin: Program, label: str, body: dict[str, Any], status: int, says: str
) -> None:
    before = Job.objects.count()
    answer = admin.post("jobs", {"circuit": village.circuit.pk} | body)
    assert answer.status_code == status
    assert says in answer.json()["error"]
    assert Job.objects.count() == before


@pytest.mark.parametrize("change", [{"amount": "-5"}, {"amount": None}, {"reason": " "},
                                    {"amount": "1.005"}, {"amount": "NaN"}])  # fmt: skip
def test_credit_that_will_not_do(village: Village, admin: Program, change: dict[str, Any]) -> None:
    body = {"kind": "add_credit", "circuit": village.circuit.pk, "amount": "5", "reason": "x"}
    answer = admin.post("jobs", body | change, once="k")
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert admin.post("jobs", body, once="k").status_code == 201, "the key is still unused"


def test_the_view_group_changes_nothing(village: Village, viewer: Program) -> None:
    before = Job.objects.count(), TokenBatch.objects.count()
    tries = [
        ("jobs", {"kind": "cping", "circuit": village.circuit.pk}),
        ("jobs", {"kind": "add_credit", "circuit": village.circuit.pk, "amount": "5"}),
        ("token-batches", {"count": 1, "value": "5"}),
        (f"token-batches/{village.batch.pk}/export", {}),
    ]
    for path, body in tries:
        answer = viewer.post(path, body, once="k")
        assert answer.status_code == 403, path
        assert "Your group “view” may not" in answer.json()["error"]
    assert (Job.objects.count(), TokenBatch.objects.count()) == before


def test_tokens_are_made_once_and_exported_with_a_trace(village: Village, admin: Program) -> None:
    body = {"count": 3, "value": "100", "note": "May"}
    assert admin.post("token-batches", body).status_code == 400
    first = admin.post("token-batches", body, once="may")
    assert first.status_code == 201
    assert admin.post("token-batches", body, once="may").json() == first.json()
    made = first.json()
    assert made["states"] == [{"state": "new", "number": 3, "worth": "300.00"}]
    assert TokenBatch.objects.filter(note="May").count() == 1
    lines = b"".join(admin.post(f"token-batches/{made['id']}/export", {})).decode().splitlines()
    assert len(lines) == 4
    assert AuditEntry.objects.filter(action="token_batch_export").count() == 1
    assert admin.get("token-batches").json()["items"][0] == made
    assert admin.get(f"token-batches/{made['id']}").json() == made


@pytest.mark.parametrize("path", ["meters/9999", "circuits/9999", "messages/9", "jobs/99999",
                                  "token-batches/9999"])  # fmt: skip
def test_what_is_not_there(admin: Program, path: str) -> None:
    answer = admin.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"].startswith("there is no ")


@pytest.mark.parametrize("limit", ["0", "201", "x"])
def test_a_page_has_a_bound(admin: Program, limit: str) -> None:
    answer = admin.get("meters", limit=limit)
    assert answer.status_code == 400
    assert "limit" in answer.json()["error"]


def test_a_body_that_is_no_json(admin: Program) -> None:
    answer = admin.client.post("/api/jobs", "{", content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_the_description_is_for_who_is_signed_in_and_for_programs(
    village: Village, admin: Program
) -> None:
    client = Client()
    assert client.get("/api/openapi.json").status_code == 401
    assert "/api/jobs" in admin.get("openapi.json").json()["paths"]
    assert client.get("/api/docs").status_code == 302
    client.force_login(village.viewer, backend="gridtalk.users.backends.NameBackend")
    paths = client.get("/api/openapi.json").json()["paths"]
    assert "post" in paths["/api/jobs"]
    page = client.get("/api/docs").content.decode()
    assert "POST /api/jobs" in page
    assert "<script>" not in page  # files of our own alone
    assert "//" not in page.split("<main")[1].replace("http://", "")


def test_health_says_how_old_the_queues_are(village: Village) -> None:
    answer = Client().get("/healthz")
    assert answer.status_code == 200
    health = answer.json()
    assert (health["status"], health["database"]) == ("ok", "ok")
    assert health["oldest_unhandled_s"] == 0
    assert health["oldest_due_s"] >= 0
    assert not {"ml05", "amina"} & set(str(health).split())


def test_health_without_a_database(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    from django.db import OperationalError

    def away() -> None:
        raise OperationalError("host db.internal: connection refused")

    with monkeypatch.context() as patched:
        patched.setattr("gridtalk.api.health.connection.cursor", away)
        answer = Client().get("/healthz")
    assert answer.status_code == 503
    assert "internal" not in answer.content.decode()
