"""A new basic file is tried with a small device before it is taken. Pure.

Its templates may be right in grammar and still ask for what they are not given; then no device
could be made from it.
"""

from collections.abc import Mapping

from gridtalk.devicetalk.config import BasicFile, Config, config_read, refusal
from gridtalk.devicetalk.render import device_context
from gridtalk.devicetalk.render_env import template_faults
from gridtalk.devicetalk.render_function import function_context
from gridtalk.devicetalk.render_tokens import VARIABLE_SETUP
from gridtalk.devicetalk.tree import (
    LIMITS,
    SECTIONS,
    Device,
    DfType,
    Direction,
    Feature,
    GlobalVariables,
    InvalidTree,
    LibraryFunction,
    Limits,
    SaFunction,
    Tree,
)

_PARAMS = ("int", "float", "string")
_SETUP = "pin = 4"
_LIBRARY_FUNCTION = LibraryFunction("sample", "read", dict.fromkeys(SECTIONS, "sample"))


def basic_file_check(*, name: str, language: str, tree: Tree, limits: Limits = LIMITS) -> BasicFile:
    """As :func:`~gridtalk.devicetalk.config.basic_file_read`, and its templates are run as well.

    Raises :class:`InvalidTree` with everything that is wrong, what a template asks for and is not
    given among it: file, line and what is undefined.
    """
    config, problems = config_read(tree, limits)
    if config is not None:
        faulty = {problem.path for problem in problems}
        problems += [
            problem
            for path, contexts in _contexts(config).items()
            if path in tree and path not in faulty
            for problem in template_faults(tree, path, contexts)
        ]
    if problems or config is None:
        raise InvalidTree(refusal(name), tuple(dict.fromkeys(problems)))
    return BasicFile(name=name, language=language, tree=tree, config=config)


def _contexts(config: Config) -> dict[str, list[Mapping[str, object]]]:
    """Each template's path, and the contexts that it is tried with."""
    devices = [device_context(device, "0" * 16) for device in (_device(), _device(bare=True))]
    found: dict[str, list[Mapping[str, object]]] = {
        path: list(devices) for path in (*config.sa, config.safuncs)
    }
    kinds: tuple[tuple[str, Direction], ...] = ((config.idf, "idf"), (config.odf, "odf"))
    for path, direction in kinds:
        df_type = DfType(direction, _PARAMS)
        found.setdefault(path, []).extend(
            function_context(df_type, source) for source in (None, _LIBRARY_FUNCTION)
        )
    return found


def _device(*, bare: bool = False) -> Device:
    """A device with some features of both kinds; a ``bare`` one has no text that may be absent."""
    kinds: tuple[Direction, ...] = ("idf", "odf")
    types = {kind: DfType(kind, _PARAMS) for kind in kinds}
    code = ("sample",) if bare else ("sample", f"    {VARIABLE_SETUP}")
    return Device(
        name="Sample",
        device_model="Sample_Model",
        features=tuple(
            Feature(f"Sample{n}-{kind[0].upper()}", types[kind], "sample", "" if bare else _SETUP)
            for kind in kinds
            for n in range(3)
        ),
        functions=tuple(SaFunction("sample", types[kind], code, (0,)) for kind in kinds),
        global_variables=GlobalVariables("" if bare else "sample = 1", () if bare else (0,)),
        server_url="" if bare else "http://example.org/iottalk/v2",
        device_address="" if bare else "00000000-0000-4000-8000-000000000000",
    )
