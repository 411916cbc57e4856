"""The workshop's calls, and strangers, other users, wrong and hostile input."""

from typing import Any
from uuid import uuid4

import pytest

from gridtalk.api.root import api
from gridtalk.api.tests.workshop import DOCUMENT, Caller, Workshop, counts
from gridtalk.devicetalk import models
from gridtalk.devicetalk.testing import library_of
from gridtalk.files.services import file_put
from gridtalk.users.models import Permission

pytestmark = pytest.mark.django_db

TYPE = {"type": "idf", "params": ["int"]}
FUNCTION: dict[str, Any] = {"name": "f", "code": []}
MODEL = {"name": "M", "features": [{"name": "A", **TYPE}]}
NEW = {"language": "Python", "basic_file": "base", **TYPE, **FUNCTION}
ENDED = {"upload_batch": 1}
#: Every call of the workshop: who may, whose thing it is about ("" = everybody's), a good body.
CALLS: dict[str, tuple[Permission, str, Any]] = {
    "GET device": (Permission.VIEW, "", None),
    "POST device": (Permission.DEVICES, "", DOCUMENT),
    "GET device/{device_id}": (Permission.VIEW, "device", None),
    "PUT device/{device_id}?revision=1": (Permission.DEVICES, "device", DOCUMENT),
    "DELETE device/{device_id}": (Permission.DEVICES, "device", None),
    "POST device/{device_id}/clone": (Permission.DEVICES, "device", {"name": "x"}),
    "POST device/{device_id}/share": (Permission.WORKSHOP, "device", None),
    "GET device/{device_id}/zip": (Permission.VIEW, "device", None),
    "GET device/{device_id}/tree": (Permission.VIEW, "device", None),
    "GET device/{device_id}/tree/file?path=sa.py": (Permission.VIEW, "device", None),
    "GET device/{device_id}/history": (Permission.VIEW, "device", None),
    "GET device/{device_id}/history/{number}": (Permission.VIEW, "device", None),
    "GET device/{device_id}/diff?old=1&new=1": (Permission.VIEW, "device", None),
    "POST device/{device_id}/restore": (Permission.DEVICES, "device", {"number": 1}),
    "POST device/{device_id}/check": (Permission.DEVICES, "device", None),
    "GET device/{device_id}/check": (Permission.VIEW, "device", None),
    "GET function?libs={key}&device={device_id}": (Permission.VIEW, "device", None),
    "GET function/new/{language}/{basic_file}?dftype=idf": (Permission.VIEW, "", None),
    "PUT function/new": (Permission.DEVICES, "", NEW),
    "GET function/L/{example_id}": (Permission.VIEW, "", None),
    "POST function/L/{example_id}": (Permission.DEVICES, "", TYPE),
    "GET function/S/{function_id}": (Permission.VIEW, "function", None),
    "POST function/S/{function_id}": (Permission.DEVICES, "function", FUNCTION),
    "DELETE function/S/{function_id}?device={device_id}": (Permission.DEVICES, "function", None),
    "GET function/S/{function_id}/history": (Permission.VIEW, "function", None),
    "GET function/S/{function_id}/history/{number}": (Permission.VIEW, "function", None),
    "GET function/S/{function_id}/diff?old=1&new=1": (Permission.VIEW, "function", None),
    "POST function/S/{function_id}/restore": (Permission.DEVICES, "function", {"number": 1}),
    "GET library/{language}/{basic_file}": (Permission.VIEW, "", None),
    "PUT library/{language}/{basic_file}": (Permission.DEVICES, "upload", ENDED),
    "GET library/{key}": (Permission.VIEW, "library", None),
    "DELETE library/{key}": (Permission.DEVICES, "library", None),
    "PUT file": (Permission.DEVICES, "", {"paths": ["a"]}),
    "POST file/{upload}": (Permission.DEVICES, "upload", None),
    "GET file/{uuid}": (Permission.VIEW, "file", None),
    "GET languages": (Permission.VIEW, "", None),
    "PUT languages": (Permission.WORKSHOP, "", {"name": "Rust"}),
    "DELETE languages/{language_id}": (Permission.WORKSHOP, "", None),
    "GET basicfiles": (Permission.VIEW, "", None),
    "PUT basicfiles": (
        Permission.WORKSHOP, "upload", {"language": "Python", "name": "b", **ENDED}
    ),
    "GET basicfiles/{basic_file_id}": (Permission.VIEW, "", None),
    "GET basicfiles/{basic_file_id}/zip": (Permission.VIEW, "", None),
    "DELETE basicfiles/{basic_file_id}": (Permission.WORKSHOP, "", None),
    "GET devicemodels": (Permission.VIEW, "", None),
    "PUT devicemodels": (Permission.WORKSHOP, "", MODEL),
    "POST devicemodels/import": (
        Permission.DEVICES, "",
        {"server_url": "http://127.0.0.1:1", "project": "1", "device_object": "1"},
    ),
    "GET devicemodels/{device_model_id}": (Permission.VIEW, "", None),
    "DELETE devicemodels/{device_model_id}": (Permission.WORKSHOP, "", None),
}  # fmt: skip
#: An administrator shares any device.
OWNED = [call for call, (_may, whose, _body) in CALLS.items()
         if whose and not call.endswith("/share")]  # fmt: skip


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


