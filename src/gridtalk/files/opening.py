"""Opening a file: reading its bytes from the storage, and writing new ones in their place."""

import io
import uuid
from collections.abc import Callable
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from django.core.files.base import ContentFile
from django.db import transaction

from gridtalk.core import clock
from gridtalk.core.errors import NotFound
from gridtalk.files.storage import bytes_delete, uploads

if TYPE_CHECKING:
    from gridtalk.files.models import File

MODES = ("r", "rb", "w", "wb")


def file_open(file: "File", mode: str) -> IO[Any]:
    """See :meth:`gridtalk.files.models.File.open`."""
    if mode not in MODES:
        raise ValueError(f"a file is opened with one of {', '.join(MODES)}, not “{mode}”")
    if mode.startswith("w"):
        written = _Written(partial(_replace, file))
        return written if mode == "wb" else io.TextIOWrapper(written, encoding="utf-8")
    raw = io.BytesIO(file_bytes(file))
    return raw if mode == "rb" else io.TextIOWrapper(raw, encoding="utf-8")


def file_bytes(file: "File") -> bytes:
    """All bytes of the file; :class:`NotFound` where there are none.

    Read whole, since files are small (``FILES_LARGEST_BYTES``): so nobody who forgets to close one
    holds a connection to an object store.
    """
    if not file.is_upload:
        raise NotFound(f"{file.file_path} was not uploaded yet")
    try:
        with uploads().open(file.real_path, "rb") as stream:
            data: bytes = stream.read()
    except FileNotFoundError:
        raise NotFound(f"the stored bytes of {file.file_path} are gone; upload it again") from None
    return data


class _Written(io.BytesIO):
    """Bytes in memory which, when it is closed, are handed on."""

    def __init__(self, done: Callable[[bytes], None]) -> None:
        super().__init__()
        self._done: Callable[[bytes], None] | None = done

    def close(self) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(self.getvalue())
        super().close()


def _replace(file: "File", data: bytes) -> None:
    """Store the bytes beside the old ones, point the row to them, and drop the old after commit."""
    old = file.real_path
    new = uploads().save(uuid.uuid4().hex, ContentFile(data))
    try:
        with transaction.atomic():
            file.real_path, file.size = new, len(data)
            file.is_upload, file.updated_at = True, clock.now()
            file.save(update_fields=["real_path", "size", "is_upload", "updated_at"])
            transaction.on_commit(partial(bytes_delete, old), robust=True)
    except BaseException:
        bytes_delete(new)
        raise
