"""Where files' bytes lie: Django's storage called ``uploads``, a folder by default."""

import logging

from django.core.files.storage import Storage, storages

log = logging.getLogger(__name__)


def uploads() -> Storage:
    """The storage of all files; never below a public folder."""
    return storages["uploads"]


def bytes_delete(real_path: str) -> bool:
    """Delete the bytes; whether they are gone now. That they were gone before is no error."""
    if not real_path:
        return True
    try:
        uploads().delete(real_path)
    except OSError as error:
        log.warning("the stored file %s could not be deleted: %s", real_path, error)
        return False
    return True
