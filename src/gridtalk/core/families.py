"""Shared-key inheritance: a base table and child tables which share one primary key, ``id``.

The Gateway's seed asks for it: a query on the base sees every job, message, alert or log; the
``kind`` column tells which child table holds the rest. The ORM does it, not PostgreSQL's INHERITS.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import models


def parent_link(base: type[models.Model] | str) -> models.OneToOneField[Any, Any]:
    """The child's link to its base: its primary key, in the column ``id``."""
    return models.OneToOneField(
        base, on_delete=models.CASCADE, parent_link=True, primary_key=True, db_column="id"
    )


class FamilyBase(models.Model):
    """Base of a family. A child names itself in ``KIND``; saving writes it to ``kind``."""

    KIND: ClassVar[str] = ""

    kind = models.CharField(max_length=32, editable=False)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, with ``kind`` set from the class; a bare base row is refused."""
        if not self.kind:
            if not self.KIND:
                raise TypeError(f"{type(self).__name__} is a base: save one of its children")
            self.kind = self.KIND
        super().save(*args, **kwargs)


class Family:
    """The members of one family, in an explicit list.

    ``base`` and ``members`` are model labels (``"jobs.Job"``), so that a base's app need not import
    its children's. A kind which two members claim, or an unknown one, is an error at first use.
    """

    def __init__(self, base: str, members: Sequence[str]) -> None:
        self.base_label = base
        self.member_labels = tuple(members)
        self._by_kind: dict[str, type[FamilyBase]] | None = None

    @property
    def by_kind(self) -> dict[str, type[Any]]:
        """The members' models by kind."""
        if self._by_kind is None:
            found: dict[str, type[FamilyBase]] = {}
            for label in self.member_labels:
                model = apps.get_model(label)
                if not issubclass(model, FamilyBase) or not model.KIND:
                    raise ImproperlyConfigured(f"{label} has no KIND")
                if model.KIND in found:
                    raise ImproperlyConfigured(
                        f"{label} and {found[model.KIND].__name__} are both of kind {model.KIND}"
                    )
                found[model.KIND] = model
            self._by_kind = found
        return self._by_kind

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds, in the order of the list."""
        return tuple(self.by_kind)

    def model(self, kind: str) -> type[Any]:
        """The model of a kind; :class:`ImproperlyConfigured` if nobody listed it."""
        try:
            return self.by_kind[kind]
        except KeyError:
            raise ImproperlyConfigured(
                f"no {self.base_label} of kind “{kind}”; there are: {', '.join(self.kinds)}"
            ) from None

    def children(self, bases: Iterable[FamilyBase]) -> list[Any]:
        """The base rows as instances of their children, in the same order; a query per kind met."""
        rows = list(bases)
        found: dict[Any, Any] = {}
        for kind in {row.kind for row in rows}:
            ids = [row.pk for row in rows if row.kind == kind]
            found.update(self.model(kind).objects.in_bulk(ids))
        return [found[row.pk] for row in rows]

    def child(self, base: FamilyBase) -> Any:
        """One base row as its child."""
        return self.children([base])[0]
