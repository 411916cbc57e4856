"""The workshop's calls: what each does, for those who may."""

import io
import zipfile
from copy import deepcopy

import pytest
from django.test import Client

from gridtalk.api.tests.workshop import DOCUMENT, Workshop
from gridtalk.devicetalk import models
from gridtalk.devicetalk.device_file_schema import DeviceDocument

pytestmark = pytest.mark.django_db


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


def test_a_device_goes_round(workshop: Workshop) -> None:
    maker = workshop.maker
    made = maker.send("POST", "device", DOCUMENT)
    assert made.status_code == 201, made.content
    first = made.json()
    assert (first["owner"], first["revision"], first["may_change"]) == ("amina", 1, True)
    assert first["library_name"] == "Box_library"
    assert first["left_out"] == []
    address = f"device/{first['id']}"
    whole = maker.get(address).json()
    assert {k: v for k, v in first.items() if k != "left_out"} == whole
    document = whole["document"]
    assert [df["name"] for df in document["features"]] == ["Light", "Wet", "Soil"]
    assert document["features"][1]["others"] == [{"function": "light", "var_setup": "a"}]
    assert document["features"][1]["var_setup"] == "pin = 4"
    assert document["functions"][0]["readonly_lines"] == [0, 1, 3]
    DeviceDocument.model_validate(document)  # a device file
    # Saved again as it is: the same functions, another revision.
    rows = set(models.SaFunction.objects.values_list("pk", flat=True))
    again = maker.client.put(
        f"/api/{address}?revision=1", document, content_type="application/json"
    ).json()
    assert again["document"] == document
    assert again["revision"] == 2
    assert set(models.SaFunction.objects.values_list("pk", flat=True)) == rows
    # Of two who began with one revision the second is shown the difference.
    changed = deepcopy(document)
    changed["functions"][1]["code"][2] = "    x = 8"
    late = maker.client.put(f"/api/{address}?revision=1", changed, content_type="application/json")
    assert late.status_code == 409
    assert late.json()["difference"] == []
    taken = maker.client.put(f"/api/{address}?revision=2", changed, content_type="application/json")
    assert taken.json()["document"] == changed
    diff = maker.get(f"{address}/diff", old=2, new=3).json()["lines"]
    assert [line.split() for line in diff if line[:1] in "+-"][2:] == [
        ["-", "x", "=", "7"], ["+", "x", "=", "8"]
    ]  # fmt: skip
    # The earlier version, taken up.
    assert [row["number"] for row in maker.get(f"{address}/history").json()] == [3, 2, 1]
    assert maker.get(f"{address}/history/1").json()["snapshot"]["name"] == "Box"
    restored = maker.send("POST", f"{address}/restore", {"number": 2})
    assert restored.json()["document"] == document
    assert maker.get("device", search="plantb").json()["items"][0]["id"] == first["id"]
    assert maker.send("DELETE", address).status_code == 204
    assert maker.get(address).status_code == 404


def test_the_code(workshop: Workshop) -> None:
    maker = workshop.maker
    document = deepcopy(DOCUMENT) | {"name": "盒子 1/../x"}
    made = maker.send("POST", "device", document).json()
    address = f"device/{made['id']}"
    tree = maker.get(f"{address}/tree").json()
    assert [row["path"] for row in tree["files"]] == [
        "Makefile", "library/dht/dht.py", f"library/{tree['folder']}_library/functions.py", "sa.py"
    ]  # fmt: skip
    place = next(row for row in tree["places"] if row["df"] == "Wet")
    text = maker.get(f"{address}/tree/file", path=place["path"]).json()["text"].split("\n")
    first = place["first_line"] - 1
    assert text[first : first + place["lines"]] == [
        "def Wet():", "    pin = 4", "    x = 7", "    return 0"
    ]  # fmt: skip
    packed = maker.get(f"{address}/zip")
    assert packed["Content-Type"] == "application/zip"
    assert packed["ETag"] == f'"{tree["version"]}"'
    assert "no-store" in packed["Cache-Control"]
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert {*archive.namelist()} == {f"{tree['folder']}/{x['path']}" for x in tree["files"]}
    assert maker.get(f"{address}/zip").content == packed.content
    assert maker.get(f"{address}/tree/file", path="../sa.py").status_code == 404


def test_a_clone_is_ones_own(workshop: Workshop) -> None:
    device = workshop.device()
    mine = workshop.maker.send("POST", f"device/{device.pk}/clone", {"name": "Mine"})
    assert mine.status_code == 201
    body = mine.json()
    assert (body["owner"], body["name"]) == ("amina", "Mine")
    assert body["device_address"] != device.device_address
    shared = workshop.admin.send("POST", f"device/{body['id']}/share")
    assert (shared.status_code, shared.json()["owner"]) == (200, None)


