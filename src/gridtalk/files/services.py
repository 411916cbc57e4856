"""Files: opened as a batch, uploaded one by one, taken by an owner, given up.

A row is always there before its bytes, under a name that the row knows: whatever is killed when,
``files_cleanup`` finds the bytes and removes them. Bytes go only when the row that gave them up is
committed.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import models, transaction
from django.db.models import Sum

from gridtalk.core import clock
from gridtalk.core.errors import NotFound, TooLarge, UserError
from gridtalk.files.models import OWNERS, File, UploadBatch, only
from gridtalk.files.opening import file_bytes
from gridtalk.files.paths import paths_problems
from gridtalk.files.storage import bytes_delete, uploads
from gridtalk.users.models import User

#: So long may an upload take before its files are removed.
WAITS = timedelta(days=1)
#: The most faults of one upload that are named.
MOST_NAMED = 50


def _column(owner: models.Model) -> str:
    """The column of File which names an owner of that class: ``device_library``."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(owner).__name__).lower()
    if name not in OWNERS:
        raise TypeError(f"a {name} cannot have files; these can: {', '.join(OWNERS)}")
    return name


def paths_check(paths: Iterable[str]) -> None:
    """Raise :class:`UserError` with all that is wrong with the paths of one upload."""
    given = list(paths)
    problems = paths_problems(given, longest=settings.FILES_LONGEST_PATH)
    if len(given) > settings.FILES_MOST:
        problems.insert(0, f"{len(given)} files are more than {settings.FILES_MOST}")
    if not given:
        problems.append("there is no file in it")
    if len(problems) > MOST_NAMED:
        problems[MOST_NAMED:] = [f"and {len(problems) - MOST_NAMED} more"]
    if problems:
        raise UserError("; ".join(problems))


@transaction.atomic
def upload_batch_create(
    *, user: User | None, paths: Iterable[str]
) -> tuple[UploadBatch, list[File]]:
    """Open an upload: a batch, and for each path a file whose uuid its bytes are to be sent to.

    Raises :class:`UserError`, with everything that is wrong with the paths in one message.
    """
    given = list(paths)
    paths_check(given)
    batch = UploadBatch.objects.create(user=user)
    files = []
    for path in given:
        uuid = uuid4()
        files.append(File(file_path=path, uuid=uuid, real_path=uuid.hex, upload_batch=batch))
    return batch, File.objects.bulk_create(files)


@transaction.atomic
def file_upload(*, user: User | None, uuid: UUID, data: bytes) -> File:
    """Store the bytes of a file of an open batch; the same again (a repeat) is no error.

    Raises :class:`NotFound` where the user has no such file waiting, :class:`TooLarge` where the
    file, or its whole upload, is larger than the settings allow (bytes).
    """
    batch_id = (
        File.objects.filter(only(None), uuid=uuid).values_list("upload_batch", flat=True).first()
    )
    # The batch is locked first, by everybody: of two files at once each counts the other.
    if batch_id is None or not _batch_lock(user=user, batch_id=batch_id):
        raise NotFound("no such file is waited for; start the upload again")
    file = File.objects.select_for_update().filter(uuid=uuid, upload_batch=batch_id).get()
    if len(data) > settings.FILES_LARGEST_BYTES:
        raise TooLarge(
            f"{file.file_path} has {len(data)} bytes, more than {settings.FILES_LARGEST_BYTES}"
        )
    others = File.objects.filter(upload_batch=batch_id).exclude(pk=file.pk)
    total = (others.aggregate(total=Sum("size"))["total"] or 0) + len(data)
    if total > settings.FILES_TOTAL_BYTES:
        raise TooLarge(
            f"with {file.file_path} the upload has {total} bytes, more than "
            f"{settings.FILES_TOTAL_BYTES}"
        )
    _store(file, data)
    return file


def _store(file: File, data: bytes) -> None:
    """Write the bytes under the file's own name, over a part that an earlier try left."""
    storage = uploads()
    if file.is_upload or storage.exists(file.real_path):
        storage.delete(file.real_path)
    file.real_path = storage.save(file.real_path, ContentFile(data))
    file.is_upload, file.size, file.updated_at = True, len(data), clock.now()
    file.save(update_fields=["real_path", "is_upload", "size", "updated_at"])


def _batch_lock(*, user: User | None, batch_id: int) -> UploadBatch | None:
    return UploadBatch.objects.select_for_update().filter(pk=batch_id, user=user).first()


def upload_batch_take(*, user: User | None, batch_id: int) -> dict[str, File]:
    """Lock a batch whose files all arrived, to be read and then attached: its files by path.

    Called in the transaction that takes it. Raises :class:`NotFound` where the user has no such
    batch, :class:`UserError` naming the files that are missing.
    """
    if _batch_lock(user=user, batch_id=batch_id) is None:
        raise NotFound("there is no such upload; it may have ended, or be older than a day")
    files = {file.file_path: file for file in File.objects.filter(upload_batch=batch_id)}
    missing = sorted(path for path, file in files.items() if not file.is_upload)
    if missing or not files:
        raise UserError(f"these files were not uploaded: {', '.join(missing) or 'all'}")
    return files


