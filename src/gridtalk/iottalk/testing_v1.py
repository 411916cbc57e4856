"""What the tests of v1 over HTTP share: a board."""

import json
from datetime import UTC, datetime
from typing import Any

from django.test import Client

from gridtalk.iottalk.models import (
    RegisteredDevice,
    RegisteredFeature,
)

BASE = "/iottalk/v1"
MAC = "C860008BD249"
CID = "192.168.1.201"
BEGAN = datetime(2026, 3, 4, 12, tzinfo=UTC)
DUMMY = ["Dummy_Sensor", "Dummy_Control"]
METER = ["PrimaryLog-I", "Alert-I", "JobDone-I", "Message-I", "Job-O", "Ack-O"]


class Board:
    """A v1 device: its address, and the key that it got."""

    def __init__(self, *names: str, mac: str = MAC, **profile: Any) -> None:
        self.mac, self.key = mac, ""
        self.profile = {
            "dm_name": "Dummy_Device",
            "df_list": list(names),
            "is_sim": False,
        } | profile
        self.client = Client(raise_request_exception=False)

    def asks(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        source: str = "127.0.0.1",
    ) -> Any:
        used = self.key if key is None else key
        raw = body if isinstance(body, bytes) else json.dumps(body) if body is not None else b""
        return self.client.generic(
            method, f"{BASE}/{path}", raw, "application/json",
            headers={"password-key": used} if used else {}, REMOTE_ADDR=source,
        )  # fmt: skip

    def registers(self, **more: Any) -> Any:
        answer = self.asks("POST", self.mac, {"profile": self.profile}, **more)
        if answer.status_code == 200:
            self.key = answer.json()["password"]
        return answer

    def pushes(self, name: str, data: Any, **more: Any) -> Any:
        return self.asks("PUT", f"{self.mac}/{name}", {"data": data}, **more)

    def pulls(self, name: str, **more: Any) -> Any:
        answer = self.asks("GET", f"{self.mac}/{name}", **more)
        assert answer.status_code == 200, answer.content
        return answer.json()["samples"]


def device() -> RegisteredDevice:
    return RegisteredDevice.objects.get(protocol="v1")


def feature(name: str) -> RegisteredFeature:
    return device().features.get(name=name)