def test_a_long_device_is_taken(workshop: Workshop) -> None:
    """Longer than what pages may send: its own limit counts."""
    code = [*DOCUMENT["functions"][1]["code"][:2], *["    y = 1"] * 15_000, "    return 0"]
    names = [f"f{n}" for n in range(3)]
    document = deepcopy(DOCUMENT) | {
        "functions": [
            {"name": name, "type": "idf", "params": ["int"], "code": code} for name in names
        ],
        "features": [{"name": "Light", "function": "f0"}],
    }
    made = workshop.maker.send("POST", "device", document)
    assert made.status_code == 201, made.content[:300]
    document["global_variables"] = {"text": "x" * 5_000_000}
    refused = workshop.maker.send("POST", "device", document)
    assert refused.status_code == 413
    assert "of JSON; at most" in refused.json()["error"]


def test_functions_whose_library_is_not_chosen_are_listed(workshop: Workshop) -> None:
    maker = workshop.maker
    document = deepcopy(DOCUMENT)
    document["features"] = [
        {"name": "Light", "function": "light", "others": [{"function": "wet", "var_setup": ""}]}
    ]
    device = maker.send("POST", "device", document).json()
    assert device["left_out"] == []
    document["libraries"] = []
    changed = maker.send("PUT", f"device/{device['id']}?revision=1", document)
    assert (changed.status_code, changed.json()["left_out"]) == (200, ["wet"])
    made = maker.send("POST", "device", document | {"name": "Other"})
    assert (made.status_code, made.json()["left_out"]) == (201, ["wet"])
    assert [row["name"] for row in made.json()["document"]["functions"]] == ["light"]
    document["features"][0]["function"] = "wet"
    refused = maker.send("PUT", f"device/{device['id']}?revision=2", document)
    assert refused.status_code == 400
    assert "needs the library dht" in refused.json()["error"]


def test_functions(workshop: Workshop) -> None:
    maker = workshop.maker
    device = workshop.device(maker)
    begun = maker.get("function/new/Python/base", dftype="idf", dfparam=["int"]).json()
    assert begun["code"] == ["def {*df_name*}():", "    {*variable_setup*}", "", "    return 0"]
    body = {
        "language": "Python", "basic_file": "base", "type": "idf", "params": ["int"],
        "name": "mine", "code": begun["code"], "var_setup": ["a = 1"], "device": device.pk,
    }  # fmt: skip
    made = maker.send("PUT", "function/new", body)
    assert made.status_code == 201, made.content
    function = made.json()
    assert function["readonly_lines"] == [0, 1, 3]
    address = f"function/S/{function['id']}"
    body["code"][2] = "    x = {{ 7 * 7 }}"
    saved = maker.send(
        "POST", address, {"name": "mine", "code": body["code"], "device": device.pk}
    ).json()
    # The device library has what the device has: a copy carries the history on.
    assert (saved["id"] != function["id"], saved["code"]) == (True, body["code"])
    assert (function["device_revision"], saved["device_revision"]) == (2, 3)
    address = f"function/S/{saved['id']}"
    broken = maker.send("POST", address, {"name": "mine", "code": ["x"], "device": device.pk})
    assert broken.status_code == 400
    assert "is read-only" in broken.json()["error"]
    assert [row["number"] for row in maker.get(f"{address}/history").json()] == [2, 1]
    assert "+  " + body["code"][2] in maker.get(f"{address}/diff", old=1, new=2).json()["lines"]
    back = maker.send("POST", f"{address}/restore", {"number": 1, "device": device.pk})
    assert back.json()["code"][2] == ""
    address = f"function/S/{back.json()['id']}"
    assert maker.get(f"{address}/history/3").json()["snapshot"]["code"][2] == ""
    assert maker.get(f"{address}/history/4").status_code == 404
    gone = maker.client.delete(f"/api/{address}?device={device.pk}")
    assert gone.status_code == 204
    assert maker.get(address).status_code == 200, "until the cleaning"


def test_a_function_that_others_use_is_asked_for(workshop: Workshop) -> None:
    maker = workshop.maker
    document = deepcopy(DOCUMENT)
    document["features"][1]["function"] = "light"
    document["features"][1]["others"] = []
    device = maker.send("POST", "device", document).json()
    function = models.SaFunction.objects.get(name="light")
    code = [*function.code[:2], "    z = 1", *function.code[3:]]
    body = {"name": "light", "code": code, "device": device["id"]}
    asked = maker.send("POST", f"function/S/{function.pk}", body)
    assert asked.status_code == 409
    assert asked.json()["features"] == ["Light", "Wet"]
    new = maker.send(
        "POST", f"function/S/{function.pk}", body | {"shared": "new", "df": "Wet", "name": "own"}
    ).json()
    features = maker.get(f"device/{device['id']}").json()["document"]["features"]
    assert [df["function"] for df in features] == ["light", "own", None]
    assert maker.get(f"function/S/{new['id']}").json()["name"] == "own"
    wrong = maker.send("POST", f"function/S/{function.pk}", body | {"df": "Nothing"})
    assert wrong.status_code == 404


