"""A new SA function, from a basic file's template and perhaps a library's function. Pure."""

from gridtalk.devicetalk.config import BasicFile
from gridtalk.devicetalk.render_env import environment_make, template_render
from gridtalk.devicetalk.render_tokens import NEW_LINE, setup_lines
from gridtalk.devicetalk.tree import SECTIONS, DfType, LibraryFunction, SaFunction


def params_context(df_type: DfType) -> dict[str, object]:
    """``params{list, set, len, set_len}`` of a DF type."""
    unique = tuple(dict.fromkeys(df_type.params))
    return {
        "list": df_type.params,
        "set": unique,
        "len": len(df_type.params),
        "set_len": len(unique),
    }


def function_context(
    df_type: DfType, library_function: LibraryFunction | None
) -> dict[str, object]:
    """What a new-function template is given (``spec/devicetalk.md``, section 3, step 1)."""
    return {
        "params": params_context(df_type),
        "lib": _sections(library_function),
        "lib_ref": {
            "is_ref": library_function is not None,
            "function_name": library_function.name if library_function else "",
            "library_name": library_function.library if library_function else "",
        },
    }


def _sections(library_function: LibraryFunction | None) -> dict[str, str]:
    """Every section, empty where the function lacks it; an installation may have more than ours."""
    return dict.fromkeys(SECTIONS, "") | dict(library_function.fields if library_function else {})


def function_new(
    *,
    basic_file: BasicFile,
    df_type: DfType,
    name: str,
    library_function: LibraryFunction | None = None,
) -> SaFunction:
    """Render the new-function template for a DF type.

    Blank lines are dropped; every line is read-only but those made by ``{*new_line*}``, which are
    empty. The variable setup is the library function's ``var_define``. Raises
    :class:`~gridtalk.devicetalk.tree.InvalidTree` where the template fails.
    """
    config = basic_file.config
    context = function_context(df_type, library_function)
    path = config.idf if df_type.direction == "idf" else config.odf
    text = template_render(environment_make(basic_file.tree), path, context)
    code: list[str] = []
    readonly: list[int] = []
    for line in text.split("\n"):
        if line.strip() == NEW_LINE:
            code.append("")
        elif line.strip():
            readonly.append(len(code))
            code.append(line)
    return SaFunction(
        name=name,
        df_type=df_type,
        code=tuple(code),
        readonly_lines=tuple(readonly),
        var_setup=tuple(setup_lines(_sections(library_function)["var_define"])),
        library_ref=(library_function.library, library_function.name) if library_function else None,
    )


def function_import_name(library_function: LibraryFunction) -> str:
    """What an SA function made from a library's function is called: ``<function>_<library>``."""
    return f"{library_function.name}_{library_function.library}"
