"""The workshop's stock: uploads, libraries, languages, basic files, device models."""

import io
import zipfile
from typing import Any

import pytest

from gridtalk.api.tests.workshop import BASIC_FILE, Workshop
from gridtalk.devicetalk import models
from gridtalk.devicetalk.services import importing
from gridtalk.devicetalk.testing import IDF_INT, basic_file_make
from gridtalk.files.models import File, UploadBatch

pytestmark = pytest.mark.django_db


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


LIBRARY = {
    "mh/mh/mh.py": b"\xff\x00 binary",
    "mh/examples/co2.py": b"# ***[var_define]***\npin = 1\n# ***[runs_content]***\nreturn 1\n",
    "mh/examples/gvs.py": b"# ***[gvs]***\nimport mh\n# ***[gvsro]***\n[0]\n",
    "mh/examples/odd.py": b"# ***[nonsense]***\nx\n",
}


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


def test_names_of_languages_and_basic_files_are_parts_of_addresses(workshop: Workshop) -> None:
    refused = workshop.admin.send("PUT", "languages", {"name": "C/C++"})
    assert refused.status_code == 400
    assert "without a /" in refused.json()["error"]
    basic_file_make("with space ü")
    assert workshop.maker.get("library/Python/with space ü").json() == []


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
