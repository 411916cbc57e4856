"""A small workshop, and people who call its API."""

import json
from typing import Any

from django.test import Client

from gridtalk.devicetalk import models
from gridtalk.devicetalk.services.catalogue import device_model_put
from gridtalk.devicetalk.testing import (
    BASIC_FILE,
    IDF_INT,
    basic_file_make,
    device_make,
    library_make,
    user_make,
)
from gridtalk.files.models import File, UploadBatch
from gridtalk.users.models import User
from gridtalk.users.services import api_key_create

DOCUMENT: dict[str, Any] = {
    "name": "Box",
    "device_model": "Plantbox",
    "language": "Python",
    "basic_file": "base",
    "libraries": ["dht"],
    "functions": [
        {"name": "light", "type": "idf", "params": ["int"], "library_ref": None},
        {
            "name": "wet",
            "type": "idf",
            "params": ["int"],
            "library_ref": {"library": "dht", "function": "read"},
            "code": ["def {*df_name*}():", "    {*variable_setup*}", "    x = 7", "    return 0"],
            "var_setup": ["pin = 4"],
        },
    ],
    "features": [
        {"name": "Light", "function": "light"},
        {"name": "Wet", "function": "wet", "others": [{"function": "light", "var_setup": "a"}]},
    ],
    "da": {"server_url": "http://127.0.0.1:9992"},
}


class Caller:
    """Somebody with a key."""

    def __init__(self, user: User | None) -> None:
        self.user = user
        headers = {}
        if user is not None:
            headers["authorization"] = f"Bearer {api_key_create(name='t', user=user)[1]}"
        self.client = Client(headers=headers)

    def get(self, path: str, /, **query: Any) -> Any:
        return self.client.get(f"/api/{path}", query)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        data = "" if body is None else json.dumps(body)
        return self.client.generic(method, f"/api/{path}", data, content_type="application/json")

    def upload(self, files: dict[str, bytes]) -> int:
        """Upload a folder; the id of its batch."""
        opened = self.send("PUT", "file", {"paths": list(files)})
        assert opened.status_code == 201, opened.content
        for file in opened.json()["files"]:
            sent = self.client.post(
                f"/api/file/{file['uuid']}",
                files[file["path"]],
                content_type="application/octet-stream",
            )
            assert sent.status_code == 200, sent.content
        return int(opened.json()["upload_batch"])


class Workshop:
    """A basic file, a library, a device model; an administrator, two makers and a viewer."""

    def __init__(self) -> None:
        self.basic_file = basic_file_make()
        self.library = library_make(self.basic_file)
        device_model_put(
            user=None, name="Plantbox",
            features=[("Light", IDF_INT), ("Wet", IDF_INT), ("Soil", IDF_INT)],
        )  # fmt: skip
        self.admin = Caller(user_make("root", group="admin"))
        self.maker = Caller(user_make("amina", group="makers"))
        self.other = Caller(user_make("salif", group="makers"))
        self.viewer = Caller(user_make("viktor"))
        self.stranger = Caller(None)

    def device(self, caller: Caller | None = None, name: str = "Plant") -> models.Device:
        """A device of that caller (None: everybody's), with the feature Light and a function."""
        return device_make(self.basic_file, caller.user if caller else None, name)


def counts() -> list[int]:
    """How much of everything there is."""
    return [
        model.objects.count()
        for model in (models.Device, models.SaFunction, models.SaFunctionVersion, models.Library,
                      models.DeviceLibrary, models.DeviceVersion, models.Language,
                      models.BasicFile, models.DeviceModel, File, UploadBatch)
    ]  # fmt: skip


__all__ = ["BASIC_FILE", "DOCUMENT", "Caller", "Workshop", "counts"]
