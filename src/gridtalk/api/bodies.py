"""What callers send: how large it may be, read once, and never half."""

from django.conf import settings
from django.http import HttpRequest, UnreadablePostError

from gridtalk.core.errors import TooLarge, UserError

#: The largest JSON, in bytes: a device with all its code. Pages' forms have a lower limit.
LARGEST_JSON = 4 * 2**20
#: What a multipart body has besides its file.
_AROUND_A_FILE = 64 * 1024


def body_prepare(request: HttpRequest) -> None:
    """Check a body's size before anybody reads it; read JSON that is larger than a page's form.

    Called once the caller is known. Raises :class:`TooLarge`, :class:`UserError` where the body
    broke off or does not say its length.
    """
    size = _length(request)
    if _is_json(request):
        if size > LARGEST_JSON:
            raise TooLarge(
                f"{size} bytes of JSON; at most {LARGEST_JSON} are taken (send a file as "
                "application/octet-stream)"
            )
        if size > (settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0):
            # Django refuses to read so much by itself; this is where it keeps what was read.
            request._body = _read(request, size)  # noqa: SLF001
    elif size > settings.FILES_LARGEST_BYTES + _AROUND_A_FILE:
        raise TooLarge(f"{size} bytes; a file may have {settings.FILES_LARGEST_BYTES}")


def file_body(request: HttpRequest) -> bytes:
    """The file that was sent: the body as it is, or the one part ``file`` of a form.

    Raises :class:`UserError` where there is none or several, or it broke off. Its size is checked
    by who stores it.
    """
    if request.content_type == "multipart/form-data":
        given = request.FILES.getlist("file")
        if len(given) != 1 or len(request.FILES) != 1:
            raise UserError("send one file, as the form's field “file”, or as the body itself")
        return bytes(given[0].read())
    return request.body if _is_json(request) else _read(request, _length(request))


def _is_json(request: HttpRequest) -> bool:
    return request.content_type in {"application/json", ""}


def _length(request: HttpRequest) -> int:
    given = request.META.get("CONTENT_LENGTH") or ""
    if not given and request.META.get("HTTP_TRANSFER_ENCODING"):
        raise UserError("the body has no Content-Length; send it whole, not in chunks")
    return int(given) if given.isascii() and given.isdigit() else 0


def _read(request: HttpRequest, size: int) -> bytes:
    try:
        data = request.read(size)
    except UnreadablePostError:
        data = b""
    if len(data) < size:
        raise UserError(f"the body broke off after {len(data)} of {size} bytes; send it again")
    return bytes(data)
