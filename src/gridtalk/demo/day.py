"""The day of ``gridtalk demo``: makes the village, plays the story, tells how it ended."""

import secrets
import time
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from gridtalk.core.errors import SetupError
from gridtalk.demo.curves import EARLY, HOUSEHOLD, SHOP
from gridtalk.demo.devices import Workshop
from gridtalk.demo.history import history_write
from gridtalk.demo.living import Living, neighbours_make
from gridtalk.demo.network import Network
from gridtalk.demo.people import Person
from gridtalk.demo.server import PhonesDoor, Server
from gridtalk.demo.story import Story, StoryFailed, VillageClock
from gridtalk.demo.summary import summary_tell
from gridtalk.demo.telling import Teller
from gridtalk.demo.village import (
    Plan,
    Village,
    interface_make,
    name_free,
    tokens_make,
    village_make,
)
from gridtalk.grid.models import Meter
from gridtalk.grid.services import meter_retire
from gridtalk.messaging.models import CommunicationInterface, IoTtalkInterface
from gridtalk.users.models import User
from gridtalk.users.services import user_create, user_get, user_password_set

ZONE = "Africa/Kampala"
LOW_CREDIT = Decimal(100)
TOKEN_VALUE = Decimal(500)
#: Price of a kWh, in hundredths: 1.40 a watt-hour.
TARIFF = 1400_00
ADMIN = "admin"
#: How long the village reported before the story begins.
HISTORY = timedelta(days=7)
#: While the villages live on, the address scrolls away: so often it is told again.
ADDRESS_AGAIN_S = 60.0


def day_play(server: Server, *, phones: PhonesDoor, once: bool, pace_s: float, seed: int) -> int:
    """Make a village on the running server, play its day, and live on unless ``once``.

    Returns the exit code: 0, or 1 where the story failed or the books do not agree.
    """

    password = _admin_password_set()
    clock = VillageClock(datetime.now(ZoneInfo(ZONE)))
    teller = Teller(names={}, time=lambda: clock.now)
    network = Network(seed=seed, listener=teller.text, port=phones.port, phones_key=phones.key)
    village = _village_make(network, server, clock.now - HISTORY, seed)
    history_write(phone=village.meter, row=village.row, until=clock.now)
    prefix = village.gateway.number[:-4]
    neighbours = [] if once else _neighbours_make(network, village, prefix, clock.now, seed)
    friend = Person(network, name="Peter", number=f"{prefix}0199", gateway=village.gateway.number)
    for place in (village, *neighbours):
        teller.names.update({person.number.lstrip("+"): person.name for person in place.people})
        teller.names[place.meter.number.lstrip("+")] = f"meter {place.row.name}"
    teller.names.update(
        {
            friend.number.lstrip("+"): friend.name,
            village.gateway.number.lstrip("+"): "Gridtalk",
        }
    )
    tokens = tokens_make(count=10, value=TOKEN_VALUE, note="scratch cards of the demo")
    story = Story(
        village=village,
        network=network,
        teller=teller,
        tokens=tokens,
        token_value=TOKEN_VALUE,
        friend=friend,
        clock=clock,
        pace_s=pace_s,
    )
    _welcome(teller, server, password, village.row.name)
    began = time.monotonic()
    with network:
        if not once:
            _workshop(server, network, village, prefix, teller).begin()
        try:
            story.play()
        except StoryFailed as error:
            teller.plain()
            teller.plain(f"The story failed: {error}", "red")
            teller.plain(f"What the server said is in {server.log_path}")
            return 1
        good = summary_tell(
            teller, village, network, story.redeemed, TOKEN_VALUE, time.monotonic() - began
        )
        if not once:
            living = Living([village, *neighbours], network, ZONE, seed, teller.happened)
            _live_on(teller, server, password, living, clock)
    return 0 if good else 1


