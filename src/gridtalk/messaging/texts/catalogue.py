"""What a language must say of itself. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Catalogue:
    """The texts of one language, by key, with names in braces for values.

    ``months`` are the twelve short names; ``off`` and ``on`` are what ``{status}`` becomes, so they
    must agree with the word that stands before it in every text. ``estimated`` is what an amount
    becomes that no meter has said, with ``{}`` for it.
    """

    months: tuple[str, ...]
    off: str
    on: str
    estimated: str
    texts: dict[str, str]
