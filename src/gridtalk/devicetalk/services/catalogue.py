"""What an administrator keeps: languages, basic files, device models; and feature types."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Concat

from gridtalk.core import clock
from gridtalk.core.errors import Conflict, NotFound, UserError
from gridtalk.core.texts import needs_care
from gridtalk.devicetalk import config, engine, render_sample, tree
from gridtalk.devicetalk.models import (
    BasicFile,
    DeviceModel,
    DeviceModelFeature,
    DfType,
    Language,
)
from gridtalk.devicetalk.rights import administrator_check
from gridtalk.devicetalk.services import losses
from gridtalk.files import services as files
from gridtalk.files.models import File
from gridtalk.users.audit import audit
from gridtalk.users.models import User

#: The most parameters of a feature; PostgreSQL's index on types holds no more.
MOST_PARAMS = 50


def name_check(name: str, *, what: str, longest: int) -> str:
    """The name without spaces around it; :class:`UserError` where it cannot be one."""
    cleaned = name.strip()
    if not cleaned:
        raise UserError(f"{what} needs a name")
    if len(cleaned) > longest:
        raise UserError(f"the name of {what} has {len(cleaned)} characters; at most {longest}")
    if needs_care(cleaned) or not cleaned.isprintable():
        raise UserError(f"the name of {what} has a character that cannot be printed")
    return cleaned


def _address_check(name: str, *, what: str) -> str:
    """A name that can be a part of an address and of a path; :class:`UserError` where not."""
    if "/" in name or name in {".", ".."}:
        raise UserError(f"the name of {what} is a part of addresses: choose one without a /")
    return name


def language_create(*, user: User | None, name: str) -> Language:
    """A language; the one of that name where it is there already. Administrators alone."""
    administrator_check(user, "add a language")
    name = _address_check(name_check(name, what="a language", longest=30), what="a language")
    return Language.objects.get_or_create(name=name)[0]


@transaction.atomic
def language_delete(*, user: User | None, language: Language) -> None:
    """Remove a language; :class:`Conflict` while it has basic files. Administrators alone."""
    administrator_check(user, "delete a language")
    names = list(language.basicfile_set.order_by("name").values_list("name", flat=True))
    if names:
        raise Conflict(f"{language} has the basic files {', '.join(names)}; delete those first")
    audit(user=user, action="language_delete", target=f"language {language.name}")
    language.delete()


def df_type_get(*, direction: str, params: Iterable[str]) -> DfType:
    """The stored type of that direction and those parameter types; made if need be.

    Raises as :func:`df_type_new`.
    """
    given = df_type_new(direction=direction, params=params)
    return DfType.objects.get_or_create(df_type=given.df_type, params=given.params)[0]


def df_type_new(*, direction: str, params: Iterable[str]) -> DfType:
    """A type of that direction (``idf``, ``odf``) and those parameter types, which is not stored.

    Raises :class:`UserError` for another direction or a parameter that is no name of a type.
    """
    if direction not in DfType.Kind.values:
        raise UserError(f"“{direction[:20]}” is no direction of a feature; write idf or odf")
    types = list(params)
    if len(types) > MOST_PARAMS:
        raise UserError(f"a feature has {len(types)} parameters; at most {MOST_PARAMS}")
    for name in types:
        if not isinstance(name, str) or not tree.is_param_type(name):
            raise UserError(f"“{str(name)[:20]}” is no type of a parameter; write for example int")
    return DfType(df_type=direction, params=types)


def basic_file_put(
    *, user: User | None, language: Language, name: str, batch_id: int, dir_path: str = ""
) -> BasicFile:
    """Take an upload as the basic file of that name, in place of the present version.

    The uploaded folder holds ``config.ini`` at its top, or is one folder that does. Administrators
    alone. Raises :class:`InvalidTree` with all that is wrong, its templates tried with a small
    device; then the upload's files go, and the present version is left as it is.
    """
    administrator_check(user, "upload a basic file")
    name = _address_check(name_check(name, what="a basic file", longest=100), what="a basic file")
    try:
        with transaction.atomic():
            return _basic_file_put(user, language, name, batch_id, dir_path)
    except UserError:
        upload_drop(user=user, batch_id=batch_id)
        raise


def upload_drop(*, user: User | None, batch_id: int) -> None:
    """Drop the files of an upload that was refused, where it is the user's and still there."""
    try:
        files.upload_batch_discard(user=user, batch_id=batch_id)
    except NotFound:
        return  # the refusal was that there is no such upload


