"""The shipped meter's global variables: edited, chosen again, passed on, and upgraded."""

from pathlib import Path
from typing import Any

import pytest

from gridtalk.api.tests.workshop import Caller
from gridtalk.devicetalk import device_file
from gridtalk.devicetalk.services.catalogue_install import catalogue_install
from gridtalk.devicetalk.testing import user_make
from gridtalk.devicetalk.ziptree import folder_read

pytestmark = pytest.mark.django_db

CATALOGUE = device_file.catalogue_folder()
#: Per language: the shipped price in the meter's variables, and what starts the meter.
METERS = {
    "Arduino": ("{1000, 100, 500, 2000}", "static sharedsolar::Meter meter("),
    "C++": ("{1000, 100, 500, 2000}", "inline sharedsolar::Meter meter("),
    "Python": ("price_per_kwh=1000", "meter = Meter("),
}


class Bench:
    """The shipped catalogue, and a maker who made the shipped meter theirs, at another price."""

    def __init__(self, language: str) -> None:
        catalogue_install(folder=CATALOGUE)
        self.language = language
        self.price, self.meter = METERS[language]
        self.admin = Caller(user_make("root", group="admin"))
        self.maker = Caller(user_make("amina", group="makers"))
        listed = self.maker.get("device", search="PrepaidMeter").json()["items"]
        (self.shipped,) = (row["id"] for row in listed if row["language"] == language)
        document = self.maker.get(f"device/{self.shipped}").json()["document"]
        self.basic_file = document["basic_file"]
        document["name"] = "mine"
        text = document["global_variables"]["text"]
        assert (text.count(self.price), text.count(self.meter)) == (1, 1)
        self.text = text.replace(self.price, self.price.replace("1000", "1200"))
        document["global_variables"]["text"] = self.text
        self.mine = self.sent("POST", "device", document)
        choices = self.maker.get(f"library/{language}/{self.basic_file}").json()
        self.keys = {row["name"]: row["key"] for row in choices}

    def sent(self, method: str, path: str, body: Any, caller: Caller | None = None) -> Any:
        """The answer of a call that must succeed."""
        answer = (caller or self.maker).send(method, path, body)
        assert answer.status_code in {200, 201}, answer.content
        return answer.json()

    def brought(self, *names: str, **query: Any) -> dict[str, Any]:
        """The global variables that these libraries bring."""
        answer = self.maker.get("function", libs=[self.keys[name] for name in names], **query)
        assert answer.status_code == 200, answer.content
        found: dict[str, Any] = answer.json()["global_variables"]
        return found

    def meters(self, device: int) -> int:
        """How many meters the code of a device starts."""
        files = self.maker.get(f"device/{device}/tree").json()["files"]
        paths = [row["path"] for row in files if "sharedsolar/" not in row["path"]]
        found = [
            self.maker.get(f"device/{device}/tree/file", path=path).json()["text"] or ""
            for path in paths
        ]
        return "".join(found).count(self.meter)

    def upgrade(self) -> None:
        """Store the library anew, with another first line in its variables."""
        folder = CATALOGUE / "libraries" / self.language / "sharedsolar"
        files = {
            f"sharedsolar/{path}": content
            for path, content in folder_read(folder, ignore=device_file.IGNORED).items()
        }
        (gvs,) = (path for path in files if Path(path).name.startswith("gvs."))
        head, _, rest = files[gvs].partition(b"\n")
        first, _, rest = rest.partition(b"\n")
        files[gvs] = b"\n".join([head, first + b"  ", rest])
        batch = self.admin.upload(files)
        body = {"upload_batch": batch, "status": "completed"}
        self.sent("PUT", f"library/{self.language}/{self.basic_file}", body, self.admin)


@pytest.mark.parametrize("language", METERS)
def test_an_edited_block_is_not_repeated(language: str) -> None:
    bench = Bench(language)
    mine, document = bench.mine["id"], bench.mine["document"]
    # One more library, as the page asks for it.
    variables = bench.brought("sharedsolar", "dht", device=mine)
    assert variables == document["global_variables"]
    document |= {"libraries": ["sharedsolar", "dht"], "global_variables": variables}
    bench.sent("PUT", f"device/{mine}?revision=1", document)
    assert bench.meters(mine) == 1
    # The next device, made from this one's library, which brings the other.
    assert bench.brought("mine_library") == variables
    assert bench.brought("mine_library", "sharedsolar") == variables
    assert bench.brought("sharedsolar", "mine_library") == variables
    following = document | {
        "name": "next", "libraries": [{"device_library": "mine_library"}],
        "global_variables": None,
    }  # fmt: skip
    made = bench.sent("POST", "device", following)
    assert made["document"]["global_variables"] == variables
    assert bench.meters(made["id"]) == 1


def test_a_library_is_upgraded() -> None:
    bench = Bench("C++")
    mine, before = bench.mine["id"], bench.mine["document"]["global_variables"]
    bench.upgrade()
    assert bench.brought("sharedsolar")["text"].startswith('#include "sharedsolar/meter.hpp"  \n')
    # Who has the meter goes on with it as it is.
    bench.sent("POST", f"device/{bench.shipped}/clone", {"name": "clone"})
    document = bench.maker.get(f"device/{bench.shipped}").json()["document"]
    copy = bench.sent("POST", "device", document | {"name": "copy"})
    assert bench.meters(copy["id"]) == 1
    document = bench.mine["document"]
    document["da"]["push_interval_s"] = 5
    assert bench.sent("PUT", f"device/{mine}?revision=1", document)["revision"] == 2
    assert bench.brought("sharedsolar", "dht", device=mine) == before
    assert bench.brought("mine_library") == before
    # Its first line is the library's, of then or of now.
    first, _, rest = before["text"].partition("\n")
    for text, status in ((f"// {first}\n{rest}", 400), (f"{first}  \n{rest}", 200)):
        document["global_variables"] = before | {"text": text}
        answer = bench.maker.send("PUT", f"device/{mine}?revision=2", document)
        assert answer.status_code == status, answer.content
    # Back to what it was.
    restored = bench.sent("POST", f"device/{mine}/restore", {"number": 1})
    assert restored["document"]["global_variables"] == before
    assert bench.meters(mine) == 1
