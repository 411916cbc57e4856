"""Files: an upload is opened, its files sent one by one; stored files are fetched."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.http import content_disposition_header
from ninja import Router, Status

from gridtalk.api.bodies import file_body
from gridtalk.api.schemas_workshop import FileOut, UploadIn, UploadOut
from gridtalk.devicetalk import selectors
from gridtalk.files import services
from gridtalk.files.models import File
from gridtalk.files.opening import file_bytes
from gridtalk.users.models import Permission
from gridtalk.users.permissions import requires, signed_in

router = Router(tags=["files"])


@router.put("file", response={201: UploadOut}, summary="Open the upload of a folder")
@requires(Permission.DEVICES)
def upload_open(request: HttpRequest, body: UploadIn) -> Status[dict[str, Any]]:
    """A batch, and for each path the uuid to which its bytes go (``POST file/<uuid>``).

    Then ``PUT library/…`` or ``PUT basicfiles`` takes the batch, whole. Paths are relative, with
    the folder's own name first; all that is wrong with them is said at once. An upload that nobody
    takes is removed after a day.
    """
    batch, files = services.upload_batch_create(user=signed_in(request), paths=body.paths)
    return Status(201, {"upload_batch": batch.pk, "files": files})


def binary(content_type: str) -> dict[str, Any]:
    """The description of an answer that is no JSON."""
    schema = {"type": "string", "format": "binary"}
    return {
        "responses": {200: {"description": "OK", "content": {content_type: {"schema": schema}}}}
    }


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "required": ["file"],
                }
            },
        },
    }
}


@router.post(
    "file/{uuid}", response=FileOut, summary="Send the bytes of one file", openapi_extra=_BODY
)
@requires(Permission.DEVICES)
def file_send(request: HttpRequest, uuid: UUID) -> File:
    """The file's bytes: the body as it is, or a form's part ``file``. A repeat is no error."""
    return services.file_upload(user=signed_in(request), uuid=uuid, data=file_body(request))


@router.get(
    "file/{uuid}",
    summary="The bytes of one file",
    openapi_extra=binary("application/octet-stream"),
)
@requires(Permission.VIEW)
def file_get(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """A file of a basic file, library, device library or device that you see, or of your upload."""
    file = selectors.file_get(user=signed_in(request), uuid=uuid)
    return download(file_bytes(file), file.file_path.rpartition("/")[2])


def download(
    data: bytes, name: str, content_type: str = "application/octet-stream"
) -> HttpResponse:
    """An answer that browsers store under that name, and never show or run."""
    return HttpResponse(
        data,
        content_type=content_type,
        headers={
            "Content-Disposition": content_disposition_header(True, name) or "attachment",
            "Cache-Control": "private, no-store",
        },
    )
