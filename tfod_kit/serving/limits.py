"""What the service accepts, and how it says no."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost, and how many there may be.

    Attributes:
      body_bytes: the largest request body.
      images: the most pictures in one request.
      pixels: the most pixels in one picture; it is refused before it is decoded.
      requests: how many requests may be under way; more get 503 and are asked to come back.
      timeout_s: how long an upload may take, and after it the detection, in seconds each.
    """

    body_bytes: int = 20 * 10**6
    images: int = 16
    pixels: int = 40 * 10**6
    requests: int = 64
    timeout_s: float = 30.0


class Refusal(Exception):
    """A request that is not served; its text says why, for the client to read.

    Args:
      status: the HTTP status.
      reason: one sentence or two.
      headers: to send along.
    """

    def __init__(
        self, status: int, reason: str, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = dict(headers)


def busy(reason: str) -> Refusal:
    """503: the client is asked to come back in a second."""
    return Refusal(503, reason, {"Retry-After": "1"})
