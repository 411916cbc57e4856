"""A device file and the shipped catalogue, read from the disk; no database. Pure but for reading.

``gridtalk generate`` uses this, and the tests of the catalogue.
"""

import json
import posixpath
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gridtalk.core.errors import NotFound, SetupError, UserError
from gridtalk.devicetalk.config import BasicFile, basic_file_read
from gridtalk.devicetalk.device_file_schema import (
    DeviceDocument,
    DeviceLibraryName,
    DeviceModelDocument,
    FeaturePart,
    Folder,
    FunctionPart,
)
from gridtalk.devicetalk.examples import ParsedLibrary, library_read
from gridtalk.devicetalk.merge import globals_merge
from gridtalk.devicetalk.render import device_render, device_version
from gridtalk.devicetalk.render_function import function_new
from gridtalk.devicetalk.tree import (
    Device,
    DfType,
    Direction,
    Feature,
    GlobalVariables,
    InvalidTree,
    Library,
    Limits,
    Problem,
    Rendered,
    SaFunction,
)
from gridtalk.devicetalk.tree_paths import path_fault
from gridtalk.devicetalk.ziptree import folder_read

#: What editors and Python leave in folders of sources.
IGNORED = ("__pycache__", ".git", ".DS_Store", ".ruff_cache", ".mypy_cache", ".pytest_cache")
_FILE_CHARACTERS = 5_000_000
#: The parameter types of a device model's DFs, by name and direction.
KnownTypes = dict[tuple[str, Direction], list[str]]
_Model = TypeVar("_Model", bound=BaseModel)
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class Project:
    """A device file with all that it names."""

    device: Device
    basic_file: BasicFile
    libraries: tuple[Library, ...]
    notes: tuple[Problem, ...]

    @property
    def version(self) -> str:
        """The content hash that the code carries."""
        return device_version(self.basic_file, self.device, self.libraries)

    def render(self) -> Rendered:
        """The device's files; raises as :func:`~gridtalk.devicetalk.render.device_render`."""
        return device_render(
            basic_file=self.basic_file, device=self.device, libraries=self.libraries
        )


def catalogue_folder(given: Path | None = None) -> Path:
    """The catalogue's folder: that one, or the one that came with these sources or this package.

    Raises :class:`SetupError` where there is none.
    """
    if given is not None:
        return _catalogue_check(given)
    installed, beside = Path(__file__).parents[1] / "catalogue", Path(__file__).parents[3]
    return _catalogue_check(installed if installed.is_dir() else beside / "catalogue")


def _catalogue_check(folder: Path) -> Path:
    if not (folder / "basic-files").is_dir():
        raise SetupError(
            f"{folder} is no catalogue: it has no folder basic-files. Name one with --catalogue "
            "or GRIDTALK_CATALOGUE"
        )
    return folder


def project_read(path: Path, catalogue: Path) -> Project:
    """Read a device file, and the basic file, libraries and device model that it names.

    Names are looked up in the catalogue; folders lie relative to the device file. Raises
    :class:`~gridtalk.core.errors.UserError` with all that is wrong in one of them.
    """
    document = document_read(path, DeviceDocument)
    return project_make(document, catalogue, path.parent)


def project_make(document: DeviceDocument, catalogue: Path, base: Path) -> Project:
    """As :func:`project_read`, from a document; folders in it lie relative to ``base``."""
    language = document.language
    place = document.basic_file
    folder = _folder("basic file", place, catalogue / "basic-files" / _part(language), base)
    basic_file = basic_file_load(folder, language)
    faults = _Faults()
    shelf = catalogue / "libraries" / _part(language)
    parsed = [
        faults.keep(partial(_library, named, basic_file, shelf, base))
        for named in document.libraries
    ]
    libraries = [one.library for one in parsed if one is not None]
    notes = [note for one in parsed if one is not None for note in one.notes]
    # What else is wrong with a function of a library that is not there, nobody can know.
    known = {library.name for library in libraries}
    judged = [
        part
        for part in document.functions
        if None not in parsed or part.library_ref is None or part.library_ref.library in known
    ]
    made = [faults.keep(partial(_function, part, basic_file, libraries)) for part in judged]
    functions = tuple(one for one in made if one is not None)
    features = faults.keep(partial(_features, document, functions, catalogue, faults))
    faults.end()
    part = document.global_variables
    device = Device(
        name=document.name,
        device_model=document.device_model,
        features=features or (),
        functions=functions,
        global_variables=(
            globals_merge(GlobalVariables(), libraries)
            if part is None
            else GlobalVariables(part.text, tuple(part.readonly_lines))
        ),
        server_url=document.da.server_url,
        device_address=document.da.device_address,
        push_interval_s=document.da.push_interval_s,
    )
    return Project(device, basic_file, tuple(libraries), tuple(notes))


