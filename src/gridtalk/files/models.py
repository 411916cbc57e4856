"""Files of all tables that have some, used by path; nobody else sees where their bytes lie."""

import uuid
from typing import IO, Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from gridtalk.core import clock
from gridtalk.files.opening import file_open

#: The columns of which at most one names who has the file.
OWNERS = ("library", "device_library", "basic_file", "device")


def only(owner: str | None) -> Q:
    """That no owner's column is filled but this one's; with None: no column at all."""
    return Q(**{f"{name}__isnull": name != owner for name in OWNERS})


class UploadBatch(models.Model):
    """Files that are uploaded together, until somebody's library or basic file takes them.

    Only the user who opened it may put files into it. Files that were taken out of use wait in one
    too, until their bytes are gone.
    """

    id = models.BigAutoField(primary_key=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="who uploads; empty: the server itself",
    )

    class Meta:
        db_table = "upload_batches"

    def __str__(self) -> str:
        return f"upload {self.pk}"


class File(models.Model):
    """A file, known by its path within its owner; its bytes lie in the storage under ``real_path``.

    Two files may have the same path where their owners differ: each has a name of its own in the
    storage, its uuid. Devices and device libraries own none so far: their code is made anew from
    what they hold whenever it is asked for, so that no stored copy can be out of date.
    """

    id = models.BigAutoField(primary_key=True)
    file_path = models.CharField(max_length=100, help_text="within its owner, for example sa.py")
    real_path = models.CharField(
        max_length=200, unique=True, help_text="below the upload root, made from the uuid"
    )
    is_upload = models.BooleanField(default=False, help_text="whether its bytes are there")
    size = models.PositiveIntegerField(default=0, help_text="in bytes, once it is uploaded")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    updated_at = models.DateTimeField(default=clock.now, editable=False)
    upload_batch = models.ForeignKey(UploadBatch, on_delete=models.PROTECT, null=True)
    # By name, upwards: the one exception to the direction of imports (ARCHITECTURE). Owners are
    # deleted by their services, which first give up the files; hence PROTECT.
    library = models.ForeignKey("devicetalk.Library", on_delete=models.PROTECT, null=True)
    device_library = models.ForeignKey(
        "devicetalk.DeviceLibrary", on_delete=models.PROTECT, null=True
    )
    basic_file = models.ForeignKey("devicetalk.BasicFile", on_delete=models.PROTECT, null=True)
    device = models.OneToOneField("devicetalk.Device", on_delete=models.PROTECT, null=True)

    class Meta:
        db_table = "files"
        constraints = [
            models.CheckConstraint(
                name="files_one_owner",
                condition=only("library")
                | only("device_library")
                | only("basic_file")
                | only("device")
                | (only(None) & Q(upload_batch__isnull=False)),
            ),
            models.CheckConstraint(name="files_path", condition=~Q(file_path="")),
            *(
                models.UniqueConstraint(fields=[owner, "file_path"], name=f"files_{owner}_path")
                for owner in ("library", "device_library", "basic_file", "upload_batch")
            ),
        ]

    def __str__(self) -> str:
        return self.file_path

    def open(self, mode: str = "r") -> IO[Any]:
        """Open the file's bytes, wherever they lie, as Python's ``open`` would; text is UTF-8.

        ``mode`` is one of ``r``, ``rb``, ``w``, ``wb``. What is written takes the old content's
        place when it is closed, in the caller's transaction. Raises :class:`NotFound` where the
        file was never uploaded or its bytes are gone, :class:`ValueError` for another mode.
        """
        return file_open(self, mode)
