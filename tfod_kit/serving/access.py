"""Who may use the service: a token, and the web pages of other origins (CORS)."""

import hmac
import re
from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request

from tfod_kit.errors import UsageError
from tfod_kit.serving.limits import Refusal

ANY_ORIGIN = "*"

_ORIGIN = re.compile(r"https?://[^/\s?#@,]+|null", re.ASCII)
# What a header can carry (RFC 6750, b64token), generously.
_TOKEN = re.compile(r"[!-~]+")


def check_token(request: Request, token: str | None) -> None:
    """Checks the header Authorization: Bearer TOKEN; None = everybody may ask.

    Raises:
      Refusal: 401, it is missing or another one.
    """
    if token is None:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # compare_digest takes the same time however much of the token is right.
    right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())
    if scheme.lower() != "bearer" or not right:
        raise Refusal(
            401,
            "Send the service's token: Authorization: Bearer TOKEN",
            {"WWW-Authenticate": "Bearer"},
        )


def check(token: str | None, origins: Sequence[str]) -> None:
    """Checks the options.

    Raises:
      UsageError: a token that a header cannot carry, or an address that is not an origin.
    """
    if token is not None and not _TOKEN.fullmatch(token):
        raise UsageError(
            "The token is invalid.",
            where="--token",
            expected="one or more printable ASCII characters without spaces",
            found="a space or another character" if token else "an empty text",
            fix="Take a random one: python -c 'import secrets; print(secrets.token_urlsafe())'",
        )
    for origin in origins:
        if origin != ANY_ORIGIN and not _ORIGIN.fullmatch(origin):
            raise UsageError(
                "This is not an origin.",
                where="--allow_origin",
                expected="scheme, host and port without a path, such as https://example.org, or *",
                found=origin,
                fix="Copy the value of the header Origin that the browser sends.",
            )


def cors(origins: Sequence[str]) -> list[Middleware]:
    """What answers browsers for the web pages of some origins; ANY_ORIGIN = of all."""
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After"],
        )
    ]
