"""What the calls for languages, files, basic files and device models take and give."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from ninja import Schema
from pydantic import Field

from gridtalk.api.schemas_types import Direction, LongId, LongText, Text
from gridtalk.devicetalk.device_file_schema import (
    SourcePart,
)


class LanguageOut(Schema):
    """A programming language."""

    id: int
    name: str


class LanguageIn(Schema):
    """A language to add."""

    name: LongText


class FileOut(Schema):
    """A stored file; its bytes are at ``file/<uuid>``. ``size`` in bytes."""

    path: str = Field(alias="file_path")
    uuid: UUID
    size: int
    updated_at: datetime


class BasicFileOut(Schema):
    """A template tree for one language."""

    id: int
    language: str
    name: str
    updated_at: datetime


class BasicFileWholeOut(BasicFileOut):
    """A basic file with its files and what its ``config.ini`` says."""

    manual_url: str
    lib_root: str
    example_dir: str
    files: list[FileOut]


class UploadEnd(Schema):
    """The end of an upload: ``completed`` takes it, ``failed`` removes all of its files."""

    upload_batch: LongId
    status: Literal["completed", "failed"] = "completed"


class BasicFileIn(UploadEnd):
    """An uploaded folder as the basic file of that name."""

    language: Text
    name: LongText


class LossesOut(Schema):
    """How many devices, device libraries and libraries were deleted with it."""

    devices: int
    device_libraries: int
    libraries: int


class UploadIn(Schema):
    """The paths of a folder that is to be uploaded."""

    paths: Annotated[list[str], Field(max_length=100_000)]


class UploadFileOut(Schema):
    """Where the bytes of one path are to be sent: ``POST file/<uuid>``."""

    path: str = Field(alias="file_path")
    uuid: UUID


class UploadOut(Schema):
    """An open upload."""

    upload_batch: int
    files: list[UploadFileOut]


class ModelFeatureIO(Schema):
    """A feature of a device model."""

    name: LongText
    type: Direction
    params: Annotated[list[LongText], Field(max_length=100)]


class DeviceModelIn(Schema):
    """A device model."""

    name: LongText
    description: LongText = ""
    features: Annotated[list[ModelFeatureIO], Field(max_length=1000)]


class DeviceModelOut(Schema):
    """A device model."""

    id: int
    name: str
    description: str
    source_server: str
    updated_at: datetime
    features: list[ModelFeatureIO]


class ModelImport(Schema):
    """A device object of an IoTtalk server; ``keep`` stores its device model (administrators)."""

    server_url: LongText
    project: LongText
    device_object: LongText
    keep: bool = False


class ImportedOut(Schema):
    """The model of a device object, the names of its features in use, and where it is from.

    ``source`` is the part of that name of a device's document.
    """

    device_model: str
    features: list[ModelFeatureIO]
    in_use: list[str]
    source: SourcePart
