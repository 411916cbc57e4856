"""Meters that are devices of this server, in the catalogue."""

from collections.abc import Sequence

from gridtalk.messaging.interfaces.base import Provider, SetUpLine, Way


class IoTtalk(Provider):
    """Meters that are devices: built in DeviceTalk, or of others, and bound to a meter.

    The device server takes their jobs (``iottalk/services/jobs_out.py``) and brings what they say
    (``gateway/devices.py``). Texts to people do not leave here: ``sms_interface`` carries those.
    """

    kind = "iottalk"
    label = "IoTtalk"
    way = Way.DEVICES

    def set_up(self, *, base_url: str, interface_id: int, key: str) -> Sequence[SetUpLine]:  # noqa: ARG002
        """Where a device registers; an operator then binds it to its meter."""
        return [
            SetUpLine("Server of an IoTtalk v2 device", f"{base_url}/iottalk/v2"),
            SetUpLine("Server of an IoTtalk v1 device", f"{base_url}/iottalk/v1"),
        ]
