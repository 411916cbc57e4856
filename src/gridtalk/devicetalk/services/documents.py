"""Saving a device from a document: what the API takes, and ``gridtalk generate`` reads."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from django.db import transaction

from gridtalk.core.errors import NotFound, UserError
from gridtalk.devicetalk import config, engine, tree
from gridtalk.devicetalk.device_file import KnownTypes, feature_type
from gridtalk.devicetalk.device_file_schema import (
    DeviceDocument,
    DeviceLibraryName,
    FeaturePart,
    Folder,
    FunctionPart,
    GlobalVariablesPart,
)
from gridtalk.devicetalk.models import (
    BasicFile,
    Device,
    DeviceDf,
    DeviceLibrary,
    DeviceModelFeature,
    DfType,
    Library,
    LibraryFunction,
    SaFunction,
)
from gridtalk.devicetalk.selectors import basic_file_get, selection_get
from gridtalk.devicetalk.services.catalogue import df_type_get
from gridtalk.devicetalk.services.device_spec import (
    Chosen,
    DeviceSpec,
    Df,
    Use,
    plain_problems,
    plain_type,
)
from gridtalk.devicetalk.services.devices import DeviceSaved, device_save
from gridtalk.devicetalk.services.devices_lock import device_lock
from gridtalk.devicetalk.services.functions import (
    function_create,
    function_new,
    function_write,
    functions_hold,
    functions_usable,
)
from gridtalk.devicetalk.services.functions_draft import Draft, ReadonlyChanged
from gridtalk.devicetalk.services.joining import functions_join
from gridtalk.users.models import User

_Key = tuple[tree.DfType, str]
_Made = TypeVar("_Made")


@transaction.atomic
def device_document_save(
    *,
    user: User | None,
    document: DeviceDocument,
    device: Device | None = None,
    revision: int | None = None,
) -> DeviceSaved:
    """Save a document as a new device of that user, or as what ``device`` is from now on.

    Functions that the device, or a device library which it chooses, has as they are stay the same
    rows; changed ones are saved by the rules of
    :func:`~gridtalk.devicetalk.services.functions.function_write` for all features that use them;
    new ones are made. A function without ``code`` stays as the device has it, or is made by the
    template. One that refers to a library which is not chosen is left out. Raises as
    :func:`~gridtalk.devicetalk.services.devices.device_save`, and :class:`NotFound` where there is
    no such basic file.
    """
    if isinstance(document.basic_file, Folder):
        raise UserError("basic_file: folders are for gridtalk generate; name an uploaded one")
    if device is not None:
        device = device_lock(user=user, device=device, revision=revision)
    basic_file = basic_file_get(language=document.language, name=document.basic_file)
    saving = _Saving(user, document, basic_file, device)
    spec = saving.spec_make()
    if saving.problems:
        # A feature whose function there is not was named; it is not one without a function.
        named = {part.name for part in document.features if part.function is not None}
        told = [replace(df, in_use=df.in_use and not (df.name in named and not df.uses))
                for df in spec.dfs]  # fmt: skip
        saving.problems += plain_problems(replace(spec, dfs=tuple(told)))
        raise UserError(f"{document.name}: {'; '.join(saving.problems)}")
    return device_save(user=user, spec=spec, device=device)


@dataclass
class _Saving:
    """One document on its way to a spec; what is wrong is gathered, to be said at once."""

    user: User | None
    document: DeviceDocument
    basic_file: BasicFile
    device: Device | None
    problems: list[str] = field(default_factory=list)

    def spec_make(self) -> DeviceSpec:
        document = self.document
        libraries = self._libraries()
        chosen = tuple(
            Chosen("L" if isinstance(row, Library) else "D", row.pk) for row in libraries
        )
        functions = self._functions(libraries)
        part = document.global_variables
        if part is None:
            brought = selection_get(user=self._owner, chosen=chosen).global_variables
            part = GlobalVariablesPart(
                text=brought.text, readonly_lines=list(brought.readonly_lines)
            )
        return DeviceSpec(
            name=document.name,
            dm_name=document.device_model,
            basic_file=self.basic_file,
            server_url=document.da.server_url,
            device_address=document.da.device_address,
            push_interval_s=document.da.push_interval_s,
            libraries=chosen,
            functions=tuple(row.pk for row in functions.values()),
            global_var_setup=part.text,
            gvs_readonly_lines=tuple(part.readonly_lines),
            dfs=self._features(functions),
            source_server=document.source.server,
            source_project=document.source.project,
            source_device_object=document.source.device_object,
        )

    @property
    def _owner(self) -> User | None:
        """Whose device it is: names of device libraries mean theirs, also for an administrator."""
        return self.device.user if self.device is not None else self.user

    def _tried(self, what: str, make: Callable[[], _Made]) -> _Made | None:
        try:
            with transaction.atomic():
                return make()
        except UserError as error:
            self.problems.append(f"{what}: {error}")
            return None

    def _libraries(self) -> list[Library | DeviceLibrary]:
        found: list[Library | DeviceLibrary] = []
        for named in self.document.libraries:
            row: Library | DeviceLibrary | None
            if isinstance(named, Folder):
                self.problems.append(f"library {named.folder}: folders are for gridtalk generate")
                continue
            if isinstance(named, DeviceLibraryName):
                row, name = self._device_library(named), f"device library {named.device_library}"
            else:
                row = Library.objects.filter(basic_file=self.basic_file, name=named).first()
                name = f"library {named}"
            if row is None:
                self.problems.append(
                    f"there is no {name} for {self.basic_file}, or it is not yours"
                )
            else:
                found.append(row)
        return found

    def _device_library(self, named: DeviceLibraryName) -> DeviceLibrary | None:
        rows = DeviceLibrary.objects.filter(basic_file=self.basic_file, name=named.device_library)
        own = None
        if self._owner is not None and not named.everybodys:
            own = rows.filter(user=self._owner).first()
        return own or rows.filter(user=None).first()

    def _functions(self, libraries: list[Library | DeviceLibrary]) -> dict[_Key, SaFunction]:
        """The document's functions, by type and name."""
        pools = [row for row in libraries if isinstance(row, DeviceLibrary)]
        # Those of libraries that are not chosen too: device_save leaves such functions out.
        refs = {
            (row.library.name, row.name): row
            for row in LibraryFunction.objects.filter(
                library__basic_file=self.basic_file
            ).select_related("library")
        }
        groups = [pool.functions.select_related("function_type") for pool in pools]
        brought = _by_key(functions_join(*groups).values())
        mine = _by_key(self.device.functions.select_related("function_type")) if self.device else {}
        named = {
            (tree.DfType(part.type, tuple(part.params)), part.name)
            for part in self.document.functions
        }
        functions_hold(
            function_ids=[
                row.pk for rows in (mine, brought) for key, row in rows.items() if key in named
            ]
        )
        loaded = engine.basic_file_load(self.basic_file)
        found: dict[_Key, SaFunction] = {}
        for part in self.document.functions:
            key = (tree.DfType(part.type, tuple(part.params)), part.name)
            if key in found:
                self.problems.append(f"function {part.name} is there twice")
                continue
            made = self._tried(
                f"function {part.name}",
                partial(self._function, part, mine.get(key), brought.get(key), refs, loaded),
            )
            if made is not None:
                found[key] = made
        return found

    def _function(
        self,
        part: FunctionPart,
        mine: SaFunction | None,
        brought: SaFunction | None,
        refs: dict[tuple[str, str], LibraryFunction],
        loaded: config.BasicFile,
    ) -> SaFunction:
        ref = None
        if part.library_ref is not None:
            ref = refs.get((part.library_ref.library, part.library_ref.function))
        for row in (mine, brought):
            if row is not None and _is_as(row, part, ref):
                return row
        if mine is not None and mine.library_ref == ref:
            setup = mine.var_setup if part.var_setup is None else part.var_setup
            code, numbers = part.code, part.readonly_lines
            if code is None:
                code, numbers = mine.code, mine.readonly_lines
            draft = Draft(part.name, tuple(code), tuple(setup), _numbers(numbers))
            return function_write(
                user=self.user, function=mine, draft=draft, device=self.device, shared="all"
            )
        if part.library_ref is not None and ref is None:
            library, name = part.library_ref.library, part.library_ref.function
            raise NotFound(f"no library {library!r} for {self.basic_file} has a function {name!r}")
        df_type = df_type_get(direction=part.type, params=part.params)
        if part.code is None:
            begun = function_new(
                basic_file=self.basic_file, df_type=df_type, name=part.name, library_function=ref,
                loaded=loaded,
            )  # fmt: skip
            draft = Draft(part.name, begun.code, begun.var_setup, begun.readonly_lines)
        else:
            draft = Draft(part.name, tuple(part.code), (), _numbers(part.readonly_lines))
        if part.var_setup is not None:
            draft = replace(draft, var_setup=tuple(part.var_setup))
        try:
            with transaction.atomic():
                return function_create(
                    user=self.user, basic_file=self.basic_file, df_type=df_type, draft=draft,
                    library_function=ref, loaded=loaded,
                )  # fmt: skip
        except ReadonlyChanged:
            # In a copy of a device's document it may have begun with an older template.
            if (stored := self._stored(df_type, draft, ref)) is None:
                raise
            return stored

    def _stored(
        self, df_type: DfType, draft: Draft, ref: LibraryFunction | None
    ) -> SaFunction | None:
        """A function that the user may use and that is as the draft says, read-only lines too."""
        if draft.readonly_lines is None:
            return None
        rows = SaFunction.objects.filter(
            functions_usable(self.user),
            name=draft.name.strip(),
            function_type=df_type,
            library_ref=ref,
            code=list(draft.code),
            readonly_lines=sorted(set(draft.readonly_lines)),
            var_setup=list(draft.var_setup),
        )
        return rows.order_by("-updated_at", "-pk").first()

    def _features(self, functions: dict[_Key, SaFunction]) -> tuple[Df, ...]:
        known = _known_types(self.document.device_model, self.device)
        found = []
        for part in self.document.features:
            df = self._tried("features", partial(self._feature, part, known, functions))
            if df is not None:
                found.append(df)
        return tuple(found)

    def _feature(
        self, part: FeaturePart, known: KnownTypes, functions: dict[_Key, SaFunction]
    ) -> Df:
        df_type = feature_type(part, known, self.document.device_model)
        uses = []
        named = [] if part.function is None else [(part.function, part.var_setup, True)]
        for name, setup, selected in [
            *named, *((other.function, other.var_setup, False) for other in part.others)
        ]:  # fmt: skip
            row = functions.get((df_type, name))
            if row is None:
                raise UserError(
                    f"{part.name} uses {name}, which is no function of the device for its type "
                    f"{df_type.direction}({', '.join(df_type.params)})"
                )
            uses.append(Use(row.pk, "\n".join(row.var_setup) if setup is None else setup, selected))
        return Df(part.name, df_type, part.in_use, tuple(uses))