def files_read(files: Iterable[File]) -> dict[str, bytes]:
    """The bytes of the files by path, in the order of the paths."""
    return {file.file_path: file_bytes(file) for file in sorted(files, key=lambda f: f.file_path)}


def files_attach(*, files: Iterable[File], owner: models.Model) -> None:
    """Give the files to their owner, in place of all that it had; their batch ends.

    Called in the transaction that makes the owner. The old ones' bytes go after the commit.
    """
    column = _column(owner)
    files_discard(owner=owner)
    given = list(files)
    batches = {file.upload_batch_id for file in given if file.upload_batch_id}
    File.objects.filter(pk__in=[file.pk for file in given]).update(
        **{column: owner, "upload_batch": None, "updated_at": clock.now()}
    )
    left = File.objects.filter(upload_batch__in=batches)
    UploadBatch.objects.filter(pk__in=batches).exclude(
        pk__in=left.values_list("upload_batch", flat=True)
    ).delete()


def files_stage(*, user: User | None, tree: Mapping[str, bytes]) -> UploadBatch:
    """An upload made at once of files that are here already: a folder of this server's."""
    batch, files = upload_batch_create(user=user, paths=tree)
    for file in files:
        file_upload(user=user, uuid=file.uuid, data=tree[file.file_path])
    return batch


def file_put(*, owner: models.Model, path: str, data: bytes) -> File:
    """Store one file for its owner, in place of the one of that path.

    A device has one file alone: whatever its path, the old one gives way.
    """
    with transaction.atomic():
        batch, (file,) = upload_batch_create(user=None, paths=[path])
        file_upload(user=None, uuid=file.uuid, data=data)
        column = _column(owner)
        old: dict[str, Any] = {column: owner}
        if column != "device":
            old["file_path"] = path
        _give_up(File.objects.filter(**old))
        File.objects.filter(pk=file.pk).update(**{column: owner, "upload_batch": None})
        batch.delete()
    file.refresh_from_db()
    return file


def files_discard(*, owner: models.Model) -> None:
    """Take all files from their owner; after the commit their bytes go."""
    _give_up(File.objects.filter(**{_column(owner): owner}))


def upload_batch_discard(*, user: User | None, batch_id: int) -> None:
    """End an upload that failed: all of its files go. :class:`NotFound` where the user has none."""
    with transaction.atomic():
        if _batch_lock(user=user, batch_id=batch_id) is None:
            raise NotFound("there is no such upload; it may have ended, or be older than a day")
        transaction.on_commit(partial(_erase, batch_id), robust=True)


def _give_up(files: models.QuerySet[File]) -> None:
    """Move owned files into a batch of their own, which is erased after the commit.

    Were the process killed between the two, the daily cleanup finds the batch.
    """
    ids = list(files.values_list("pk", flat=True))
    if not ids:
        return
    batch = UploadBatch.objects.create(user=None)
    File.objects.filter(pk__in=ids).update(
        **dict.fromkeys(OWNERS), upload_batch=batch, updated_at=clock.now()
    )
    transaction.on_commit(partial(_erase, batch.pk), robust=True)


@transaction.atomic
def _erase(batch_id: int) -> int:
    """Delete the files of a batch that nobody has, first the bytes, then the rows; how many."""
    batch = UploadBatch.objects.select_for_update(skip_locked=True).filter(pk=batch_id).first()
    if batch is None:
        return 0  # somebody else is at it, or it is done
    gone = [
        file.pk
        for file in File.objects.filter(only(None), upload_batch=batch)
        if bytes_delete(file.real_path)
    ]
    File.objects.filter(pk__in=gone).delete()
    File.objects.exclude(only(None)).filter(upload_batch=batch).update(upload_batch=None)
    if not File.objects.filter(upload_batch=batch).exists():
        batch.delete()
    return len(gone)


def files_cleanup() -> int:
    """Remove what was never uploaded, or never taken, for a day, and batches left empty.

    A file which belongs to something is never touched. How many files were removed.
    """
    before = clock.now() - WAITS
    waiting = File.objects.filter(only(None), upload_batch__isnull=False)
    old = waiting.filter(created_at__lt=before).values_list("upload_batch", flat=True)
    removed = sum(_erase(batch_id) for batch_id in sorted(set(old)) if batch_id is not None)
    UploadBatch.objects.filter(created_at__lt=before).exclude(
        pk__in=File.objects.filter(upload_batch__isnull=False).values("upload_batch")
    ).delete()
    return removed
