"""From a basic file, libraries and a device to the device's code. Pure; the same input, same bytes.

Source: ``spec/devicetalk.md``, sections 3 and 7.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gridtalk.devicetalk.config import BasicFile
from gridtalk.devicetalk.merge import files_merge
from gridtalk.devicetalk.render_check import device_problems
from gridtalk.devicetalk.render_env import environment_make, template_render
from gridtalk.devicetalk.render_function import params_context
from gridtalk.devicetalk.render_tokens import FunctionCode, identifier, tokens_replace
from gridtalk.devicetalk.tree import (
    Device,
    DfType,
    Feature,
    InvalidTree,
    Library,
    Place,
    Problem,
    Rendered,
    SaFunction,
)
from gridtalk.devicetalk.tree_paths import clash_problems, safe_name
from gridtalk.devicetalk.ziptree import zip_make


@dataclass(frozen=True, slots=True)
class _Part:
    """One DF in use, its function, and the code made from both."""

    feature: Feature
    function: SaFunction
    code: FunctionCode


def device_render(
    *, basic_file: BasicFile, device: Device, libraries: Sequence[Library]
) -> Rendered:
    """The files of a device: SA files, the basic file's others, libraries, its device library.

    ``libraries`` are those chosen and those which they depend on; their order decides nothing here
    (:mod:`gridtalk.devicetalk.merge` has used it). Raises
    :class:`~gridtalk.devicetalk.tree.InvalidTree` with all that is wrong with the device, or with
    the file, line and cause of a template's fault.
    """
    config = basic_file.config
    if problems := device_problems(device, config):
        raise InvalidTree(f"The device {device.name!r} is not ready:", tuple(problems))
    library_files = files_merge(libraries)
    parts = _parts(device)
    context = _context(device, parts, device_version(basic_file, device, libraries))
    environment = environment_make(basic_file.tree)
    files: dict[str, bytes] = {}
    places: list[Place] = []
    for path in (*config.sa, config.safuncs):
        text = template_render(environment, path, context)
        out = config.out_path(path, device.name)
        files[out] = _encoded(path, text)
        places += _places(out, text, parts)
    kept = basic_file.tree.keys() - config.hidden - set(config.sa)
    problems = []
    others = [(config.out_path(path, device.name), basic_file.tree[path]) for path in sorted(kept)]
    # A device that chose its own device library makes that one's file anew.
    made_anew = {
        path for library in libraries if library.is_device_library for path in library.files
    }
    others += [
        (config.lib_root + path, content)
        for path, content in sorted(library_files.items())
        if not (path in made_anew and config.lib_root + path in files)
    ]
    for out, content in others:
        if files.get(out, content) != content:
            problems.append(Problem(out, "the basic file and a library both bring this file"))
        files[out] = content
    problems += clash_problems(files)
    if problems:
        raise InvalidTree("The device's files do not fit together:", tuple(problems))
    return Rendered(dict(sorted(files.items())), tuple(places))


def device_zip(*, device_name: str, rendered: Rendered) -> bytes:
    """The zip of a rendered device: one folder, safely named after it, with all its files."""
    return zip_make(rendered.files, safe_name(device_name))


def device_version(basic_file: BasicFile, device: Device, libraries: Sequence[Library]) -> str:
    """A content hash (16 hexadecimal digits) of all that the device's code is made from.

    Generated code carries it in its profile, so that the server can tell which version runs.
    """
    digest = hashlib.sha256()
    # The same code saved again, in whatever order, is the same version. The device's features keep
    # theirs: code is made in it. ASCII, for any text has a hash.
    functions = sorted(ascii(replace(function, updated_at=None)) for function in device.functions)
    digest.update(ascii(replace(device, functions=())).encode())
    digest.update("\n".join(functions).encode())
    trees = [basic_file.tree, *(x.files for x in sorted(libraries, key=lambda x: x.name))]
    for tree in trees:
        for path in sorted(tree):
            digest.update(f"\n{len(tree[path])} {path}\n".encode())
            digest.update(tree[path])
    return digest.hexdigest()[:16]


def device_context(device: Device, version: str) -> Mapping[str, object]:
    """What the SA templates are given (``spec/devicetalk.md``, section 3, step 3)."""
    return _context(device, _parts(device), version)


def _parts(device: Device) -> list[_Part]:
    """The DFs in use, those of input first, in the device's order."""
    functions = {(function.df_type, function.name): function for function in device.functions}
    parts = []
    for feature in device.features:
        if feature.in_use:
            function = functions[feature.df_type, feature.function or ""]
            code = tokens_replace(
                code=function.code, df_name=feature.name, var_setup=feature.var_setup
            )
            parts.append(_Part(feature, function, code))
    return sorted(parts, key=lambda part: part.feature.df_type.direction)


def _context(device: Device, parts: Sequence[_Part], version: str) -> Mapping[str, object]:
    return {
        "sa": {
            "device_name": device.name,
            "safe_name": safe_name(device.name),
            "global_variable_setup": device.global_variables.text,
            "version": version,
        },
        "da": {
            "server_url": device.server_url,
            "device_model": device.device_model,
            "device_addr": device.device_address,
            "push_interval": device.push_interval_s,
        },
        "functions": [_function_context(part) for part in parts],
        "idf": _features_context(
            [p.feature for p in parts if p.feature.df_type.direction == "idf"]
        ),
        "odf": _features_context(
            [p.feature for p in parts if p.feature.df_type.direction == "odf"]
        ),
    }


def _function_context(part: _Part) -> dict[str, object]:
    """One DF's function; the lists are 0-based, ``var_setup_start_line`` is -1 for none."""
    readonly = {("code", number) for number in part.function.readonly_lines}
    return {
        "content": "\n".join(part.code.lines),
        "name": part.function.name,
        "type": part.feature.df_type.direction,
        "df_name": part.feature.name,
        "func_name": identifier(part.feature.name),
        "var_setup": part.feature.var_setup,
        "var_setup_start_line": part.code.var_setup_start_line,
        "var_setup_indent_num": part.code.var_setup_indent,
        "lines": part.code.lines,
        "ro_lines": [i for i, origin in enumerate(part.code.origins) if origin in readonly],
    }


def _features_context(features: Sequence[Feature]) -> dict[str, object]:
    params: dict[DfType, dict[str, object]] = {
        f.df_type: params_context(f.df_type) for f in features
    }
    return {
        "name_list": [feature.name for feature in features],
        "info": [
            {
                "name": feature.name,
                "func_name": identifier(feature.name),
                "params": params[feature.df_type],
            }
            for feature in features
        ],
    }


def _encoded(path: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        cause = "it would hold half a surrogate pair, which is no character"
        raise InvalidTree("The code cannot be written:", (Problem(path, cause, line),)) from error


def _places(path: str, text: str, parts: Sequence[_Part]) -> list[Place]:
    """Where each DF's code stands in a rendered file, if the template left it in one piece."""
    places = []
    position = 0
    for part in parts:
        content = "\n".join(part.code.lines)
        if not content:
            continue
        # The same code may stand there for several DFs: each is looked for behind the last.
        found = text.find(content, position)
        if found < 0 and (found := text.find(content)) < 0:
            continue
        position = found + len(content)
        places.append(
            Place(
                path=path,
                first_line=text.count("\n", 0, found) + 1,
                df_name=part.feature.name,
                direction=part.feature.df_type.direction,
                function=part.function.name,
                origins=part.code.origins,
            )
        )
    return places
