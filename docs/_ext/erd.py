"""The ``erd`` directive: an entity-relationship diagram of the models that it names.

::

    ```{erd} Meters, circuits and accounts
    grid.Meter
    grid.Circuit
    ```

Drawn from the models whenever the documentation is built; a table that one of them points to and
that is not named appears as a dashed box without columns. ``:overview:`` draws all tables without
columns, each family as one box; it takes no names. A model which no diagram shows, and a name which
is no model, fail the build.
"""

from typing import Any, ClassVar

from django.apps import apps
from django.db import connection, models
from docutils import nodes
from docutils.parsers.rst import directives
from erd_layout import Box, Link, Row, draw
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

log = logging.getLogger(__name__)

SHORT = {
    "timestamp with time zone": "timestamptz",
    "character varying": "varchar",
    "double precision": "double",
    "boolean": "bool",
}


def own_models() -> list[type[models.Model]]:
    """All tables that Gridtalk makes, not those of the libraries that it uses."""
    return [model for model in apps.get_models() if model.__module__.startswith("gridtalk.")]


def column_type(field: Any) -> str:
    """The column's type as PostgreSQL knows it, in short words."""
    text = str(field.db_type(connection))
    for long, short in SHORT.items():
        text = text.replace(long, short)
    return text.replace(", ", ",")


def parents(model: type[models.Model]) -> list[type[models.Model]]:
    """The tables with which the model shares its key."""
    return [parent for parent in model._meta.parents if parent is not None]


def is_parent_link(field: Any) -> bool:
    """Whether the field is the shared key of a child table."""
    return bool(field.remote_field and getattr(field.remote_field, "parent_link", False))


def href(model: type[models.Model]) -> str:
    """The anchor which autodoc gives the model on the data-model page."""
    return f"#{model.__module__}.{model.__qualname__}"


def columns(model: type[models.Model]) -> list[Any]:
    """The table's own columns, its key first."""
    fields = list(model._meta.local_concrete_fields)
    return sorted(fields, key=lambda field: not field.primary_key)


def is_unique(field: Any) -> bool:
    """Whether the column alone is unique, by itself or by a constraint."""
    return not field.primary_key and (
        field.unique
        or any(
            isinstance(held, models.UniqueConstraint)
            and held.fields == (field.name,)
            and held.condition is None
            for held in field.model._meta.constraints
        )
    )


def rows(model: type[models.Model]) -> tuple[Row, ...]:
    """The table's columns; ``?`` may be null, ``U`` unique."""
    found = []
    for field in columns(model):
        marks = ("?" if field.null else "") + (" U" if is_unique(field) else "")
        found.append(Row(str(field.column), column_type(field) + marks, key=field.primary_key))
    return tuple(found)


def links(model: type[models.Model]) -> list[Link]:
    """The table's foreign keys, its shared key among them."""
    found = []
    for number, field in enumerate(columns(model)):
        if field.remote_field:
            target = field.remote_field.model
            found.append(
                Link(
                    model._meta.label,
                    number,
                    target._meta.label,
                    inherits=is_parent_link(field),
                    nullable=field.null,
                )
            )
    return found


def tables(named: list[type[models.Model]]) -> tuple[list[Box], list[Link]]:
    """Boxes with columns for the models named, ghosts for what they point to."""
    boxes = [Box(m._meta.label, m._meta.db_table, rows(m), href(m)) for m in named]
    found = [link for model in named for link in links(model)]
    shown = {box.id for box in boxes}
    for label in dict.fromkeys(link.target for link in found if link.target not in shown):
        model = apps.get_model(label)
        boxes.append(Box(label, model._meta.db_table, (), href(model), ghost=True))
    return boxes, found


def overview() -> tuple[list[Box], list[Link]]:
    """Every table; a family is one box, with its child tables as rows."""
    everything = own_models()
    bases = [model for model in everything if not parents(model)]
    boxes, found = [], []
    for base in bases:
        children = [model for model in everything if base in parents(model)]
        names = tuple(Row(child._meta.db_table) for child in children)
        boxes.append(Box(base._meta.label, base._meta.db_table, names, href(base)))
        seen = set()
        for number, model in [(-1, base), *enumerate(children)]:
            for field in model._meta.local_concrete_fields:
                if not field.remote_field or is_parent_link(field):
                    continue
                target = field.remote_field.model
                top = (parents(target) or [target])[0]
                if (number, top) not in seen:
                    seen.add((number, top))
                    found.append(Link(base._meta.label, number, top._meta.label))
    return boxes, found


def remembered(env: BuildEnvironment, name: str) -> set[str]:
    """A set kept with the environment, so that it outlasts this build."""
    if not hasattr(env, name):
        setattr(env, name, set())
    found: set[str] = getattr(env, name)
    return found


class ErdDirective(SphinxDirective):
    """See the module."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"overview": directives.flag}

    def run(self) -> list[nodes.Node]:
        """The picture as inline SVG, whose titles link to the text and which follows the theme."""
        title = self.arguments[0]
        if "overview" in self.options:
            boxes, lines = overview()
        else:
            try:
                named = [apps.get_model(line.strip()) for line in self.content if line.strip()]
            except (LookupError, ValueError) as error:
                raise self.error(f"erd “{title}”: {error}") from None
            remembered(self.env, "erd_models").update(model._meta.label for model in named)
            boxes, lines = tables(named)
        remembered(self.env, "erd_pages").add(self.env.docname)
        picture_id = f"erd{self.env.new_serialno('erd')}"
        svg = draw(boxes, lines, title=title, picture_id=picture_id)
        css = "erd-frame wide" if "overview" in self.options else "erd-frame"
        return [nodes.raw("", f'<div class="{css}">{svg}</div>', format="html")]


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of models which no diagram shows."""
    shown = remembered(env, "erd_models")
    for model in own_models():
        if model._meta.label not in shown:
            log.warning("no erd shows the model %s", model._meta.label, type="erd")


def outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> set[str]:
    """Pages with diagrams are read at every build: Sphinx cannot see the models they depend on."""
    return remembered(env, "erd_pages") - removed


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.connect("env-get-outdated", outdated)
    app.add_directive("erd", ErdDirective)
    app.connect("env-check-consistency", check)
    return {"version": "1", "parallel_read_safe": False, "env_version": 1}
