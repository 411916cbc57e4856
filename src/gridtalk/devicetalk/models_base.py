"""What DeviceTalk's tables have in common: the abstract bases that its documentation draws."""

from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.db import models

from gridtalk.core import clock
from gridtalk.core.errors import NotFound

if TYPE_CHECKING:
    from django_stubs_ext.db.models.manager import RelatedManager

    from gridtalk.files.models import File

LONGEST_NAME = 100
#: What is added to a device's name for the library that saving it makes.
LIBRARY_SUFFIX = "_library"


class FileGroup(models.Model):
    """Something uploaded as a folder: a basic file, a library."""

    if TYPE_CHECKING:
        file_set: RelatedManager[File]

    name = models.CharField(max_length=LONGEST_NAME)
    dir_path = models.CharField(
        max_length=255, blank=True, help_text="the folder's place in the zip, empty: its root"
    )
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name

    def open(self, file_path: str, mode: str = "r") -> IO[Any]:
        """Open the file at that path within this folder; :class:`NotFound` where there is none."""
        found = self.file_set.filter(file_path=file_path).first()
        if found is None:
            raise NotFound(f"{self} has no file {file_path}")
        return found.open(mode)


class LibraryPoolBase(models.Model):
    """What gathers SA functions on a basic file: a device, and the library that it becomes."""

    basic_file = models.ForeignKey("devicetalk.BasicFile", on_delete=models.PROTECT)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="whose it is; empty: global, everybody sees it",
    )
    global_var_setup = models.TextField(blank=True, default="")
    gvs_readonly_lines = models.JSONField(
        default=list, blank=True, help_text="0-based numbers of lines of global_var_setup"
    )
    functions = models.ManyToManyField("devicetalk.SaFunction", blank=True)

    class Meta:
        abstract = True


class DeviceFeatureBase(models.Model):
    """A device feature. Each device has its own, also where two are of one device model."""

    name = models.CharField(max_length=LONGEST_NAME)
    df_type = models.ForeignKey("devicetalk.DfType", on_delete=models.PROTECT)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class DfHasSaFunctionBase(models.Model):
    """That a feature can use a function, with its own variable setup; one of them is selected."""

    function = models.ForeignKey("devicetalk.SaFunction", on_delete=models.PROTECT)
    var_setup = models.TextField(blank=True, default="")
    selected = models.BooleanField(default=False)

    class Meta:
        abstract = True