def test_a_function_that_somebody_else_saved_meanwhile(workshop: Workshop) -> None:
    maker = workshop.maker
    device = workshop.device(maker)
    document = maker.get(f"device/{device.pk}").json()["document"]
    function = device.functions.get()
    body = {"name": "read", "code": [*function.code[:2], "    x = 1", *function.code[2:]]}
    loose = maker.send("POST", f"function/S/{function.pk}", body)
    assert loose.status_code == 400
    assert "say for which device" in loose.json()["error"]
    body |= {"device": device.pk, "revision": 1}
    saved = maker.send("POST", f"function/S/{function.pk}", body).json()
    assert saved["device_revision"] == 2
    for call in (
        lambda: maker.send("PUT", f"device/{device.pk}?revision=1", document),
        lambda: maker.send("POST", f"function/S/{function.pk}", body),
        lambda: maker.send("POST", f"function/S/{saved['id']}", body),
        lambda: maker.send("POST", f"function/S/{saved['id']}/restore",
                           {"number": 1, "device": device.pk, "revision": 1}),
        lambda: maker.send("DELETE", f"function/S/{saved['id']}?device={device.pk}&revision=1"),
    ):  # fmt: skip
        told = call()
        assert told.status_code == 409
        assert "+        x = 1" in told.json()["difference"]
    device.refresh_from_db()
    assert (device.revision, device.functions.get().pk) == (2, saved["id"])


def test_a_librarys_function_becomes_ones_own(workshop: Workshop) -> None:
    example = workshop.library.functions.get()
    shown = workshop.viewer.get(f"function/L/{example.pk}").json()
    assert shown["fields"]["runs_content"] == "x = dht.read()"
    made = workshop.maker.send(
        "POST", f"function/L/{example.pk}", {"type": "idf", "params": ["int"]}
    ).json()
    assert made["name"] == "read_dht"
    assert made["library_ref"] == {"library": "dht", "function": "read"}


def test_all_that_is_wrong_with_a_device_is_said_at_once(workshop: Workshop) -> None:
    document = deepcopy(DOCUMENT)
    document["libraries"] = ["dht", "gone", {"device_library": "x"}, {"folder": "."}]
    document["features"] = [{"name": "Light", "function": "nothing"}, {"name": "Unknown"}]
    document["functions"].append(
        {"name": "bad", "type": "odf", "params": ["int; rm"], "code": ["x"]}
    )
    refused = workshop.maker.send("POST", "device", document)
    assert refused.status_code == 400
    for words in ("no library gone", "device library x", "folders are for", "uses nothing",
                  "does not tell its type", "int; rm"):  # fmt: skip
        assert words in refused.json()["error"], words
    assert not models.Device.objects.exists()
    assert not models.SaFunction.objects.exists()


def test_a_device_library_by_its_name(workshop: Workshop) -> None:
    """One's own comes before everybody's, unless everybody's is asked for."""
    everybodys, own = workshop.device(), workshop.device(workshop.maker)
    document = deepcopy(DOCUMENT)
    for asked, device in ((False, own), (True, everybodys)):
        document["name"] = f"Box {asked}"
        document["libraries"] = [
            "dht", {"device_library": "Plant_library", "everybodys": asked}
        ]  # fmt: skip
        made = workshop.maker.send("POST", "device", document)
        assert made.status_code == 201, made.content
        chosen = models.DeviceHasLibrary.objects.get(
            device=made.json()["id"], device_library__isnull=False
        )
        assert chosen.device_library.user == device.user
    flat = workshop.maker.get(f"device/{made.json()['id']}", flat=True).json()
    assert flat["document"]["libraries"] == ["dht"]


def test_a_session_opens_the_workshop_with_a_token_of_its_page(workshop: Workshop) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.get("/api/device").status_code == 401
    assert client.post("/api/device", DOCUMENT, content_type="application/json").status_code == 401
    client.force_login(workshop.maker.user, backend="gridtalk.users.backends.NameBackend")
    assert client.get("/api/device").status_code == 200
    refused = client.post("/api/device", DOCUMENT, content_type="application/json")
    assert refused.status_code == 403
    assert "page of this server" in refused.json()["error"]
    client.cookies["csrftoken"] = "a" * 32
    made = client.post(
        "/api/device", DOCUMENT, content_type="application/json",
        headers={"X-CSRFToken": "a" * 32},
    )  # fmt: skip
    assert made.status_code == 201, made.content
    # A key needs none, and the rest of the API takes no session.
    assert workshop.maker.get("device").status_code == 200
    assert client.get("/api/meters").status_code == 401


def test_a_check_is_asked_for_and_fetched(workshop: Workshop) -> None:
    maker = workshop.maker
    device = workshop.device(maker)
    assert maker.get(f"device/{device.pk}/check").status_code == 404
    asked = maker.send("POST", f"device/{device.pk}/check")
    assert asked.status_code == 202
    assert asked.json()["state"] == "queued"
    assert asked.json()["version"] == maker.get(f"device/{device.pk}/tree").json()["version"]
    message = {
        "severity": "error", "text": "name 'y' is not defined", "path": "sa.py", "line": 3,
        "column": 0, "function": "read", "df": "Light", "part": "code", "function_line": 2,
    }  # fmt: skip
    models.DeviceCheck.objects.update(state="failed", messages=[message])
    found = maker.get(f"device/{device.pk}/check").json()
    assert (found["state"], found["messages"]) == ("failed", [message])
    assert maker.send("POST", f"device/{device.pk}/check").json()["id"] == found["id"]
