"""Every command that needs an account, in an explicit list; help is answered in ``dispatch.py``."""

from django.core.exceptions import ImproperlyConfigured

from gridtalk.gateway.consumer.add_credit import AddCredit
from gridtalk.gateway.consumer.balance import Balance
from gridtalk.gateway.consumer.base import ConsumerCommand
from gridtalk.gateway.consumer.language import Language
from gridtalk.gateway.consumer.set_contact import SetContact
from gridtalk.gateway.consumer.turn_off import TurnOff
from gridtalk.gateway.consumer.turn_on import TurnOn
from gridtalk.gateway.consumer.usage import Usage
from gridtalk.gateway.consumer.wire import ACTIONS

COMMANDS: tuple[ConsumerCommand, ...] = (
    Balance(),
    AddCredit(),
    TurnOn(),
    TurnOff(),
    SetContact(),
    Usage(),
    Language(),
)

BY_ACTION: dict[str, ConsumerCommand] = {command.action: command for command in COMMANDS}
if {*BY_ACTION, "help"} != set(ACTIONS) or len(BY_ACTION) != len(COMMANDS):
    raise ImproperlyConfigured(
        "gateway/consumer/catalogue.py and the words in wire.py differ: "
        f"{sorted({*BY_ACTION, 'help'} ^ set(ACTIONS))}"
    )
