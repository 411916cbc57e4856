"""Libraries: an upload becomes a library whole, or not at all."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from gridtalk.core import clock
from gridtalk.core.errors import Conflict, NotAllowed, UserError
from gridtalk.devicetalk import engine, examples, tree
from gridtalk.devicetalk.models import BasicFile, DeviceLibrary, Library, LibraryFunction
from gridtalk.devicetalk.rights import is_administrator, owned_check
from gridtalk.devicetalk.services import losses
from gridtalk.devicetalk.services.catalogue import upload_drop
from gridtalk.files import services as files
from gridtalk.users.audit import audit
from gridtalk.users.models import User


@dataclass(frozen=True)
class LibraryTaken:
    """The library, and notes on what was in the upload but is not used."""

    library: Library
    notes: tuple[tree.Problem, ...]


def library_put(*, user: User | None, basic_file: BasicFile, batch_id: int) -> LibraryTaken:
    """Take an upload as the library whose folder it is, in place of its present version.

    The library's functions are updated in place by name, so that what was made from them still
    knows them; ``library_ref`` of functions made from one that is gone becomes empty. Of two
    uploads at once the later one counts, whole. Raises :class:`InvalidTree` with all that is wrong,
    :class:`NotAllowed` where the library is somebody else's; then the upload's files go, and
    nothing else changes.
    """
    try:
        with transaction.atomic():
            return _library_put(user, basic_file, batch_id)
    except UserError:
        upload_drop(user=user, batch_id=batch_id)
        raise


def _library_put(user: User | None, basic_file: BasicFile, batch_id: int) -> LibraryTaken:
    taken = files.upload_batch_take(user=user, batch_id=batch_id)
    # Held until the commit: two uploads at once come one after the other.
    basic_file = BasicFile.objects.select_for_update().get(pk=basic_file.pk)
    config = engine.basic_file_load(basic_file).config
    parsed = examples.library_read(
        tree=files.files_read(taken.values()),
        example_dir=config.example_dir,
        limits=engine.limits(),
        sections=tuple(settings.LIBRARYFUNCTION_FIELDS),
    )
    given = parsed.library
    library = Library.objects.filter(basic_file=basic_file, name=given.name).first()
    if library is None:
        library = Library(basic_file=basic_file, name=given.name, uploaded_by=user)
    else:
        library_owned_check(user, library)
    library.dir_path = config.lib_root + given.name
    library.global_var_setup = given.global_variables.text
    library.gvs_readonly_lines = list(given.global_variables.readonly_lines)
    library.updated_at = clock.now()
    library.save()
    _functions_put(library, given.library_functions)
    files.files_attach(files=taken.values(), owner=library)
    audit(user=user, action="library_put", target=f"library {library.name}")
    return LibraryTaken(library, parsed.notes)


def _functions_put(library: Library, functions: Iterable[tree.LibraryFunction]) -> None:
    names = []
    for function in functions:
        names.append(function.name)
        LibraryFunction.objects.update_or_create(
            library=library, name=function.name, defaults=dict(function.fields)
        )
    library.functions.exclude(name__in=names).delete()


def library_owned_check(user: User | None, library: Library) -> None:
    """Raise :class:`NotAllowed` unless the user uploaded the library or is an administrator."""
    if not is_administrator(user) and (user is None or library.uploaded_by_id != user.pk):
        raise NotAllowed(
            f"the library {library.name} was uploaded by somebody else; give yours another name"
        )


@transaction.atomic
def library_delete(*, user: User | None, library: Library) -> None:
    """Delete a library; functions made from it stay.

    Raises :class:`NotAllowed` where it is somebody else's, :class:`Conflict` while devices or
    device libraries use it.
    """
    library_owned_check(user, library)
    used = losses.library_losses(library)
    if used.any:
        raise Conflict(f"the library {library.name} is used by {used}; take it out there first")
    audit(user=user, action="library_delete", target=f"library {library.name}")
    losses.library_drop(library)


@transaction.atomic
def device_library_delete(*, user: User | None, device_library: DeviceLibrary) -> None:
    """Delete a device library; :class:`Conflict` while devices use it. Rights as for devices."""
    owned_check(user, device_library)
    used = losses.device_library_losses(device_library)
    if used.any:
        raise Conflict(f"{device_library.name} is used by {used}; take it out there first")
    audit(user=user, action="device_library_delete", target=f"library {device_library.name}")
    losses.device_library_drop(device_library)