@pytest.fixture
def ids(workshop: Workshop) -> dict[str, Any]:
    """The ids of everything that amina has, and of what everybody sees."""
    device = workshop.device(workshop.maker)
    opened = workshop.maker.send("PUT", "file", {"paths": ["a/a/a.py"]}).json()
    file = file_put(owner=device, path="Plant.zip", data=b"1")
    return {
        "device_id": device.pk,
        "function_id": device.functions.get().pk,
        "key": f"D{library_of(device).pk}",
        "number": 1,
        "uuid": file.uuid,
        "upload": opened["files"][0]["uuid"],
        "batch": opened["upload_batch"],
        "language": "Python",
        "basic_file": "base",
        "language_id": workshop.basic_file.language_id,
        "basic_file_id": workshop.basic_file.pk,
        "example_id": workshop.library.functions.get().pk,
        "device_model_id": models.DeviceModel.objects.get().pk,
    }


def sent(caller: Caller, call: str, ids: dict[str, Any]) -> Any:
    """What the call answers to that caller."""
    method, _, path = call.partition(" ")
    body = CALLS[call][2]
    if isinstance(body, dict) and "upload_batch" in body:
        body = {**body, "upload_batch": ids["batch"]}
    return caller.send(method, path.format(**ids), body)


def test_every_call_is_in_the_table() -> None:
    """A new call is tested the moment it is listed."""
    described = {
        f"{method.upper()} {address.removeprefix('/api/')}"
        for address, methods in api.get_openapi_schema(path_prefix="/api/")["paths"].items()
        for method, operation in methods.items()
        if operation["tags"][0].startswith(("workshop", "files"))
    }
    named = {"upload": "uuid", "example_id": "function_id"}
    table = {call.partition("?")[0].format_map(_Names(named)) for call in CALLS}
    assert table == described


