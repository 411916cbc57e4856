"""Run inside the sandbox: compiles Python files and lints some, runs none.

``python -I -S python_child.py LINTER FILE…``: compiles every ``*.py`` below the working folder, and
has pyflakes, imported from the folder LINTER, look at each FILE. Prints a line of JSON for each
thing found, and one before each file, so that a crash can be laid to a file.
"""

import ast
import json
import sys
import warnings
from pathlib import Path

#: What is wrong whenever that line runs; the others are remarks.
ERRORS = {"UndefinedName", "UndefinedLocal", "UndefinedExport", "ReturnOutsideFunction"}


def say(**found: object) -> None:
    """One line for the parent."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def compiled(path: str, source: bytes) -> bool:
    """Whether it compiles; says what the compiler says."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            compile(source, path, "exec", dont_inherit=True)
        except SyntaxError as error:
            line, column = error.lineno or 0, max(error.offset or 0, 0)
            say(path=path, severity="error", text=error.msg, line=line, column=column)
            return False
        except (ValueError, OverflowError) as error:
            say(path=path, severity="error", text=str(error), line=0, column=0)
            return False
        except (RecursionError, MemoryError):
            say(path=path, severity="error", text="it is nested too deeply", line=0, column=0)
            return False
    for warning in caught:
        text = str(warning.message)
        say(path=path, severity="warning", text=text, line=warning.lineno or 0, column=0)
    return True


def linted(path: str, source: bytes) -> None:
    """Say what pyflakes says."""
    from pyflakes import checker  # type: ignore[import-untyped]  # noqa: PLC0415  its folder is the parent's to say

    try:
        # The compiler has given its warnings already.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = checker.Checker(ast.parse(source, path), path).messages
    except RecursionError:
        text = "it is nested too deeply to be looked at closely"
        say(path=path, severity="warning", text=text, line=0, column=0)
        return
    lines = source.decode(errors="replace").split("\n")
    for message in sorted(found, key=lambda message: (message.lineno, message.col)):
        # Two features that need the same module import it twice.
        again = type(message).__name__ == "RedefinedWhileUnused"
        if again and lines[message.lineno - 1].lstrip().startswith(("import ", "from ")):
            continue
        severity = "error" if type(message).__name__ in ERRORS else "warning"
        text = message.message % message.message_args
        say(path=path, severity=severity, text=text, line=message.lineno, column=message.col + 1,
            lint=True)  # fmt: skip


def main(linter: str, to_lint: list[str]) -> None:
    """All files in order of their paths."""
    sys.path.append(linter)
    for file in sorted(Path().rglob("*.py")):
        path = file.as_posix()
        say(begin=path)
        source = file.read_bytes()
        if compiled(path, source) and path in to_lint:
            linted(path, source)
    say(end=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
