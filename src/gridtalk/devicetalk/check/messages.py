"""What a compiler or linter said, told of the function and line that the user wrote. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from gridtalk.core.texts import storable
from gridtalk.devicetalk.tree import GlobalVariables, Place, Problem, Rendered

Severity = Literal["error", "warning", "note"]
#: What the user edits: a function's code, a feature's variable setup, the global variables.
Part = Literal["code", "var_setup", "globals", ""]
#: The most messages that are kept, and the characters of one.
MOST_MESSAGES = 100
LONGEST_TEXT = 1000
_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One message of a tool. ``line`` and ``column`` from 1; 0 = unknown."""

    severity: Severity
    text: str
    path: str = ""
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """A diagnostic, mapped to what the user edits.

    ``path`` and ``line`` are those of the file in the zip. ``part`` says what the user edits,
    empty where it is none of theirs (a template, a library); ``function_line`` is its line from 1,
    0 where there is none; ``column`` from 1, 0 = unknown, counted in the file, which indents a
    variable setup. ``df`` and ``function`` are names, and empty for the global variables.
    """

    severity: Severity
    text: str
    path: str = ""
    line: int = 0
    column: int = 0
    function: str = ""
    df: str = ""
    part: Part = ""
    function_line: int = 0


def messages_map(
    diagnostics: Iterable[Diagnostic],
    rendered: Rendered,
    global_variables: GlobalVariables,
    *,
    own_only: bool = False,
) -> tuple[Message, ...]:
    """The first :data:`MOST_MESSAGES`, errors before the others where not all fit.

    The same thing is said once. ``own_only`` drops what is not about the user's own text.
    """
    spans = _global_spans(rendered, global_variables)
    found = dict.fromkeys(
        _mapped(one, _edited_line(one, rendered), rendered.places, spans) for one in diagnostics
    )
    kept = [message for message in found if message.part or not own_only]
    if len(kept) > MOST_MESSAGES:
        errors = [message for message in kept if message.severity == "error"]
        rest = [message for message in kept if message.severity != "error"]
        kept = [*errors, *rest][:MOST_MESSAGES]
    return tuple(kept)


def problem_messages(problems: Iterable[Problem]) -> tuple[Message, ...]:
    """What keeps a device's code from being made at all."""
    return tuple(
        Message("error", _fit(problem.cause), problem.path, problem.line) for problem in problems
    )[:MOST_MESSAGES]


def is_failed(messages: Iterable[Message]) -> bool:
    """Whether one of them is an error."""
    return any(message.severity == "error" for message in messages)


def _fit(text: str) -> str:
    """Text which can be stored and shown: one line, not too long."""
    line = " ".join(storable(text).split())
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


def _edited_line(one: Diagnostic, rendered: Rendered) -> int:
    """The diagnostic's line as an editor counts them: by line feeds.

    For compilers a carriage return alone ends a line too.
    """
    content = rendered.files.get(one.path, b"")
    if b"\r" not in content:
        return one.line
    ends = islice(_LINE_END.finditer(content), max(0, one.line - 1))
    return one.line - sum(end[0] == b"\r" for end in ends)


def _mapped(
    one: Diagnostic, line: int, places: Sequence[Place], spans: Iterable[tuple[str, int, int]]
) -> Message:
    """The diagnostic as a message; ``line`` is its line as an editor counts them."""
    plain = Message(one.severity, _fit(one.text), one.path, one.line, one.column)
    for place in places:
        index = line - place.first_line
        if place.path == one.path and 0 <= index < len(place.origins):
            part, number = place.origins[index]
            return Message(
                plain.severity, plain.text, plain.path, plain.line, plain.column,
                place.function, place.df_name, part, number + 1,
            )  # fmt: skip
    for path, first_line, count in spans:
        if path == one.path and first_line <= line < first_line + count:
            return Message(
                plain.severity, plain.text, plain.path, plain.line, plain.column,
                part="globals", function_line=line - first_line + 1,
            )  # fmt: skip
    return plain


def _global_spans(
    rendered: Rendered, global_variables: GlobalVariables
) -> tuple[tuple[str, int, int], ...]:
    """Where the global variables stand in rendered files: path, first line, number of lines."""
    text = global_variables.text
    if not text.strip():
        return ()
    raw = text.encode(errors="surrogatepass")
    spans = []
    for path in sorted({place.path for place in rendered.places}):
        content = rendered.files[path]
        # As whole lines: "a" is not to be found in the middle of a word.
        start = 0 if content.startswith(raw) else content.find(b"\n" + raw) + 1
        if start or content.startswith(raw):
            first = content.count(b"\n", 0, start) + 1
            spans.append((path, first, text.count("\n") + (not text.endswith("\n"))))
    return tuple(spans)
