"""The workshop's calls: what each does, for those who may."""

import io
import zipfile
from copy import deepcopy
from typing import Any

import pytest
from django.test import Client

from gridtalk.api.tests.workshop import BASIC_FILE, DOCUMENT, Workshop
from gridtalk.devicetalk import models
from gridtalk.devicetalk.device_file_schema import DeviceDocument
from gridtalk.devicetalk.services import importing
from gridtalk.devicetalk.testing import IDF_INT, basic_file_make
from gridtalk.files.models import File, UploadBatch

pytestmark = pytest.mark.django_db

LIBRARY = {
    "mh/mh/mh.py": b"\xff\x00 binary",
    "mh/examples/co2.py": b"# ***[var_define]***\npin = 1\n# ***[runs_content]***\nreturn 1\n",
    "mh/examples/gvs.py": b"# ***[gvs]***\nimport mh\n# ***[gvsro]***\n[0]\n",
    "mh/examples/odd.py": b"# ***[nonsense]***\nx\n",
}


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


def test_an_upload_becomes_a_library(workshop: Workshop) -> None:
    maker = workshop.maker
    batch = maker.upload(LIBRARY)
    taken = maker.send("PUT", "library/Python/base", {"upload_batch": batch})
    assert taken.status_code == 200, taken.content
    library = taken.json()["library"]
    assert taken.json()["notes"][0]["path"] == "mh/examples/odd.py"
    assert [row["name"] for row in library["library_functions"]] == ["co2", "odd"]
    assert library["global_variables"] == {"text": "import mh", "readonly_lines": [0]}
    assert library == maker.get(f"library/{library['key']}").json()
    file = next(row for row in library["files"] if row["path"] == "mh/mh/mh.py")
    got = workshop.other.get(f"file/{file['uuid']}")
    assert got.content == LIBRARY["mh/mh/mh.py"]
    assert got["Content-Disposition"] == 'attachment; filename="mh.py"'
    listed = maker.get("library/Python/base").json()
    assert [row["name"] for row in listed] == ["dht", "mh"]
    chosen = maker.get("function", libs=[library["key"], f"L{workshop.library.pk}"]).json()
    assert "library_functions" in chosen, chosen
    assert [row["name"] for row in chosen["library_functions"]] == ["co2", "odd", "read"]
    assert chosen["global_variables"]["text"] == "import mh"
    assert workshop.other.send("DELETE", f"library/{library['key']}").status_code == 403
    assert maker.send("DELETE", f"library/{library['key']}").status_code == 204


def test_an_upload_that_failed_leaves_nothing(
    workshop: Workshop, django_capture_on_commit_callbacks: Any
) -> None:
    maker = workshop.maker
    before = File.objects.count()
    batch = maker.upload({"x/x/a.py": b"1"})
    with django_capture_on_commit_callbacks(execute=True):
        ended = maker.send(
            "PUT", "library/Python/base", {"upload_batch": batch, "status": "failed"}
        )
    assert ended.status_code == 204
    assert File.objects.count() == before
    assert not UploadBatch.objects.exists()


def test_large_files(workshop: Workshop, settings: Any) -> None:
    maker = workshop.maker
    data = b"x" * settings.FILES_LARGEST_BYTES
    (file,) = maker.send("PUT", "file", {"paths": ["a/a/large.bin"]}).json()["files"]
    address = f"/api/file/{file['uuid']}"
    sent = maker.client.post(address, data, content_type="application/octet-stream")
    assert (sent.status_code, sent.json()["size"]) == (200, len(data))
    form = maker.client.post(address, {"file": io.BytesIO(data)})
    assert (form.status_code, form.json()["size"]) == (200, len(data))
    assert maker.get(f"file/{file['uuid']}").content == data
    for body in (data + b"x", b"x" * (len(data) + 100_000)):
        more = maker.client.post(address, body, content_type="application/octet-stream")
        assert more.status_code == 413
        assert str(settings.FILES_LARGEST_BYTES) in more.json()["error"]
    for parts in ({}, {"file": io.BytesIO(b"1"), "more": io.BytesIO(b"2")}):
        assert maker.client.post(address, parts).status_code == 400
    empty = maker.client.post(address, b"", content_type="application/octet-stream")
    assert empty.json()["size"] == 0
    as_json = maker.client.post(address, b"{}" * 200_000, content_type="application/json")
    assert as_json.json()["size"] == 400_000


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
    assert (saved["id"], saved["code"]) == (function["id"], body["code"])
    broken = maker.send("POST", address, {"name": "mine", "code": ["x"], "device": device.pk})
    assert broken.status_code == 400
    assert "is read-only" in broken.json()["error"]
    assert [row["number"] for row in maker.get(f"{address}/history").json()] == [2, 1]
    assert "+  " + body["code"][2] in maker.get(f"{address}/diff", old=1, new=2).json()["lines"]
    back = maker.send("POST", f"{address}/restore", {"number": 1, "device": device.pk})
    assert back.json()["code"][2] == ""
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


def test_a_librarys_function_becomes_ones_own(workshop: Workshop) -> None:
    example = workshop.library.functions.get()
    shown = workshop.viewer.get(f"function/L/{example.pk}").json()
    assert shown["fields"]["runs_content"] == "x = dht.read()"
    made = workshop.maker.send(
        "POST", f"function/L/{example.pk}", {"type": "idf", "params": ["int"]}
    ).json()
    assert made["name"] == "read_dht"
    assert made["library_ref"] == {"library": "dht", "function": "read"}


