"""The images in a request, within the limits: its body, or the files of a form."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from tfod_kit.serving.limits import Limits, Refusal

UNNAMED = "-"
# A body is in memory twice while its pieces are joined, or while it is copied out of a form.
COPIES = 2

_FORM = "multipart/form-data"
_FIELDS = 8


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a request: its name, "-" if it has none, and its bytes."""

    name: str
    data: bytes

    @property
    def subject(self) -> str:
        """The upload as the subject of a message."""
        return "The body" if self.name == UNNAMED else self.name


@dataclass(frozen=True, slots=True)
class Content:
    """What a request contains: its files, in their order, and the options in its form."""

    files: Sequence[Upload]
    options: Sequence[tuple[str, str]] = ()


def declared_size(request: Request, limits: Limits) -> int:
    """The size of a request's body in bytes, at most; that of the limits if it is not declared.

    Raises:
      Refusal: 413, it is too large.
    """
    declared = request.headers.get("content-length", "")
    if not declared.isdecimal():
        return limits.body_bytes
    if int(declared) > limits.body_bytes:
        raise _too_large(limits)
    return int(declared)


async def read(request: Request, limits: Limits) -> Content:
    """The files of a request, one or more, and its options.

    Raises:
      Refusal: 413 too large, 400 empty, too many files or an invalid form.
    """
    bounded = Request(request.scope, _bounded(request.receive, limits))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == _FORM:
        return await _form(bounded, limits)
    if kind.startswith("multipart/"):
        raise Refusal(400, f"A form has the type {_FORM}, not {kind[:60]}.")
    data = await bounded.body()
    if not data:
        raise Refusal(400, "The body is empty. Send an image: curl --data-binary @image.jpg")
    return Content((Upload(UNNAMED, data),))


async def _form(request: Request, limits: Limits) -> Content:
    try:
        form = await request.form(max_files=limits.images, max_fields=_FIELDS)
    except HTTPException as error:
        raise Refusal(400, f"The form cannot be read: {error.detail}") from error
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files:
            raise Refusal(400, "The form holds no file. Send one: curl -F image=@image.jpg")
        return Content(
            [Upload(PurePath(file.filename or UNNAMED).name, await file.read()) for file in files],
            [(name, value) for name, value in form.multi_items() if isinstance(value, str)],
        )
    finally:
        await form.close()


def _bounded(receive: Receive, limits: Limits) -> Receive:
    """Wraps `receive` to refuse a body without a declared length once it is too large."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limits.body_bytes:
            raise _too_large(limits)
        return message

    return bounded


def _too_large(limits: Limits) -> Refusal:
    return Refusal(
        413, f"The request is too large: at most {limits.body_bytes:,} bytes are accepted."
    )
