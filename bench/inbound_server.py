"""The web process of ``bench/inbound.py``: granian as ``gridtalk web`` runs it, with one more view.

Arguments: port, worker processes. The environment names the database and the secrets.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gridtalk.settings")


def load_application() -> Callable[..., Any]:
    """The same application as ``gridtalk web`` serves, with the addresses of the bench."""
    from django.conf import settings

    settings.ROOT_URLCONF = "inbound_urls"
    from gridtalk.asgi import application

    return application


def main() -> None:
    """Serve until SIGTERM."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.log import LogLevels

    Granian(
        "gridtalk.asgi:application",
        address="127.0.0.1",
        port=int(sys.argv[1]),
        workers=int(sys.argv[2]),
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.warning,
    ).serve(target_loader=load_application, wrap_loader=False)


if __name__ == "__main__":
    main()