class _Faults:
    """What is wrong here and there in a document, to be said at once."""

    def __init__(self) -> None:
        self._found: list[UserError] = []

    def keep(self, make: Callable[[], _Made]) -> _Made | None:
        """What is made, or None and its fault."""
        try:
            return make()
        except UserError as error:
            self._found.append(error)
            return None

    def end(self) -> None:
        """Raise what was found: one fault as it is, more as :class:`InvalidTree`."""
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            problems = [
                problem
                for error in self._found
                for problem in (
                    error.problems if isinstance(error, InvalidTree) else [Problem("", str(error))]
                )
            ]
            raise InvalidTree("The device cannot be made:", tuple(problems))


def _library(
    named: str | Folder | DeviceLibraryName, basic_file: BasicFile, shelf: Path, base: Path
) -> ParsedLibrary:
    if isinstance(named, DeviceLibraryName):
        raise UserError(
            f"library {named.device_library!r}: device libraries are kept by a server alone; "
            "fetch the device with its libraries flattened (GET device/<id>?flat=true)"
        )
    return library_load(_folder("library", named, shelf, base), basic_file)


def basic_file_load(folder: Path, language: str) -> BasicFile:
    """Read a basic file from a folder; raises :class:`InvalidTree`."""
    tree = folder_read(folder, ignore=IGNORED)
    return basic_file_read(name=folder.name, language=language, tree=tree)


def library_load(folder: Path, basic_file: BasicFile) -> ParsedLibrary:
    """Read a library from a folder of its name; raises :class:`InvalidTree`."""
    tree = folder_read(folder, ignore=IGNORED)
    named = {f"{folder.name}/{path}": content for path, content in tree.items()}
    return library_read(tree=named, example_dir=basic_file.config.example_dir)


def device_model_load(catalogue: Path, name: str) -> DeviceModelDocument | None:
    """A device model of the catalogue, or None where it has none of that name."""
    path = catalogue / "device-models" / f"{_part(name)}.json"
    return document_read(path, DeviceModelDocument) if path.is_file() else None


def _part(name: str) -> str:
    """A name that is one part of a path, or :class:`UserError`."""
    if (fault := path_fault(name, Limits())) or "/" in name:
        raise UserError(f"{name!r} cannot be the name of a folder: {fault or 'it holds a /'}")
    return name


def _folder(what: str, place: str | Folder, shelf: Path, base: Path) -> Path:
    if isinstance(place, Folder):
        folder = Path(posixpath.normpath(base.absolute() / place.folder))
        if not folder.is_dir():
            raise NotFound(f"{what} folder {place.folder!r}: there is no such folder at {folder}")
        return folder
    folder = shelf / _part(place)
    if not folder.is_dir():
        there = sorted(x.name for x in shelf.iterdir() if x.is_dir()) if shelf.is_dir() else []
        raise NotFound(
            f"the catalogue has no {what} {place!r} for {shelf.name}; "
            f"it has: {', '.join(there) or 'none'}"
        )
    return folder


