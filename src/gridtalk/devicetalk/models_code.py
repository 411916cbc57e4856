"""Languages, basic files, libraries, device models and SA functions."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from gridtalk.core import clock
from gridtalk.devicetalk.models_base import LONGEST_NAME, FileGroup


class Language(models.Model):
    """A programming language that device code is written in."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=30, unique=True)

    class Meta:
        db_table = "devicetalk_languages"
        constraints = [
            models.CheckConstraint(name="devicetalk_languages_name", condition=~Q(name="")),
        ]

    def __str__(self) -> str:
        return self.name


class BasicFile(FileGroup):
    """A template tree for one language, with a ``config.ini``; SA projects are rendered from it."""

    id = models.AutoField(primary_key=True)
    language = models.ForeignKey(Language, on_delete=models.PROTECT)

    class Meta:
        db_table = "devicetalk_basic_files"
        constraints = [
            models.CheckConstraint(name="devicetalk_basic_files_name", condition=~Q(name="")),
            models.UniqueConstraint(
                fields=["language", "name"], name="devicetalk_basic_files_unique"
            ),
        ]


class Library(FileGroup):
    """Code uploaded by a user, with example functions. Only they or an administrator replace it."""

    id = models.AutoField(primary_key=True)
    basic_file = models.ForeignKey(BasicFile, on_delete=models.PROTECT)
    global_var_setup = models.TextField(blank=True, default="")
    gvs_readonly_lines = models.JSONField(
        default=list, blank=True, help_text="0-based numbers of lines of global_var_setup"
    )
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="empty: came with Gridtalk",
    )

    class Meta:
        db_table = "devicetalk_libraries"
        verbose_name_plural = "libraries"
        constraints = [
            models.CheckConstraint(name="devicetalk_libraries_name", condition=~Q(name="")),
            models.UniqueConstraint(
                fields=["basic_file", "name"], name="devicetalk_libraries_unique"
            ),
        ]


class LibraryFunction(models.Model):
    """An example function of a library. Its sections are those that ``LIBRARYFUNCTION_FIELDS``
    names; one that the example lacks is empty.
    """

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=LONGEST_NAME)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="functions")
    var_define = models.TextField(blank=True, default="")
    member_var_define = models.TextField(blank=True, default="")
    import_string = models.TextField(blank=True, default="")
    init_content = models.TextField(blank=True, default="")
    runs_content = models.TextField(blank=True, default="")

    class Meta:
        db_table = "devicetalk_library_functions"
        constraints = [
            models.CheckConstraint(name="devicetalk_library_functions_name", condition=~Q(name="")),
            models.UniqueConstraint(
                fields=["library", "name"], name="devicetalk_library_functions_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DfType(models.Model):
    """The type of functions and device features: input or output, and the parameters' types."""

    class Kind(models.TextChoices):
        """Which way data goes."""

        IDF = "idf", "input: from the device to the server"
        ODF = "odf", "output: from the server to the device"

    id = models.AutoField(primary_key=True)
    df_type = models.CharField(max_length=3, choices=Kind)
    params = models.JSONField(default=list, blank=True, help_text='for example ["int", "float"]')

    class Meta:
        db_table = "devicetalk_df_types"
        constraints = [
            models.CheckConstraint(
                name="devicetalk_df_types_kind", condition=Q(df_type__in=["idf", "odf"])
            ),
            models.UniqueConstraint(
                fields=["df_type", "params"], name="devicetalk_df_types_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.df_type} ({', '.join(map(str, self.params))})"


class SaFunction(models.Model):
    """A function written in the workshop for features of one type.

    ``code`` and ``var_setup`` are lists of lines. ``library_ref`` is the library function that it
    was made from; empty where there was none, or where its library no longer has it. In a device a
    name is unique among the functions of one type: the seed joins functions by type and name.
    """

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=LONGEST_NAME)
    var_setup = models.JSONField(default=list, blank=True)
    code = models.JSONField(default=list, blank=True)
    readonly_lines = models.JSONField(
        default=list, blank=True, help_text="0-based numbers of lines of code"
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)
    updated_at = models.DateTimeField(default=clock.now, editable=False)
    function_type = models.ForeignKey(DfType, on_delete=models.PROTECT)
    library_ref = models.ForeignKey(LibraryFunction, on_delete=models.SET_NULL, null=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="who wrote it; empty: came with Gridtalk",
    )
    copied_from = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        related_name="copies",
        help_text="the function whose history it carries on (copy on write)",
    )

    class Meta:
        db_table = "devicetalk_sa_functions"
        constraints = [
            models.CheckConstraint(name="devicetalk_sa_functions_name", condition=~Q(name="")),
        ]

    def __str__(self) -> str:
        return self.name


class DeviceModel(models.Model):
    """A named set of device features, from our catalogue or imported from an IoTtalk server."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=LONGEST_NAME, unique=True)
    description = models.TextField(blank=True, default="")
    source_server = models.CharField(
        max_length=255, blank=True, default="", help_text="where it was imported from"
    )
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        db_table = "devicetalk_device_models"
        constraints = [
            models.CheckConstraint(name="devicetalk_device_models_name", condition=~Q(name="")),
        ]

    def __str__(self) -> str:
        return self.name


class DeviceModelFeature(models.Model):
    """A feature of a device model; ``order`` is its place in the list."""

    id = models.AutoField(primary_key=True)
    device_model = models.ForeignKey(DeviceModel, on_delete=models.CASCADE, related_name="features")
    name = models.CharField(max_length=LONGEST_NAME)
    df_type = models.ForeignKey(DfType, on_delete=models.PROTECT)
    order = models.PositiveSmallIntegerField()

    class Meta:
        db_table = "devicetalk_device_model_features"
        constraints = [
            models.CheckConstraint(
                name="devicetalk_device_model_features_name", condition=~Q(name="")
            ),
            models.UniqueConstraint(
                fields=["device_model", "name", "df_type"],
                name="devicetalk_device_model_features_unique",
            ),
        ]

    def __str__(self) -> str:
        return self.name
