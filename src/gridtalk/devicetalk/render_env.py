"""The Jinja2 environment of basic files: sandboxed, strict, with the same output every time. Pure.

Only files of a basic file are templates, and administrators write those. What users write reaches
them as values, and a value is never a template.
"""

import inspect
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import CodeType
from typing import Any

from jinja2 import StrictUndefined, TemplateNotFound, TemplateSyntaxError, Undefined
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
    if isinstance(value, Undefined):
        return str(value)  # which says what is undefined
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


def template_faults(
    tree: Tree, path: str, contexts: Iterable[Mapping[str, object]]
) -> list[Problem]:
    """What goes wrong when a template is run with these contexts, each fault once.

    Whatever is undefined is noted, and the template goes on; any other fault ends it.
    """
    noted: dict[Problem, None] = {}
    environment = environment_make(tree)
    environment.undefined = _noting(noted)
    for context in contexts:
        before = len(noted)
        try:
            template_render(environment, path, context)
        except InvalidTree as error:
            # A failure after something undefined may be no more than its consequence.
            own = isinstance(error.__cause__, (TemplateNotFound, TemplateSyntaxError))
            if own or len(noted) == before:
                noted |= dict.fromkeys(error.problems)
    return list(noted)


def _noting(noted: dict[Problem, None]) -> type[Undefined]:
    """A kind of undefined that notes where it was used, and then is empty."""

    def note(self: Undefined) -> None:
        frame = inspect.currentframe()
        while frame is not None and "__jinja_template__" not in frame.f_globals:
            frame = frame.f_back
        if frame is not None:
            template = frame.f_globals["__jinja_template__"]
            line = template.get_corresponding_lineno(frame.f_lineno)
            noted[Problem(template.name, self._undefined_message, line)] = None

    def noted_as(value: object) -> Callable[..., Any]:
        """A method that notes, and gives that; itself for None."""

        def method(self: Undefined, *_: object, **__: object) -> object:
            note(self)
            return self if value is None else value

        return method

    def attribute(self: Undefined, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        note(self)
        return self

    values: dict[str, object] = {
        "str": "",
        "len": 0,
        "bool": False,
        "int": 0,
        "index": 0,
        "float": 0.0,
        "hash": 0,
    }
    values |= dict.fromkeys(("eq", "lt", "le", "gt", "ge", "contains"), False) | {"ne": True}
    own = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
    values |= dict.fromkeys((*own, *(f"r{name}" for name in own), "neg", "pos"))
    values |= dict.fromkeys(("call", "getitem"))
    members: dict[str, Any] = {f"__{name}__": noted_as(value) for name, value in values.items()}
    members["__iter__"] = lambda self: iter(noted_as(())(self))
    members["__getattr__"] = attribute
    return type("Noting", (Undefined,), {"__slots__": (), **members})


def _where(error: BaseException, path: str) -> tuple[str, int]:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith(_MARK):
            return frame.filename.removeprefix(_MARK), frame.lineno or 0
    return path, 0
