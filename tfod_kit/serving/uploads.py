"""The images in a request, within the limits: its body, or the files of a form."""

import io
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from tfod_kit.serving.limits import Limits, Refusal

if TYPE_CHECKING:
    from PIL import Image

# The formats of cameras and the web. Pillow reads dozens of others, which would only add to the
# attack surface.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
UNNAMED = "-"


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a request: its name, "-" if it has none, and its bytes."""

    name: str
    data: bytes


async def read(request: Request, limits: Limits) -> list[Upload]:
    """The files of a request: one or more, in their order.

    Raises:
      Refusal: 413 too large, 400 empty, too many files or an invalid form.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limits.body_bytes:
        raise _too_large(limits)
    bounded = Request(request.scope, _bounded(request.receive, limits))
    if request.headers.get("content-type", "").startswith("multipart/"):
        return await _form_files(bounded, limits)
    data = await bounded.body()
    if not data:
        raise Refusal(400, "The body is empty. Send an image: curl --data-binary @image.jpg")
    return [Upload(UNNAMED, data)]


def decode(upload: Upload, limits: Limits) -> "Image.Image":
    """The image, upright (EXIF orientation applied) and in RGB.

    Raises:
      Refusal: 415 not an image, 413 too many pixels, 422 damaged.
    """
    from PIL import Image, ImageOps

    name = "The body" if upload.name == UNNAMED else upload.name
    try:
        image = Image.open(io.BytesIO(upload.data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise Refusal(413, f"{name} has too many pixels: {error}") from error
    except Exception as error:  # damaged data makes Pillow's readers raise any error
        raise Refusal(
            415, f"{name} is not an image in one of the formats {', '.join(FORMATS)}."
        ) from error
    with image:
        if image.width * image.height > limits.pixels:
            raise Refusal(
                413,
                f"{name} has {image.width} x {image.height} pixels; "
                f"at most {limits.pixels:,} are accepted.",
            )
        try:
            return ImageOps.exif_transpose(image).convert("RGB")
        except Exception as error:
            raise Refusal(422, f"{name} is damaged: {error}.") from error


async def _form_files(request: Request, limits: Limits) -> list[Upload]:
    try:
        form = await request.form(max_files=limits.images, max_fields=limits.images)
    except HTTPException as error:
        raise Refusal(400, f"The form cannot be read: {error.detail}") from error
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files:
            raise Refusal(400, "The form holds no file. Send one: curl -F image=@image.jpg")
        return [
            Upload(PurePath(file.filename or UNNAMED).name, await file.read()) for file in files
        ]
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
