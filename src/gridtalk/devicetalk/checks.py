"""Django's system checks of DeviceTalk."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db.models import TextField

from gridtalk.devicetalk.models import LibraryFunction


def check_libraryfunction_fields(**_: Any) -> list[CheckMessage]:
    """Every section named in ``LIBRARYFUNCTION_FIELDS`` must have a text column of its own."""
    found: list[CheckMessage] = []
    for name in settings.LIBRARYFUNCTION_FIELDS:
        # A column's attribute on the class is Django's DeferredAttribute, which knows its field.
        column = getattr(LibraryFunction, name, None)
        if not isinstance(getattr(column, "field", None), TextField):
            found.append(
                Error(
                    f"LIBRARYFUNCTION_FIELDS names “{name}”, which is no text column of "
                    "LibraryFunction",
                    hint="Add a TextField of that name to LibraryFunction and make a migration, "
                    "or take the name out of the setting.",
                    id="devicetalk.E001",
                )
            )
    return found
