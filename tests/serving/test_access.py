"""Who may use the service, and what is counted of those who may not."""

import json

import pytest
from loopback_service import SeesBrightness, ask, picture, requests_by_status, serving

from tfod_kit.errors import UsageError
from tfod_kit.serving import access
from tfod_kit.serving.options import ServeOptions

PAGE = "https://example.org"


def test_by_default_only_this_machine_is_served() -> None:
    assert ServeOptions().host == "127.0.0.1"


def test_unknown_addresses_and_methods_are_explained_and_counted() -> None:
    with serving(SeesBrightness()) as port:
        response, body = ask(port, "POST", "/predict", picture(200))
        assert response.status == 404
        assert "There is no POST /predict" in json.loads(body)["error"]
        response, body = ask(port, "GET", "/detect")
        assert (response.status, response.getheader("allow")) == (405, "POST")
        assert "POST /detect" in json.loads(body)["error"]
        ask(port, "POST", "/detect", picture(200))
        assert requests_by_status(port) == {"404": 1, "405": 1, "200": 1}


@pytest.mark.parametrize(
    "given", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret"}]
)
def test_a_token_is_asked_for(given: dict[str, str]) -> None:
    with serving(SeesBrightness(), token="s3cret") as port:
        for method, path in (("POST", "/detect"), ("GET", "/"), ("GET", "/metrics")):
            response, body = ask(port, method, path, picture(200), **given)
            assert (response.status, response.getheader("www-authenticate")) == (401, "Bearer")
            assert "s3cret" not in body.decode()
        for path in ("/health", "/ready"):  # what a load balancer asks
            assert ask(port, "GET", path, **given)[0].status == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_the_token_opens_the_service(scheme: str) -> None:
    right = {"Authorization": f"{scheme} s3cret"}
    with serving(SeesBrightness(), token="s3cret") as port:
        assert ask(port, "POST", "/detect", picture(200))[0].status == 401
        assert ask(port, "POST", "/detect", picture(200), **right)[0].status == 200
        figures = ask(port, "GET", "/metrics", **right)[1].decode()
    assert 'tfod_requests_total{status="401"} 1.0' in figures


def test_pages_of_other_origins_are_not_answered_by_default() -> None:
    with serving(SeesBrightness()) as port:
        response, _ = ask(port, "POST", "/detect", picture(200), Origin=PAGE)
        assert response.getheader("access-control-allow-origin") is None


@pytest.mark.parametrize(("origins", "answer"), [((PAGE,), PAGE), (("*",), "*")])
def test_pages_of_an_allowed_origin(origins: tuple[str, ...], answer: str) -> None:
    asks = {"Access_Control_Request_Method": "POST"}
    with serving(SeesBrightness(), allow_origins=origins, token="s3cret") as port:
        # A browser asks first, without the token.
        response, _ = ask(port, "OPTIONS", "/detect", Origin=PAGE, **asks)
        assert response.status == 200
        assert "POST" in (response.getheader("access-control-allow-methods") or "")
        token = {"Authorization": "Bearer s3cret"}
        for body in (picture(200), b"?"):  # the page may read refusals, too
            response, _ = ask(port, "POST", "/detect", body, Origin=PAGE, **token)
            assert response.getheader("access-control-allow-origin") == answer


def test_pages_of_another_origin_than_the_allowed() -> None:
    with serving(SeesBrightness(), allow_origins=(PAGE,)) as port:
        response, _ = ask(port, "POST", "/detect", picture(200), Origin="https://example.com")
        assert response.getheader("access-control-allow-origin") is None


@pytest.mark.parametrize("token", ["", "two words", "ümlaut", "line\n"])
def test_tokens_that_no_header_carries(token: str) -> None:
    with pytest.raises(UsageError, match="The token is invalid"):
        access.check(token, ())


@pytest.mark.parametrize("origin", ["example.org", "https://example.org/", "https://a.org,*", ""])
def test_addresses_that_are_not_origins(origin: str) -> None:
    with pytest.raises(UsageError, match="not an origin"):
        access.check(None, [origin])


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:3000", "http://[::1]:80", "*", "null"])
def test_origins(origin: str) -> None:
    access.check("x", [origin])