def _basic_file_put(
    user: User | None, language: Language, name: str, batch_id: int, dir_path: str
) -> BasicFile:
    taken = files.upload_batch_take(user=user, batch_id=batch_id)
    _top_strip(taken)
    checked = render_sample.basic_file_check(
        name=name,
        language=language.name,
        tree=files.files_read(taken.values()),
        limits=engine.limits(),
    )
    # Two uploads of one name, one after the other.
    Language.objects.select_for_update().get(pk=language.pk)
    found, _ = BasicFile.objects.update_or_create(
        language=language, name=name, defaults={"updated_at": clock.now(), "dir_path": dir_path}
    )
    files.files_attach(files=taken.values(), owner=found)
    # Its libraries lie where the new version puts them; device libraries, when they are saved next.
    root = Value(checked.config.lib_root)
    found.library_set.update(dir_path=Concat(root, "name"))
    audit(user=user, action="basic_file_put", target=f"basic file {language.name}/{name}")
    return found


def _top_strip(taken: dict[str, File]) -> None:
    """Browsers send the folder's own name before each path: take it off where it is one folder."""
    tops = {path.partition("/")[0] for path in taken}
    if config.CONFIG in taken or len(tops) != 1:
        return
    for file in taken.values():
        file.file_path = file.file_path.partition("/")[2] or file.file_path
    File.objects.bulk_update(taken.values(), ["file_path"])


@transaction.atomic
def basic_file_delete(
    *, user: User | None, basic_file: BasicFile, with_all: bool = False
) -> losses.Losses:
    """Delete a basic file; ``with_all`` also the libraries and devices that are made for it.

    What was lost. Administrators alone. Raises :class:`Conflict`, saying what would be lost, where
    something is made for it and ``with_all`` is not given.
    """
    administrator_check(user, "delete a basic file")
    lost = losses.basic_file_losses(basic_file)
    if lost.any and not with_all:
        raise Conflict(f"{basic_file} is used: {lost} would be lost with it")
    audit(
        user=user,
        action="basic_file_delete",
        target=f"basic file {basic_file.language.name}/{basic_file.name}",
        reason=str(lost),
    )
    losses.basic_file_drop(basic_file)
    return lost


@transaction.atomic
def device_model_put(
    *,
    user: User | None,
    name: str,
    features: Iterable[tuple[str, tree.DfType]],
    description: str = "",
    source_server: str = "",
) -> DeviceModel:
    """Keep a device model with these features (name, type), in place of the one of that name.

    Devices keep the features that they have. Administrators alone. Raises :class:`UserError` for a
    name that will not do, or a feature that is there twice.
    """
    administrator_check(user, "change a device model")
    name = name_check(name, what="a device model", longest=100)
    given = [
        (name_check(feature, what="a feature", longest=100), df_type)
        for feature, df_type in features
    ]
    twice = sorted({feature for feature, _ in given if [f for f, _ in given].count(feature) > 1})
    if twice or not given:
        raise UserError(
            f"the features {', '.join(twice)} are there twice" if twice
            else "a device model has at least one feature"
        )  # fmt: skip
    model, _ = DeviceModel.objects.update_or_create(
        name=name,
        defaults={
            "description": description, "source_server": source_server, "updated_at": clock.now()
        },
    )  # fmt: skip
    model.features.all().delete()
    for order, (feature, df_type) in enumerate(given):
        DeviceModelFeature.objects.create(
            device_model=model,
            name=feature,
            order=order,
            df_type=df_type_get(direction=df_type.direction, params=df_type.params),
        )
    return model


@transaction.atomic
def device_model_delete(*, user: User | None, device_model: DeviceModel) -> None:
    """Forget a device model; devices made from it stay as they are. Administrators alone."""
    administrator_check(user, "delete a device model")
    audit(user=user, action="device_model_delete", target=f"device model {device_model.name}")
    device_model.delete()
