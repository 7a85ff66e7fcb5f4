"""The limits of requests, and how requests are refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one request, and of simultaneous requests.

    Attributes:
      body_bytes: maximum size of a request body.
      images: maximum number of images in a request.
      pixels: maximum number of pixels in an image, which is checked before decoding.
      requests: maximum number of requests in progress; others get 503 and a Retry-After.
      memory_bytes: what all requests together may take beside the model: bodies, decoded images,
        and the model's input. A request waits until there is room for it.
      timeout_s: maximum duration of an upload, and of the detection after it, in seconds.
    """

    body_bytes: int = 20 * 10**6
    images: int = 16
    pixels: int = 40 * 10**6
    requests: int = 64
    memory_bytes: int = 1000 * 10**6
    timeout_s: float = 30.0

    @property
    def body_memory(self) -> int:
        """The part of the memory that is for bodies, in bytes."""
        return self.memory_bytes // 4

    @property
    def image_memory(self) -> int:
        """The part of the memory that is for images, in bytes."""
        return self.memory_bytes - self.body_memory


class Refusal(Exception):
    """A request that is refused; its text states the reason, for the client.

    Args:
      status: the HTTP status.
      reason: one or two sentences.
      headers: of the response.
    """

    def __init__(
        self, status: int, reason: str, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = dict(headers)


def busy(reason: str) -> Refusal:
    """503: the client should try again in a second."""
    return Refusal(503, reason, {"Retry-After": "1"})