def test_the_catalogue(workshop: Workshop) -> None:
    admin = workshop.admin
    language = admin.send("PUT", "languages", {"name": "C++"}).json()
    assert [row["name"] for row in workshop.viewer.get("languages").json()] == ["C++", "Python"]
    batch = admin.upload({f"folder/{path}": data for path, data in BASIC_FILE.items()})
    body = {"language": "C++", "name": "linux", "upload_batch": batch}
    made = admin.send("PUT", "basicfiles", body).json()
    assert (made["lib_root"], made["example_dir"]) == ("library/", "examples")
    assert [row["path"] for row in made["files"]] == sorted(BASIC_FILE)
    assert workshop.viewer.get(f"basicfiles/{made['id']}").json() == made
    listed = workshop.viewer.get("basicfiles", language=language["id"]).json()
    assert [row["name"] for row in listed] == ["linux"]
    packed = workshop.viewer.get(f"basicfiles/{made['id']}/zip").content
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.read("linux/config.ini") == BASIC_FILE["config.ini"]
    assert workshop.viewer.get("library/C++/linux").json() == []
    assert admin.send("DELETE", f"languages/{language['id']}").status_code == 409
    lost = admin.send("DELETE", f"basicfiles/{made['id']}")
    assert lost.json() == {"devices": 0, "device_libraries": 0, "libraries": 0}
    assert admin.send("DELETE", f"languages/{language['id']}").status_code == 204
    used = admin.send("DELETE", f"basicfiles/{workshop.basic_file.pk}")
    assert used.status_code == 409
    assert "1 library would be lost" in used.json()["error"]
    gone = admin.client.delete(f"/api/basicfiles/{workshop.basic_file.pk}?with_all=true")
    assert gone.json()["libraries"] == 1


def test_a_bad_basic_file_names_everything_at_once(workshop: Workshop) -> None:
    bad = {
        "config.ini": b"[templates]\nsa = gone.py\n[new-function]\nIDF = idf.j2\nODF = ../odf.j2\n",
        "idf.j2": b"{% if %}",
    }
    before = workshop.admin.get(f"basicfiles/{workshop.basic_file.pk}").json()
    batch = workshop.admin.upload(bad)
    body = {"language": "Python", "name": "base", "upload_batch": batch}
    refused = workshop.admin.send("PUT", "basicfiles", body)
    assert refused.status_code == 400
    causes = [problem["cause"] for problem in refused.json()["problems"]]
    for missing in ("'safuncs'", "'url'", "'root'", "'example-dir'"):
        assert any(missing in cause for cause in causes), missing
        assert missing in refused.json()["error"]
    assert workshop.admin.get(f"basicfiles/{workshop.basic_file.pk}").json() == before


def test_device_models(workshop: Workshop) -> None:
    features = [{"name": "B", "type": "odf", "params": ["float"]},
                {"name": "A", "type": "idf", "params": []}]  # fmt: skip
    body = {"name": "DM", "description": "two", "features": features}
    made = workshop.admin.send("PUT", "devicemodels", body).json()
    assert made["features"] == features
    assert workshop.viewer.get(f"devicemodels/{made['id']}").json() == made
    assert [row["name"] for row in workshop.viewer.get("devicemodels").json()] == ["DM", "Plantbox"]
    assert [row["name"] for row in workshop.viewer.get("devicemodels", search="dm").json()] == [
        "DM"
    ]
    assert workshop.admin.send("DELETE", f"devicemodels/{made['id']}").status_code == 204


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


def test_names_of_languages_and_basic_files_are_parts_of_addresses(workshop: Workshop) -> None:
    refused = workshop.admin.send("PUT", "languages", {"name": "C/C++"})
    assert refused.status_code == 400
    assert "without a /" in refused.json()["error"]
    basic_file_make("with space ü")
    assert workshop.maker.get("library/Python/with space ü").json() == []


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


def test_a_device_model_is_imported(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importing.Imported(
        dm_name="Far", features=(("A", IDF_INT),), in_use=frozenset({"A"}),
        source_server="http://x", source_project="1", source_device_object="2",
    )  # fmt: skip
    asked: list[dict[str, Any]] = []

    def fetch(**given: Any) -> importing.Imported:
        asked.append(given)
        return found

    monkeypatch.setattr(importing, "device_model_import", fetch)
    body = {"server_url": "http://x", "project": "1", "device_object": "2"}
    got = workshop.maker.send("POST", "devicemodels/import", body)
    assert got.json() == {
        "device_model": "Far",
        "features": [{"name": "A", "type": "idf", "params": ["int"]}],
        "in_use": ["A"],
        "source": {"server": "http://x", "project": "1", "device_object": "2"},
    }
    assert (
        workshop.maker.send("POST", "devicemodels/import", body | {"keep": True}).status_code == 403
    )
    assert len(asked) == 1, "refused before the server asks"
    assert (
        workshop.admin.send("POST", "devicemodels/import", body | {"keep": True}).status_code == 200
    )
    assert models.DeviceModel.objects.filter(name="Far").exists()
