"""A function's text as it is handed in, and what must hold of it: its lines, the read-only ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gridtalk.core.errors import UserError
from gridtalk.core.texts import needs_care

#: The most characters of a function's code, and of its variable setup.
LONGEST_CODE = 200_000


class ReadonlyChanged(UserError):  # noqa: N818  named for what was done
    """A read-only line was changed or is missing."""


@dataclass(frozen=True)
class Draft:
    """A function as the page hands it in. Lines hold no line break.

    ``readonly_lines`` may be left out: then they are looked for, from the top.
    """

    name: str
    code: tuple[str, ...]
    var_setup: tuple[str, ...] = ()
    readonly_lines: tuple[int, ...] | None = None


def lines_check(lines: Iterable[str], *, what: str) -> list[str]:
    """The lines, fit for storing unchanged; :class:`UserError` names the line that is not."""
    given = list(lines)
    for number, line in enumerate(given, 1):
        if "\n" in line or needs_care(line):
            raise UserError(
                f"line {number} of {what} has a line break, a NUL or half a character; take it out"
            )
    if sum(map(len, given)) > LONGEST_CODE:
        raise UserError(f"{what} is longer than {LONGEST_CODE:,} characters")
    return given


def readonly_check(*, base: Sequence[str], base_readonly: Iterable[int], draft: Draft) -> list[int]:
    """The numbers of the draft's read-only lines; their text and order are as in ``base``.

    Raises :class:`UserError` naming the first read-only line that was changed or is missing.
    """
    awaited = [base[number] for number in sorted(base_readonly)]
    if draft.readonly_lines is None:
        found, start = [], 0
        for line in awaited:
            try:
                start = draft.code.index(line, start) + 1
            except ValueError:
                raise _changed(draft.name, line) from None
            found.append(start - 1)
        return found
    numbers = sorted(set(draft.readonly_lines))
    if numbers and not 0 <= numbers[0] <= numbers[-1] < len(draft.code):
        raise UserError(f"{draft.name} has no line {numbers[-1]} that could be read-only")
    given = [draft.code[number] for number in numbers]
    if given != awaited:
        at = next((i for i, line in enumerate(awaited) if i >= len(given) or given[i] != line), -1)
        raise _changed(draft.name, awaited[at] if at >= 0 else given[len(awaited)])
    return numbers


def _changed(name: str, line: str) -> ReadonlyChanged:
    return ReadonlyChanged(
        f"{name}: the line “{line.strip()[:80]}” is read-only; put it back as it was"
    )
