"""``config.ini`` of a basic file: what is a template, where libraries go. Pure.

Source: ``spec/devicetalk.md``, section 2.
"""

import codecs
import configparser
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gridtalk.devicetalk.check.options import SECTION as CHECK
from gridtalk.devicetalk.check.options import CheckOptions, options_read
from gridtalk.devicetalk.render_env import template_problem
from gridtalk.devicetalk.tree import LIMITS, InvalidTree, Limits, Problem, Tree
from gridtalk.devicetalk.tree_paths import path_fault, safe_name, tree_problems

CONFIG = "config.ini"
OPTIONS = (
    ("templates", "sa"),
    ("templates", "safuncs"),
    ("new-function", "IDF"),
    ("new-function", "ODF"),
    ("manual", "url"),
    ("lib", "root"),
    ("lib", "example-dir"),
)
NAMES = "names"
# As configparser reads them; a line that begins with a space goes on with the value before it.
_HEADER = re.compile(r"\[(.+)\]")
_OPTION = re.compile(r"([^\s#;=:\[][^=:]*?)\s*[=:]")
#: The placeholders of a path, new and old, and the only ones.
_PLACEHOLDERS = ("{device_name}", "{sa[device_name]}")
_PLACEHOLDER = re.compile("|".join(map(re.escape, _PLACEHOLDERS)))


@dataclass(frozen=True, slots=True)
class Config:
    """The options of a ``config.ini``. Template paths are those of the tree, placeholders kept.

    ``lib_root`` ends in ``/``, or is empty where libraries go to the top of the zip. ``reserved``
    are names of the templates' own, which no function may have: the option ``reserved`` of the
    section ``[names]``, which may be absent.
    """

    sa: tuple[str, ...]
    safuncs: str
    idf: str
    odf: str
    manual_url: str
    lib_root: str
    example_dir: str
    check: CheckOptions = field(default_factory=CheckOptions)
    reserved: frozenset[str] = frozenset()

    def out_path(self, path: str, device_name: str) -> str:
        """A path of the tree as it is called in that device's zip."""
        return _PLACEHOLDER.sub(safe_name(device_name), path)

    @property
    def hidden(self) -> frozenset[str]:
        """The files of the tree that do not go into the zip as they are."""
        return frozenset({CONFIG, self.safuncs, self.idf, self.odf})


@dataclass(frozen=True, slots=True)
class BasicFile:
    """A basic file that passed :func:`basic_file_read`."""

    name: str
    language: str
    tree: Tree
    config: Config


def basic_file_read(*, name: str, language: str, tree: Tree, limits: Limits = LIMITS) -> BasicFile:
    """Check a basic file's tree and read its configuration.

    Raises :class:`InvalidTree` with everything that is wrong: paths, sizes, missing options and
    files, unknown placeholders, mistakes in templates.
    """
    config, problems = config_read(tree, limits)
    if problems or config is None:
        raise InvalidTree(refusal(name), tuple(problems))
    return BasicFile(name=name, language=language, tree=tree, config=config)


def refusal(name: str) -> str:
    """The title of what is wrong with a basic file of that name."""
    return f"The basic file {name!r} is refused:"


def config_read(tree: Tree, limits: Limits) -> tuple[Config | None, list[Problem]]:
    """The configuration of a basic file's tree, and all that is wrong with the tree.

    An option that is missing is empty, and one of the problems; None where there is no
    ``config.ini`` that can be read.
    """
    problems = tree_problems(tree, limits)
    values = _options(tree, problems)
    if values is None:
        return None, problems
    config = _config(values, problems)
    _check_paths(config, tree, problems, limits)
    if values.get(("templates", "sa")) and not config.sa:
        cause = "the option 'sa' of section [templates] names no file"
        problems.append(Problem(CONFIG, cause))
    if config.manual_url:
        _check_url(config.manual_url, problems)
    strange = [path for path in config.check.files if path not in {*config.sa, *tree}]
    causes = (f"files = {path}: there is no such file in the folder" for path in strange)
    problems += [Problem(CONFIG, cause) for cause in causes]
    return config, problems