def document_read(path: Path, model: type[_Model]) -> _Model:
    """A JSON file in that shape; raises :class:`InvalidTree` with all that is wrong in it."""
    title = f"{path} is not taken:"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "it must be UTF-8 text"
        raise InvalidTree(title, (Problem("", cause),)) from error
    if len(text) > _FILE_CHARACTERS:
        cause = f"it is longer than {_FILE_CHARACTERS} characters"
        raise InvalidTree(title, (Problem("", cause),))
    try:
        data: Any = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_repeats)
    except json.JSONDecodeError as error:
        problem = Problem("", f"line {error.lineno}, column {error.colno}: {error.msg}")
        raise InvalidTree(title, (problem,)) from error
    except (ValueError, RecursionError) as error:
        raise InvalidTree(title, (Problem("", str(error)),)) from error
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [
            Problem(".".join(str(part) for part in fault["loc"]), fault["msg"])
            for fault in error.errors(include_url=False)
        ]
        raise InvalidTree(title, tuple(problems)) from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)!r} is there twice")
    return made


def _function(
    part: FunctionPart, basic_file: BasicFile, libraries: Iterable[Library]
) -> SaFunction:
    df_type = DfType(part.type, tuple(part.params))
    where = f"function {part.name}"
    source = None
    if part.library_ref:
        ref = part.library_ref
        library = next((x for x in libraries if x.name == ref.library), None)
        if library is None:
            raise UserError(f"{where}: its library {ref.library!r} is not chosen")
        source = next((x for x in library.library_functions if x.name == ref.function), None)
        if source is None:
            there = ", ".join(x.name for x in library.library_functions) or "none"
            raise UserError(
                f"{where}: library {ref.library!r} has no function {ref.function!r}; "
                f"it has: {there}"
            )
    if part.code is None:
        made = function_new(
            basic_file=basic_file, df_type=df_type, name=part.name, library_function=source
        )
        code, readonly, setup = made.code, made.readonly_lines, made.var_setup
    else:
        code, readonly, setup = tuple(part.code), tuple(part.readonly_lines or ()), ()
        if outside := [n for n in readonly if n >= len(code)]:
            raise UserError(f"{where}: readonly_lines {outside} are beyond its code")
    return SaFunction(
        name=part.name,
        df_type=df_type,
        code=code,
        readonly_lines=readonly,
        var_setup=setup if part.var_setup is None else tuple(part.var_setup),
        library_ref=(part.library_ref.library, part.library_ref.function)
        if part.library_ref
        else None,
    )


def _features(
    document: DeviceDocument,
    functions: tuple[SaFunction, ...],
    catalogue: Path,
    faults: _Faults,
) -> tuple[Feature, ...]:
    """The document's DFs, then those of the device model that it does not mention, unused.

    One whose type nobody tells is left out, and a fault.
    """
    model = device_model_load(catalogue, document.device_model)
    known: KnownTypes = {(x.name, x.type): x.params for x in (model.features if model else ())}
    by_key = {(function.df_type, function.name): function for function in functions}
    features = []
    mentioned = set()
    for part in document.features:
        df_type = faults.keep(partial(feature_type, part, known, document.device_model))
        if df_type is None:
            continue
        mentioned.add((part.name, df_type.direction))
        function = by_key.get((df_type, part.function or ""))
        setup = part.var_setup
        if setup is None:
            setup = "\n".join(function.var_setup) if function else ""
        features.append(Feature(part.name, df_type, part.function, setup, part.in_use))
    for (name, direction), params in known.items():
        if (name, direction) not in mentioned:
            features.append(Feature(name, DfType(direction, tuple(params)), in_use=False))
    return tuple(features)


def feature_type(part: FeaturePart, known: KnownTypes, device_model: str) -> DfType:
    """The DF's type as given; what is not given, from the DFs known of its device model.

    Raises :class:`UserError` where neither tells it.
    """
    kinds = [kind for name, kind in known if name == part.name]
    direction = part.type or (kinds[0] if len(kinds) == 1 else None)
    params = part.params
    if params is None and direction is not None:
        params = known.get((part.name, direction))
    if direction is None or params is None:
        raise UserError(
            f"device feature {part.name}: the device model {device_model!r} does not tell "
            "its type; give type (idf or odf) and params"
        )
    return DfType(direction, tuple(params))