def _by_key(rows: Iterable[SaFunction]) -> dict[_Key, SaFunction]:
    return {(plain_type(row.function_type), row.name): row for row in rows}


def _numbers(numbers: list[int] | None) -> tuple[int, ...] | None:
    return None if numbers is None else tuple(numbers)


def _is_as(row: SaFunction, part: FunctionPart, ref: LibraryFunction | None) -> bool:
    """Whether the stored function is what the part says, as far as it says it."""
    same_ref = row.library_ref_id == (ref.pk if ref else None)
    if part.code is None:
        return same_ref and part.var_setup in (None, row.var_setup)
    return (
        row.code == part.code
        and part.readonly_lines in (None, row.readonly_lines)
        and part.var_setup in (None, row.var_setup)
        and same_ref
    )


def _known_types(device_model: str, device: Device | None) -> KnownTypes:
    """The DFs of the device model; those that the device has of it count where it is gone."""
    features = DeviceModelFeature.objects.filter(device_model__name=device_model)
    own = DeviceDf.objects.filter(device=device) if device else DeviceDf.objects.none()
    named = [(row.name, row.df_type) for row in own.select_related("df_type")]
    named += [(row.name, row.df_type) for row in features.select_related("df_type")]
    types = ((name, plain_type(df_type)) for name, df_type in named)
    return {(name, plain.direction): list(plain.params) for name, plain in types}
