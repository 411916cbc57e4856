"""Run by ``gridtalk exec`` on the server's database: make what the pages would make.

Reads one JSON object from standard input, does what its ``do`` says through the services, and
writes the answer as JSON.
"""

import json
import sys
from decimal import Decimal
from typing import Any

from gridtalk.cli.environment import django_start


def meter(
    *,
    name: str,
    phone: str,
    interface: int,
    circuits: int,
    people: list[str],
    knows_job_ids: bool = True,
    lang: str = "en",
) -> dict[str, Any]:
    """A meter; its first circuits belong to the people with these phones."""
    from gridtalk.grid.models import Account
    from gridtalk.grid.services import meter_create
    from gridtalk.messaging.models import CommunicationInterface

    row = meter_create(
        name=name,
        phone=phone,
        communication_interface=CommunicationInterface.objects.get(pk=interface),
        time_zone="Africa/Bamako",
        circuits=circuits,
        knows_job_ids=knows_job_ids,
    )
    lines = list(row.circuits.filter(is_main=False).order_by("ip_address"))
    for person, circuit in zip(people, lines, strict=False):
        Account.objects.filter(circuits=circuit).update(phone=person, lang=lang)
    return {"id": row.pk, "circuits": [[line.pk, line.pin, line.ip_address] for line in lines]}


def tokens(*, count: int, value: str) -> list[str]:
    """Scratch cards of that value."""
    from gridtalk.prepaid.services import token_batch_create

    batch = token_batch_create(count=count, value=Decimal(value), note="scenario")
    return list(batch.tokens.order_by("pk").values_list("number", flat=True))


def send(*, interface: int, texts: list[tuple[str, str]]) -> list[int]:
    """Texts to phones (number, text), as a person sends them; the messages' ids."""
    from django.db import transaction

    from gridtalk.messaging.models import CommunicationInterface
    from gridtalk.messaging.services import message_queue

    with transaction.atomic():
        found = CommunicationInterface.objects.get(pk=interface)
        return [
            int(message_queue(interface=found, number=number, text=text).pk)
            for number, text in texts
        ]


def main() -> None:
    """See the module's docstring."""
    wanted = json.load(sys.stdin)
    django_start()
    do = {"meter": meter, "tokens": tokens, "send": send}[wanted.pop("do")]
    print(json.dumps(do(**wanted)))


if __name__ == "__main__":
    main()