def _admin_password_set() -> str:
    """Make the user ``admin``, or give them a new password; returns it."""
    password = secrets.token_urlsafe(9)
    if User.objects.filter(name=ADMIN).exists():
        user_password_set(user=user_get(name=ADMIN), password=password)
    else:
        user_create(name=ADMIN, group="admin", password=password)
    return password


def _village_make(network: Network, server: Server, start: datetime, seed: int) -> Village:
    """A new village; those of earlier demos on the same data are retired."""
    # The workshop's devices live on, with their meters.
    for earlier in Meter.objects.filter(retired_at=None, registered_device=None):
        meter_retire(meter=earlier)
    CommunicationInterface.objects.exclude(kind=IoTtalkInterface.KIND).update(active=False)
    prefix = f"+25677{Meter.objects.count() + 1:03d}"
    interface, gateway = interface_make(
        network,
        server_url=server.url,
        name=name_free("demo-network"),
        phone=f"{prefix}0000",
        region="UG",
    )
    plans = [
        Plan("Amina", f"{prefix}0101", "en", HOUSEHOLD, Decimal(700), TARIFF),
        Plan("Jean-Bosco", f"{prefix}0102", "fr", SHOP, Decimal(2000), TARIFF),
        Plan("Zawadi", f"{prefix}0103", "sw", EARLY, Decimal(300), TARIFF),
    ]
    return village_make(
        network,
        interface=interface,
        gateway=gateway,
        name=name_free("Kitobo"),
        phone=f"{prefix}0100",
        plans=plans,
        start=start,
        time_zone=ZONE,
        low_credit=LOW_CREDIT,
        seed=seed,
        location="Kitobo island",
        latitude=Decimal("-0.4033"),
        longitude=Decimal("32.2933"),
    )


def _address_tell(teller: Teller, server: Server, password: str) -> None:
    teller.plain()
    teller.plain(f"The pages: {server.url}/   user: {ADMIN}   password: {password}", "bold")
    teller.plain(
        "Sell some electricity there: “Phone” → “Buy a scratch card” → “Add credit” → send."
    )
    if server.broker:
        teller.plain(f"MQTT: {server.broker}", "dim")


def _welcome(teller: Teller, server: Server, password: str, village: str) -> None:
    _address_tell(teller, server, password)
    teller.plain(
        f"{village}: a meter, three households. A day passes in a minute; each line is "
        "a text that went through the server."
    )


def _neighbours_make(
    network: Network, village: Village, prefix: str, start: datetime, seed: int
) -> list[Village]:
    """Three more villages, which live in the present while the story tells of yesterday."""
    return neighbours_make(
        network,
        interface=village.interface,
        gateway=village.gateway,
        prefix=prefix,
        time_zone=ZONE,
        now=start + timedelta(days=1),
        named=name_free,
        seed=seed,
    )


def _workshop(
    server: Server, network: Network, village: Village, prefix: str, teller: Teller
) -> Workshop:
    return Workshop(
        network=network,
        gateway=village.gateway,
        interface=village.interface,
        server_url=server.url,
        folder=server.data_dir / "workshop",
        zone=ZONE,
        prefix=prefix,
        operator=user_get(name=ADMIN),
        tell=lambda text: teller.plain(text, "bold"),
    )


def _live_on(
    teller: Teller, server: Server, password: str, living: Living, clock: VillageClock
) -> None:
    """The villages go on in real time until Ctrl-C; the address is told again now and then."""
    _address_tell(teller, server, password)
    teller.plain(
        f"{len(living.villages)} villages live on, an hour in an hour: meters report every few "
        "seconds, people text now and then. Ctrl-C ends it."
    )
    told = time.monotonic()
    while server.is_running():
        if time.monotonic() - told > ADDRESS_AGAIN_S:
            _address_tell(teller, server, password)
            told = time.monotonic()
        clock.now = datetime.now(ZoneInfo(ZONE)).replace(tzinfo=None)
        living.second()
        time.sleep(1)
    raise SetupError(f"the server has ended; what it said is in {server.log_path}")
