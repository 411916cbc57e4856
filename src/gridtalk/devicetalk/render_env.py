"""The Jinja2 environment of basic files: sandboxed, strict, with the same output every time. Pure.

Only files of a basic file are templates, and administrators write those. What users write reaches
them as values, and a value is never a template.
"""

import traceback
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import CodeType
from typing import Any

from jinja2 import StrictUndefined, TemplateNotFound, TemplateSyntaxError
from jinja2.exceptions import SecurityError
from jinja2.loaders import FunctionLoader
from jinja2.sandbox import ImmutableSandboxedEnvironment

from gridtalk.devicetalk.tree import InvalidTree, Problem, Tree

#: Marks the frames of a traceback that are lines of a template.
_MARK = "basic file: "
#: The longest text or list that a template may make by multiplication.
_LARGEST_PRODUCT = 1_000_000
_LARGEST_POWER = 64


def pystr(value: object) -> str:
    """A string literal of Python that means exactly ``value``, which must be a text."""
    return repr(_text("pystr", value))


_C_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "?": "\\?"}


def cstr(value: object) -> str:
    """A string literal of C and C++ that means exactly ``value`` in UTF-8.

    Question marks are escaped because of trigraphs; other control characters are three-digit octal
    numbers, which no following digit can lengthen.
    """
    characters = []
    for character in _text("cstr", value):
        if character in _C_ESCAPES:
            characters.append(_C_ESCAPES[character])
        elif character.isprintable():
            characters.append(character)
        else:
            characters.extend(f"\\{byte:03o}" for byte in character.encode())
    return f'"{"".join(characters)}"'


def _text(filter_name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"the filter {filter_name} takes a text, not {type(value).__name__}")
    return str(value)


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, and neither products nor powers that would fill the memory."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """``left * right`` and ``left ** right``, where the result has a sensible size."""
        if operator == "**" and abs(right) > _LARGEST_POWER:
            raise SecurityError(f"a power may have an exponent up to {_LARGEST_POWER}")
        for one, other in ((left, right), (right, left)):
            if (
                operator == "*"
                and isinstance(one, (str, bytes, list, tuple))
                and isinstance(other, int)
                and len(one) * other > _LARGEST_PRODUCT
            ):
                raise SecurityError(f"a product may have up to {_LARGEST_PRODUCT} parts")
        return super().call_binop(context, operator, left, right)


class _Remembering(_Environment):
    """Compiles a template once: many devices are made from few."""

    def compile(  # type: ignore[override]  # jinja2 has two overloads, for raw
        self,
        source: str,
        name: str | None = None,
        filename: str | None = None,
        raw: bool = False,
        defer_init: bool = False,
    ) -> Any:
        """As Jinja2's; a template with a mistake is not remembered."""
        if raw:
            return super().compile(source, name, filename, raw, defer_init)
        return template_compile(source, name, filename)


@lru_cache(maxsize=256)
def template_compile(source: str, name: str | None, filename: str | None) -> CodeType:
    """The code of a template. It is the same for every tree, as they differ in loaders alone."""
    return _configured(_Environment()).compile(source, name, filename)


def template_text(tree: Tree, path: str) -> str:
    """The text of a template; raises :class:`InvalidTree` where it is absent or not UTF-8."""
    if path not in tree:
        raise InvalidTree("The basic file is wrong:", (Problem(path, "the file is missing"),))
    try:
        return tree[path].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = tree[path][: error.start].count(b"\n") + 1
        problem = Problem(path, "a template must be UTF-8 text", line)
        raise InvalidTree("The basic file is wrong:", (problem,)) from error


def environment_make(tree: Tree) -> ImmutableSandboxedEnvironment:
    """An environment whose templates are the files of that tree."""

    def load(name: str) -> tuple[str, str, Callable[[], bool]] | None:
        return (template_text(tree, name), _MARK + name, lambda: True) if name in tree else None

    return _configured(_Remembering(loader=FunctionLoader(load)))


def _configured(environment: _Environment) -> _Environment:
    environment.autoescape = False  # the output is code, not HTML; pystr and cstr escape strings
    environment.undefined = StrictUndefined
    environment.keep_trailing_newline = True
    # Chance has no place in a build: the same input gives the same bytes.
    del environment.globals["lipsum"], environment.filters["random"]
    environment.filters.update({"pystr": pystr, "cstr": cstr})
    return environment


def template_problem(tree: Tree, path: str) -> Problem | None:
    """What is wrong with a template's syntax, without running it."""
    try:
        # Compiled, since the parser alone does not know the filters; and remembered, as it is what
        # the loader asks for next.
        template_compile(template_text(tree, path), path, _MARK + path)
    except TemplateSyntaxError as error:
        return Problem(path, error.message or "a mistake in the template", error.lineno)
    except InvalidTree as error:
        return error.problems[0]
    return None


def template_render(
    environment: ImmutableSandboxedEnvironment, path: str, context: Mapping[str, object]
) -> str:
    """Run one template; whatever goes wrong becomes an :class:`InvalidTree` with file and line."""
    try:
        return environment.get_template(path).render(context)
    except InvalidTree:
        raise
    except TemplateSyntaxError as error:
        problem = Problem(error.name or path, error.message or "a mistake", error.lineno)
        raise InvalidTree("The template cannot be read:", (problem,)) from error
    except Exception as error:  # a template can raise whatever Python can
        file, line = _where(error, path)
        if isinstance(error, TemplateNotFound):
            cause = f"there is no file {error.name} in the basic file"
        else:
            cause = str(error) or type(error).__name__
        raise InvalidTree("The template failed:", (Problem(file, cause, line),)) from error


def _where(error: BaseException, path: str) -> tuple[str, int]:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith(_MARK):
            return frame.filename.removeprefix(_MARK), frame.lineno or 0
    return path, 0
