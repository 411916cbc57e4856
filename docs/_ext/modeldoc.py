"""What autodoc says of a model: its docstring, then every field and what the database holds.

Also the ``model-map`` directive, the table from a seed's names to ours: lines of
``seed's model | old table | our model``, where ours is looked up, so that it cannot go stale. Both
write reStructuredText, so on a MyST page they stand in ``eval-rst``. A model of Gridtalk's that no
page documents fails the build.
"""

from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db import models
from django.db.models.fields import NOT_PROVIDED
from docutils import nodes
from docutils.statemachine import StringList
from erd import column_type, columns, is_parent_link, is_unique, own_models
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

log = logging.getLogger(__name__)

HEADINGS = ("Field", "Type", "Null", "Unique", "Notes")
LOOKUPS = {
    "": "=",
    "exact": "=",
    "gt": ">",
    "gte": "≥",
    "lt": "<",
    "lte": "≤",
    "in": "one of",
    "regex": "matches",
}


def model_role(model: type[models.Model]) -> str:
    """A cross-reference to the model."""
    return f":py:class:`{model.__name__} <{model.__module__}.{model.__qualname__}>`"


def condition_text(condition: Any) -> str:
    """A ``Q`` in words: ``kind = incoming and state = received``."""
    if isinstance(condition, models.Q):
        parts = [condition_text(child) for child in condition.children]
        joined = f" {condition.connector.lower()} ".join(
            f"({part})" if " or " in part or (" and " in part and len(parts) > 1) else part
            for part in parts
        )
        return f"not ({joined})" if condition.negated else joined
    name, value = condition
    field, _, lookup = name.partition("__")
    if lookup == "isnull":
        return f"{field} is null" if value else f"{field} is not null"
    if isinstance(value, models.F):
        value = expression_text(value)
    if (lookup, value) == ("gt", ""):
        return f"{field} is not empty"
    if isinstance(value, (list, tuple)):
        value = ", ".join(str(part) for part in value)
    if value == "":
        value = "empty"
    return f"{field} {LOOKUPS[lookup]} {value}"


def expression_text(expression: Any) -> str:
    """An expression of a constraint in words: ``upper(pin)``."""
    if isinstance(expression, models.Func):
        inner = ", ".join(expression_text(part) for part in expression.get_source_expressions())
        return f"{str(expression.function or type(expression).__name__).lower()}({inner})"
    return str(getattr(expression, "name", expression))


def constraint_text(constraint: models.BaseConstraint) -> str:
    """What one constraint holds."""
    if isinstance(constraint, models.UniqueConstraint):
        columns = ", ".join(constraint.fields) or ", ".join(
            expression_text(part) for part in constraint.expressions
        )
        where = f" where {condition_text(constraint.condition)}" if constraint.condition else ""
        return f"``{constraint.name}``: unique {columns}{where}"
    if isinstance(constraint, models.CheckConstraint):
        return f"``{constraint.name}``: {condition_text(constraint.condition)}"
    return f"``{constraint.name}``"


def default_text(field: Any) -> str:
    """A plain default; nothing where it is computed or empty."""
    default = field.default
    if default is NOT_PROVIDED or callable(default) or default in ("", None):
        return ""
    return f"{default.total_seconds():.0f} s" if isinstance(default, timedelta) else str(default)


def notes(field: Any) -> str:
    """What else is to be known of a field."""
    found = []
    if is_parent_link(field):
        found.append(
            f"column ``{field.column}``, shared with {model_role(field.remote_field.model)}"
        )
    elif field.remote_field:
        found.append(f"→ {model_role(field.remote_field.model)}")
    if field.help_text:
        found.append(str(field.help_text))
    if field.choices and len(field.choices) <= 12:
        found.append("one of " + ", ".join(f"``{value}``" for value, _label in field.choices))
    if default_text(field):
        found.append(f"default ``{default_text(field)}``")
    if type(field).__name__ == "EncryptedTextField":
        found.append("encrypted at rest")
    return "; ".join(found)


def field_rows(model: type[models.Model]) -> list[tuple[str, ...]]:
    """The table's own fields, as :data:`HEADINGS`."""
    return [
        (
            f"``{field.name}``",
            f"``{column_type(field)}``",
            "yes" if field.null else "",
            "key" if field.primary_key else "yes" if is_unique(field) else "",
            notes(field),
        )
        for field in columns(model)
    ]


def list_table(headings: tuple[str, ...], table: list[tuple[str, ...]], css: str) -> list[str]:
    """reStructuredText of a table."""
    lines = ["", ".. list-table::", "   :header-rows: 1", f"   :class: {css}", ""]
    for row in [headings, *table]:
        for number, cell in enumerate(row):
            lines.append(f"   {'* -' if number == 0 else '  -'} {cell}".rstrip())
    return [*lines, ""]


def model_of(obj: Any) -> type[models.Model] | None:
    """The object where it is a model with a table."""
    is_model = isinstance(obj, type) and issubclass(obj, models.Model) and not obj._meta.abstract
    return obj if is_model else None


def docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Append the fields and constraints to a model's docstring."""
    model = model_of(obj)
    if what != "class" or model is None:
        return
    kind = getattr(model, "KIND", "")
    about = f"Table ``{model._meta.db_table}``" + (f", kind ``{kind}``." if kind else ".")
    lines += ["", about, *list_table(HEADINGS, field_rows(model), "fields")]
    if model._meta.constraints:
        lines += ["Held by the database:", ""]
        lines += [f"* {constraint_text(constraint)}" for constraint in model._meta.constraints]
        lines.append("")


def signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, sig: str | None, returns: str | None
) -> tuple[str, None] | None:
    """A model has no signature worth reading."""
    return ("", None) if what == "class" and model_of(obj) else None


class ModelMap(SphinxDirective):
    """See the module."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The table, with our table's name and a link."""
        table: list[tuple[str, ...]] = []
        for line in self.content:
            if not line.strip():
                continue
            try:
                seed, old, label = (part.strip() for part in line.split("|"))
                model = apps.get_model(label)
            except (LookupError, ValueError) as error:
                raise self.error(f"model-map “{line}”: {error}") from None
            old_table = f"``{old}``" if old else "—"
            table.append((seed or "—", old_table, model_role(model), f"``{model._meta.db_table}``"))
        headings = ("In the seed", "Table in 2012", "Our model", "Our table")
        container = nodes.container()
        lines = list_table(headings, table, "fields")
        self.state.nested_parse(StringList(lines, self.env.docname), self.content_offset, container)
        return list(container.children)


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of models which no page documents."""
    documented = set(env.domaindata["py"]["objects"])
    for model in own_models():
        if f"{model.__module__}.{model.__qualname__}" not in documented:
            log.warning("no page documents the model %s", model._meta.label, type="modeldoc")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hooks and the directive."""
    app.connect("autodoc-process-docstring", docstring)
    app.connect("autodoc-process-signature", signature)
    app.connect("env-check-consistency", check)
    app.add_directive("model-map", ModelMap)
    return {"version": "1", "parallel_read_safe": True}