class _Names(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"

    def __getitem__(self, key: str) -> str:
        return f"{{{self.get(key, key)}}}"


def test_a_stranger_opens_nothing(workshop: Workshop, ids: dict[str, Any]) -> None:
    before = counts()
    for call in CALLS:
        answer = sent(workshop.stranger, call, ids)
        assert answer.status_code == 401, call
        assert answer["WWW-Authenticate"] == "Bearer", call
    assert counts() == before


@pytest.mark.parametrize("who", ["viewer", "maker"])
def test_who_lacks_the_permission_changes_nothing(
    workshop: Workshop, ids: dict[str, Any], who: str
) -> None:
    caller = getattr(workshop, who)
    before = counts()
    refused = 0
    for call, (permission, _whose, _body) in CALLS.items():
        if not caller.user.may(permission):
            answer = sent(caller, call, ids)
            assert answer.status_code == 403, call
            assert "may not" in answer.json()["error"], call
            refused += 1
    assert refused == {"viewer": 23, "maker": 7}[who]
    assert counts() == before


def test_the_view_group_sees_what_everybody_has(workshop: Workshop) -> None:
    device = workshop.device()
    for path in (f"device/{device.pk}", f"device/{device.pk}/zip", f"device/{device.pk}/tree"):
        assert workshop.viewer.get(path).status_code == 200, path
    for path in ("device", "languages", "basicfiles", "devicemodels", "library/Python/base"):
        assert workshop.viewer.get(path).status_code == 200, path


def test_nobody_hears_of_anothers_things(workshop: Workshop, ids: dict[str, Any]) -> None:
    """Not even that they are there: the answer is that of a thing which is not."""
    before = counts()
    other = {**ids, "device_id": 2**31 - 1, "function_id": 2**62, "key": "D999999999",
             "uuid": uuid4(), "upload": uuid4(), "batch": 2**62}  # fmt: skip
    for call in OWNED:
        who = workshop.admin if CALLS[call][0] is Permission.WORKSHOP else workshop.other
        answer, nothing = sent(who, call, ids), sent(who, call, other)
        assert answer.status_code == nothing.status_code == 404, (call, answer.content)
        assert _without_ids(nothing.json()) == _without_ids(answer.json()), call
    assert counts() == before


def _without_ids(answer: dict[str, Any]) -> str:
    return "".join(c for c in str(answer["error"]) if not c.isdigit())


def test_everybodys_things_are_changed_by_administrators_alone(workshop: Workshop) -> None:
    device = workshop.device()
    function = device.functions.get()
    before = counts()
    for method, path, body in (
        ("PUT", f"device/{device.pk}?revision=1", DOCUMENT),
        ("DELETE", f"device/{device.pk}", None),
        ("POST", f"device/{device.pk}/restore", {"number": 1}),
        ("DELETE", f"library/D{library_of(device).pk}", None),
        ("DELETE", f"function/S/{function.pk}?device={device.pk}", None),
        ("PUT", "function/new", {**NEW, "device": device.pk, "code": [
            "def {*df_name*}():", "    {*variable_setup*}", "    return 0"]}),
    ):  # fmt: skip
        answer = workshop.maker.send(method, path, body)
        assert answer.status_code == 403, path
        assert "is shared with everybody" in answer.json()["error"]
    assert counts() == before
    assert workshop.admin.send("DELETE", f"device/{device.pk}").status_code == 204


def test_bodies_of_a_wrong_shape(workshop: Workshop, ids: dict[str, Any]) -> None:
    for call, (_permission, _whose, good) in CALLS.items():
        method, _, path = call.partition(" ")
        for body in (None, [], "x", 7, {}, {"nonsense": 1}, [[[]]]) if good is not None else ():
            answer = workshop.admin.send(method, path.format(**ids), body)
            assert answer.status_code in {400, 404}, (call, body, answer.content)
            assert answer.json()["error"], call


NO_JSON = [
    b"{",
    b"\xff",
    b"[" * 100_000,
    b'{"name": 1' + b"0" * 9999 + b"}",
    b"null",
    b'"\xed\xa0"',
]


@pytest.mark.parametrize("text", NO_JSON, ids=lambda text: ascii(text[:12]))
def test_bodies_that_are_no_json(workshop: Workshop, text: bytes) -> None:
    answer = workshop.maker.client.post("/api/device", text, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["error"]


IDS = ["0", "-1", "x", "1.5", "2147483648", "99999999999999999999", "%00", "1%20OR%201", "L1", "D0"]


def test_ids_that_are_none(workshop: Workshop, ids: dict[str, Any]) -> None:
    for call in CALLS:
        for wrong in IDS if "{" in call else ():
            other = dict.fromkeys(ids, wrong)
            answer = sent(workshop.admin, call, other)
            assert answer.status_code in {400, 404}, (call, wrong, answer.content)


LONG = {
    "a name": ("name", "x" * 93),
    "no name": ("name", ""),
    "a blank name": ("name", "  "),
    "a model": ("device_model", "x" * 101),
    "a number for a name": ("name", 7),
    "another part": ("nonsense", 1),
    "no features": ("device_model", "Unknown"),
    "features that are none": ("features", {"a": 1}),
    "an endless pause": ("da", {"server_url": "http://x", "push_interval_s": 1e308}),
    "no pause": ("da", {"server_url": "http://x", "push_interval_s": 0}),
    "a text for a pause": ("da", {"server_url": "http://x", "push_interval_s": "1"}),
    "no server": ("da", {}),
    "a script for a server": ("da", {"server_url": "javascript:alert(1)"}),
    "a folder": ("basic_file", {"folder": "/etc"}),
    "an unknown basic file": ("basic_file", "nothing"),
    "a NUL in the language": ("language", "Py\x00thon"),
    "many parameters": ("functions", [{"name": "f", "type": "idf", "params": ["int"] * 51}]),
    "a line break in a line": ("functions", [{"name": "f", "type": "idf", "code": ["a\nb"]}]),
    "read-only lines beyond": (
        "functions", [{"name": "f", "type": "idf", "params": ["int"], "code": ["a"],
                       "readonly_lines": [7]}],
    ),
    "a read-only line before": (
        "functions", [{"name": "f", "type": "idf", "code": ["a"], "readonly_lines": [-1]}],
    ),
    "read-only variables beyond": ("global_variables", {"text": "a", "readonly_lines": [9]}),
    "a function twice": ("functions", [{"name": "f", "type": "idf"}] * 2),
}  # fmt: skip


def test_a_device_is_refused_with(workshop: Workshop) -> None:
    for label, (part, value) in LONG.items():
        features = [] if value == "Unknown" else DOCUMENT["features"]
        body = {**DOCUMENT, "features": features, part: value}
        answer = workshop.maker.send("POST", "device", body)
        assert answer.status_code in {400, 404}, (label, answer.content)
        assert answer.json()["error"], label
    assert not models.Device.objects.exists()
    assert not models.SaFunction.objects.exists()
