"""Light devices in a thread of their own, and a view into the server's database."""

import asyncio
import threading
import uuid
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.conftest import Gridtalk, wait_until

from gridtalk.iottalk.testing_light import LightDevice, http_json

T = TypeVar("T")
#: A fleet comes from one address, faster than strangers may.
NO_LIMITS = {
    "GRIDTALK_DEVICE_REGISTRATIONS_PER_MINUTE": "100000",
    "GRIDTALK_DEVICE_REGISTRATIONS_PER_MINUTE_IN_ALL": "100000",
}
FEATURES: dict[str, Any] = {
    "idf_list": [["Sensor-I", ["int"]]],
    "odf_list": [["Lamp-O", ["int"]]],
}


class Fleet:
    """Devices registered with a running server."""

    def __init__(self, gridtalk: Gridtalk) -> None:
        self.gridtalk = gridtalk
        self.devices: list[LightDevice] = []
        self.got: list[tuple[str, str, list[Any]]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it in the devices' loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def register(self, count: int) -> list[LightDevice]:
        """Register and start so many devices; wait until all are online and connected."""
        before = len(self.devices)
        self.do(self._register(count))
        self.wait_online(len(self.devices))
        return self.devices[before:]

    def register_again(self, device: LightDevice) -> tuple[int, dict[str, Any]]:
        """Register under the same uuid; status and answer."""
        path, body = f"/iottalk/v2/{device.answer['id']}", {"accept_protos": ["mqtt"], **FEATURES}
        return self.do(http_json("127.0.0.1", self.gridtalk.port, "PUT", path, body))

    async def _register(self, count: int) -> None:
        for number in range(count):
            body = {"name": f"light {number}", "accept_protos": ["mqtt"], **FEATURES}
            path = f"/iottalk/v2/{uuid.uuid4()}"
            status, answer = await http_json("127.0.0.1", self.gridtalk.port, "PUT", path, body)
            assert status == 200, answer
            handle = str(answer["username"])
            device = LightDevice(
                answer,
                got=lambda name, values, handle=handle: self.got.append((handle, name, values)),
            )
            device.start()
            self.devices.append(device)

    def start(self, device: LightDevice) -> None:
        """Plug a device in again."""

        async def begin() -> None:
            device.start()

        self.do(begin())

    def push(self, device: LightDevice, *values: int, pause_s: float = 0.01) -> None:
        """Say these values of its input, one after the other."""

        async def say() -> None:
            for value in values:
                assert device.push("Sensor-I", [value])
                await device.drain()
                await asyncio.sleep(pause_s)

        self.do(say())

    def push_raw(self, device: LightDevice, topic: str, *payloads: bytes) -> None:
        """Publish whatever, as fast as it goes."""

        async def say() -> None:
            for number, payload in enumerate(payloads):
                device.publish_raw(topic, payload)
                if number % 100 == 99:
                    await device.drain()

        self.do(say())

    def ask(self, statement: str, *values: Any) -> Any:
        """The first column of the first row."""
        with self.gridtalk.database() as database:
            row = database.execute(statement, values).fetchone()
            assert row is not None
            return row[0]

    def online(self) -> int:
        """How many devices are shown online."""
        return int(self.ask("SELECT count(*) FROM registered_devices WHERE online"))

    def connected(self) -> int:
        """How many features are."""
        return int(self.ask("SELECT count(*) FROM registered_features WHERE state = 'ok'"))

    def wait_online(self, count: int, *, seconds: float = 30) -> None:
        """Wait until so many are online with both features connected."""
        wait_until(
            lambda: self.online() == count and self.connected() == 2 * count,
            what=f"{count} devices to be online and connected", seconds=seconds,
        )  # fmt: skip

    def samples(self, device: LightDevice) -> list[Any]:
        """What is stored of the device's input, in order."""
        with self.gridtalk.database() as database:
            rows = database.execute(
                "SELECT s.value->0 FROM df_samples s"
                " JOIN registered_features f ON f.id = s.feature_id"
                " JOIN registered_devices d ON d.id = f.device_id"
                " WHERE d.handle = %s AND f.kind = 'idf' ORDER BY s.id",
                [device.handle],
            ).fetchall()
            return [value for (value,) in rows]

    def notes(self, device: LightDevice) -> list[str]:
        """The errors in the device's log."""
        with self.gridtalk.database() as database:
            rows = database.execute(
                "SELECT e.text FROM device_events e JOIN registered_devices d ON d.id = e.device_id"
                " WHERE d.handle = %s AND e.kind = 'error' ORDER BY e.id",
                [device.handle],
            ).fetchall()
            return [text for (text,) in rows]

    def send(self, device: LightDevice, value: int) -> None:
        """Queue a value for the device's lamp, as the service does."""
        with self.gridtalk.database() as database, database.transaction():
            database.execute(
                "INSERT INTO feature_sends (feature_id, value, state, error, created_at)"
                " SELECT f.id, jsonb_build_array(%s::int), 'queued', '', now()"
                " FROM registered_features f JOIN registered_devices d ON d.id = f.device_id"
                " WHERE d.handle = %s AND f.kind = 'odf'",
                [value, device.handle],
            )
            database.execute(
                "SELECT pg_notify('gridtalk_devices', 'send ' || shard || ' ' || id)"
                " FROM registered_devices WHERE handle = %s",
                [device.handle],
            )

    def wait_got(self, device: LightDevice, value: int, *, seconds: float = 15) -> None:
        """Wait until the device's lamp was sent that value."""
        wait_until(
            lambda: (device.handle, "Lamp-O", [value]) in self.got,
            what=f"value {value} to reach {device.name}", seconds=seconds,
        )  # fmt: skip

    def end(self) -> None:
        """End all devices."""
        for device in self.devices:
            self.do(device.kill())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