def _options(tree: Tree, problems: list[Problem]) -> dict[tuple[str, str], str] | None:
    """The values of all options; what is missing or cannot be read is added to problems.

    None where there is no such file.
    """
    if CONFIG not in tree:
        problems.append(Problem(CONFIG, "the file is missing; it must be at the top of the folder"))
        return None
    text = tree[CONFIG].decode("utf-8-sig", "replace")
    if text.encode() != tree[CONFIG].removeprefix(codecs.BOM_UTF8):
        problems.append(Problem(CONFIG, "it must be UTF-8 text"))
    # A value may hold % and ${}: interpolation is off. What stands twice we name ourselves, and all
    # of it: the parser would end at the first.
    parser = configparser.ConfigParser(
        interpolation=None, inline_comment_prefixes=(";",), strict=False
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keeps IDF from idf
    try:
        parser.read_string(_sections_only(text, problems), source=CONFIG)
    except configparser.ParsingError as error:
        # The lines that can be read were.
        cause = "this line is neither a [section] nor an option"
        problems += [Problem(CONFIG, cause, line) for line, _ in error.errors]
    values = {}
    for section, option in OPTIONS:
        value = _option(parser, section, option)
        if value:
            values[section, option] = value
        else:
            state = "missing" if value is None else "empty"
            cause = f"the option {option!r} of section [{section}] is {state}"
            problems.append(Problem(CONFIG, cause))
    for section in (CHECK, NAMES):
        if parser.has_section(section):
            values |= {(section, option): value.strip() for option, value in parser.items(section)}
    return values


def _sections_only(text: str, problems: list[Problem]) -> str:
    """The text with its lines before the first [section] left empty.

    These are problems, and so is each section, and each option of a section, that stands twice.
    """
    lines, seen, section = text.split("\n"), set[tuple[str, str]](), ""
    for number, line in enumerate(lines, 1):
        header, option = _HEADER.match(line), _OPTION.match(line)
        if header:
            section = header[1]
        elif not section and line.strip() and line.lstrip()[0] not in "#;":
            problems.append(Problem(CONFIG, "it stands before the first [section]", number))
            lines[number - 1] = ""
        name, what = "", f"the section [{section}]"
        if not header and option:
            name, what = option[1].casefold(), f"the option {option[1]!r} of section [{section}]"
        if not section or not (header or option):
            continue
        if (section, name) in seen:
            problems.append(Problem(CONFIG, f"{what} stands twice", number))
        seen.add((section, name))
    return "\n".join(lines)


def _option(parser: configparser.ConfigParser, section: str, option: str) -> str | None:
    """The value of an option in whichever case it is written."""
    if not parser.has_section(section):
        return None
    for key, value in parser.items(section):
        if key.casefold() == option.casefold():
            return value.strip()
    return None


def _config(values: dict[tuple[str, str], str], problems: list[Problem]) -> Config:
    given = dict.fromkeys(OPTIONS, "") | values
    root = given["lib", "root"].removeprefix("./").rstrip("/")
    parts = (part.strip() for part in re.split(r"[,\n]", given["templates", "sa"]))
    sa = tuple(part for part in parts if part)
    section = {option: value for (name, option), value in values.items() if name == CHECK}
    check, wrong = options_read(section, sa)
    problems += [Problem(CONFIG, cause) for cause in wrong]
    return Config(
        sa=sa,
        safuncs=given["templates", "safuncs"],
        idf=given["new-function", "IDF"],
        odf=given["new-function", "ODF"],
        manual_url=given["manual", "url"],
        lib_root="" if root in {"", "."} else f"{root}/",
        example_dir=given["lib", "example-dir"].removeprefix("./").rstrip("/"),
        check=check,
        reserved=_reserved(values, problems),
    )


def _reserved(values: dict[tuple[str, str], str], problems: list[Problem]) -> frozenset[str]:
    """The names of the section [names]."""
    section = {option: value for (name, option), value in values.items() if name == NAMES}
    names = re.split(r"[,\s]+", section.pop("reserved", "").strip(", \n"))
    causes = [f"the option {option!r} of section [{NAMES}] is not known" for option in section]
    causes += [f"reserved: {name} is no name" for name in names if name and not name.isidentifier()]
    problems += [Problem(CONFIG, cause) for cause in causes]
    return frozenset(names) - {""}


def _check_paths(config: Config, tree: Tree, problems: list[Problem], limits: Limits) -> None:
    def wrong(cause: str) -> None:
        problems.append(Problem(CONFIG, cause))

    named: dict[str, str] = {}
    roles = [*(("sa", path) for path in config.sa), ("safuncs", config.safuncs)]
    for role, path in [*roles, ("IDF", config.idf), ("ODF", config.odf)]:
        if not path or _path_wrong(f"{role} = {path}", path, limits, wrong, placeholders=True):
            continue
        if path in named and {role, named[path]} != {"IDF", "ODF"}:
            wrong(f"{role} = {path}: the file is named as {named[path]} too")
        elif path not in tree:
            wrong(f"{role} = {path}: there is no such file in the folder")
        elif path not in named and (fault := template_problem(tree, path)):
            problems.append(fault)
        named.setdefault(path, role)
    for option, path in (
        ("root", config.lib_root.rstrip("/")),
        ("example-dir", config.example_dir),
    ):
        if path:
            _path_wrong(f"{option} = {path}", path, limits, wrong, placeholders=False)
    if "/" in config.example_dir:
        wrong(f"example-dir = {config.example_dir}: it must be the name of one folder")


def _path_wrong(
    what: str, path: str, limits: Limits, wrong: Callable[[str], None], *, placeholders: bool
) -> bool:
    """Report a path that leaves its folder or has a placeholder that nobody fills."""
    plain = _PLACEHOLDER.sub("x", path) if placeholders else path
    if "{" in plain or "}" in plain:
        known = _PLACEHOLDERS[0] if placeholders else "none"
        wrong(f"{what}: an unknown placeholder; known here: {known}")
        return True
    if fault := path_fault(plain, limits):
        wrong(f"{what}: {fault}")
        return True
    if posixpath.normpath(plain) != plain:
        wrong(f"{what}: write the path as {posixpath.normpath(plain)}")
        return True
    return False


def _check_url(url: str, problems: list[Problem]) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        cause = f"url = {url}: it must be a whole address, https://…"
        problems.append(Problem(CONFIG, cause))
