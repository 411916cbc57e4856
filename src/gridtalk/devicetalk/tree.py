"""What DeviceTalk's engine works on: frozen values, filled from the database or from a folder.

A *tree* maps relative POSIX paths to bytes. Sources: the DeviceTalk seed and
``spec/devicetalk.md``. Pure: no Django, no network, no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from gridtalk.core.errors import UserError

#: Relative POSIX path → content. Never changed after it was made.
Tree = Mapping[str, bytes]
Direction = Literal["idf", "odf"]

#: The sections of an example, and the fields of a LibraryFunction (seed, plus our last one).
SECTIONS = ("var_define", "import_string", "init_content", "runs_content", "member_var_define")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, and what to do. ``line`` from 1; 0 = the whole file."""

    path: str
    cause: str
    line: int = 0

    def __str__(self) -> str:
        """``config.ini, line 3: …``"""
        where = f"{self.path}, line {self.line}" if self.line else self.path
        return f"{where}: {self.cause}" if where else self.cause


class InvalidTree(UserError):  # noqa: N818  named for what the user handed in
    """A basic file, library, device or template is wrong; holds everything that is, in order."""

    def __init__(self, title: str, problems: tuple[Problem, ...]) -> None:
        self.title = title
        self.problems = problems
        super().__init__("\n".join([title, *(f"  {problem}" for problem in problems)]))


@dataclass(frozen=True, slots=True)
class Limits:
    """What one basic file or library may hold; sizes in bytes, lengths in characters."""

    files: int = 1000
    file_bytes: int = 10 * 2**20
    total_bytes: int = 50 * 2**20
    path_characters: int = 100  # File.file_path of the seed


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class DfType:
    """Direction and parameter types of a device feature, e.g. ``DfType("odf", ("float",))``."""

    direction: Direction
    params: tuple[str, ...]


def is_param_type(text: str) -> bool:
    """Whether it can be the type of a parameter: a name, since templates write it into code."""
    return text.isidentifier() and len(text) <= 20


@dataclass(frozen=True, slots=True)
class LibraryFunction:
    """An example function of a library. ``fields`` has every name of :data:`SECTIONS`."""

    library: str
    name: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GlobalVariables:
    """Text (lines by ``\\n``) and the 0-based numbers of those lines which nobody may edit."""

    text: str = ""
    readonly_lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SaFunction:
    """A function written in the workshop, for one DF type.

    ``code`` is its lines, with the tokens ``{*df_name*}`` and ``{*variable_setup*}`` still in it;
    ``readonly_lines`` are 0-based; ``var_setup`` is the default of a new DF. ``library_ref`` names
    the (library, function) that it was made from. ``updated_at`` is when it changed last; it is no
    part of a device's version.
    """

    name: str
    df_type: DfType
    code: tuple[str, ...]
    readonly_lines: tuple[int, ...] = ()
    var_setup: tuple[str, ...] = ()
    library_ref: tuple[str, str] | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Feature:
    """A DF of a device or device library with its selected function and variable setup.

    ``function`` is the name of a :class:`SaFunction` of the same ``df_type``, or None where none is
    selected. ``var_setup`` is text. A DF not ``in_use`` is kept, but does not reach the code.
    """

    name: str
    df_type: DfType
    function: str | None = None
    var_setup: str = ""
    in_use: bool = True


@dataclass(frozen=True, slots=True)
class Library:
    """A library or (``is_device_library``) a device library, as a device chooses it.

    ``files``: paths as they lie below ``lib.root`` in the zip, e.g. ``dht/dht.py``. A plain
    library has ``library_functions``; a device library ``functions``, ``features`` and
    ``depends_on`` (names of plain libraries).
    """

    name: str
    files: Tree = field(default_factory=dict)
    global_variables: GlobalVariables = GlobalVariables()
    library_functions: tuple[LibraryFunction, ...] = ()
    is_device_library: bool = False
    functions: tuple[SaFunction, ...] = ()
    features: tuple[Feature, ...] = ()
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Device:
    """All that the code of one device is made from, its basic file and libraries apart.

    ``push_interval_s`` in seconds.
    """

    name: str
    device_model: str
    features: tuple[Feature, ...]
    functions: tuple[SaFunction, ...]
    global_variables: GlobalVariables = GlobalVariables()
    server_url: str = ""
    device_address: str = ""
    push_interval_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a function's code stands in a rendered file, to map a compiler's line to the user's.

    Lines of ``path`` from ``first_line`` (1-based) are the DF's code. ``origins[i]`` tells for the
    i-th of them what the user sees: ``("code", n)`` or ``("var_setup", n)``, n from 0.
    """

    path: str
    first_line: int
    df_name: str
    direction: Direction
    function: str
    origins: tuple[tuple[Literal["code", "var_setup"], int], ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    """The finished files of one device, without its outer folder, and where its functions stand."""

    files: Tree
    places: tuple[Place, ...] = ()
