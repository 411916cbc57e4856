"""The tokens of an SA function's code, replaced literally. Pure.

The text is a user's: no template engine ever sees it, and what is put in is not looked at again.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

VARIABLE_SETUP = "{*variable_setup*}"
DF_NAME = "{*df_name*}"
NEW_LINE = "{*new_line*}"

_TOKEN = re.compile(f"{re.escape(VARIABLE_SETUP)}|{re.escape(DF_NAME)}")
Origin = tuple[Literal["code", "var_setup"], int]


@dataclass(frozen=True, slots=True)
class FunctionCode:
    """One DF's code. ``origins[i]`` tells which of the user's lines ``lines[i]`` is.

    ``var_setup_start_line`` is the 0-based line where the variable setup begins, -1 where there is
    none; ``var_setup_indent`` its column.
    """

    lines: tuple[str, ...]
    origins: tuple[Origin, ...]
    var_setup_start_line: int
    var_setup_indent: int


def identifier(df_name: str) -> str:
    """A DF's name as code writes it: every ``-`` is a ``_``, as ``iottalk-py`` looks it up."""
    return df_name.replace("-", "_")


def setup_lines(text: str) -> list[str]:
    """The lines of a variable setup; a line break at its end ends the last line."""
    return text.removesuffix("\n").split("\n") if text else []


def tokens_replace(*, code: Sequence[str], df_name: str, var_setup: str) -> FunctionCode:
    """Make one DF's code from a function's lines.

    Each line of the variable setup is indented to the column of its token; a token alone on its
    line vanishes with the line where there is no setup. Anything else in braces stays as it is.
    """
    setup = setup_lines(var_setup)
    lines: list[str] = []
    origins: list[Origin] = []
    start, indent = -1, 0
    for number, line in enumerate(code):
        column = line.find(VARIABLE_SETUP)
        if column < 0:
            lines.append(line.replace(DF_NAME, identifier(df_name)))
            origins.append(("code", number))
            continue
        if not setup and line.strip() == VARIABLE_SETUP:
            continue
        if setup and start < 0:
            start, indent = len(lines), column
        made = _with_setup(line, setup, df_name)
        lines += made
        # The lines of the last setup in it; one that shares its line with code counts as code.
        alone = line.strip() == VARIABLE_SETUP
        origins += [("var_setup", i) if alone else ("code", number) for i in range(len(made))]
    return FunctionCode(tuple(lines), tuple(origins), start, indent)


def _with_setup(line: str, setup: list[str], df_name: str) -> list[str]:
    def value(token: re.Match[str]) -> str:
        if token[0] == DF_NAME:
            return identifier(df_name)
        # Tabs stay tabs, so that the lines stand under each other at any width.
        pad = "".join("\t" if c == "\t" else " " for c in line[: token.start()])
        return "\n".join([*setup[:1], *(pad + text if text else "" for text in setup[1:])])

    made = _TOKEN.sub(value, line).split("\n")
    if line.strip(" \t") == VARIABLE_SETUP:
        # An empty line stays empty at any column; one of blanks is as the user wrote it.
        made = [text if given else "" for text, given in zip(made, setup, strict=True)]
    return made
