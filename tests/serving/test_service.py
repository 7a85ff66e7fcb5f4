"""The service over real HTTP on loopback, with a detector that needs no TensorFlow."""

import http.client
import io
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from loopback_service import BOUNDARY, FORM, POISON, SeesBrightness, ask, form, picture, serving
from PIL import Image

from tfod_kit.errors import UsageError
from tfod_kit.serving.limits import Limits
from tfod_kit.serving.server import listen


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(SeesBrightness()) as number:
        yield number


def bomb() -> bytes:
    """400 megapixels in 50 kB."""
    stream = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(stream, "PNG")
    return stream.getvalue()


def test_an_image_as_the_body(port: int) -> None:
    response, body = ask(port, "POST", "/detect", picture(255))
    assert (response.status, response.getheader("content-type")) == (200, "application/json")
    document = json.loads(body)
    assert document["model"] == "bright", "no folders of the server"
    (row,) = document["images"]
    assert (row["width"], row["height"]) == (40, 20)
    assert row["detections"] == [
        {"label": "bright", "score": 1.0, "box": [0.0, 0.0, 0.5, 1.0], "pixels": [0, 0, 40, 10]}
    ]


def test_files_of_a_form_keep_their_names_and_order(port: int) -> None:
    body = form(("ä.png", picture(255)), ("../b.jpg", picture(10, (9, 9))), ("c", picture(200)))
    _, answer = ask(port, "POST", "/detect", body, **FORM)
    rows = json.loads(answer)["images"]
    assert [row["file"] for row in rows] == ["ä.png", "b.jpg", "c"]
    assert [len(row["detections"]) for row in rows] == [1, 0, 1], "10/255 is below the limit"


def test_a_request_may_set_the_lowest_score(port: int) -> None:
    _, body = ask(port, "POST", "/detect?min_score=0.01", picture(10))
    assert len(json.loads(body)["images"][0]["detections"]) == 1


def test_a_turned_photograph_is_seen_upright(port: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side, to be turned by 90 degrees
    _, body = ask(port, "POST", "/detect", picture(99, kind="JPEG", exif=exif))
    row = json.loads(body)["images"][0]
    assert (row["width"], row["height"]) == (20, 40)


def test_the_drawn_image(port: int) -> None:
    response, body = ask(port, "POST", "/detect?draw=1", picture(255, (300, 200)))
    assert response.getheader("content-type") == "image/jpeg"
    drawn = Image.open(io.BytesIO(body))
    assert drawn.size == (300, 200)
    assert drawn.getpixel((1, 60)) != (255, 255, 255), "the box's left edge"
    assert drawn.getpixel((150, 150)) == (255, 255, 255), "nothing below it"


NOISE = bytes(range(256)) * 600
BAD = {
    "text": (415, b"<html>not found</html>", {}, "not an image"),
    "nothing": (400, b"", {}, "empty"),
    "a picture cut short": (422, picture(9, (64, 64), "JPEG")[:-40], {}, "damaged"),
    "a form without a file": (400, form(), FORM, "no file"),
    "a form that is none": (400, b"x", FORM, "cannot be read|no file"),
    "a form without a boundary": (400, b"x", {"Content_Type": "multipart/form-data"}, "boundary"),
    "another multipart type": (400, b"x", {"Content_Type": "multipart/mixed"}, "form-data"),
    "a bad file among good ones": (415, form(("a.png", picture(9)), ("b", b"?")), FORM, "^b is"),
    "too many files": (400, form(*[("a.png", picture(9))] * 4), FORM, "Too many files"),
    "too many pixels": (413, picture(9, (1001, 1000)), {}, "1001 x 1000 pixels"),
    "a bomb": (413, bomb(), {}, "pixels"),
    "too many bytes": (413, NOISE * 2, {}, "too large"),
    "too many bytes in a form": (413, form(("a.png", NOISE * 2)), FORM, "too large"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_uploads_are_refused_with_a_reason(port: int, name: str) -> None:
    status, body, headers, said = BAD[name]
    response, answer = ask(port, "POST", "/detect", body, **headers)
    assert response.status == status
    assert re.search(said, json.loads(answer)["error"])


def test_a_body_of_unknown_length_is_cut_off(port: int) -> None:
    response, _ = ask(port, "POST", "/detect", iter([NOISE] * 4))
    assert response.status == 413


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("min_score=2", "min_score is a number"),
        ("min_score=x", "min_score is a number"),
        ("min_score=nan", "min_score is a number"),
        ("draw=yes", "draw is 0 or 1"),
        ("minscore=0.1", "'minscore'. Did you mean 'min_score'?"),
        ("threshold=0.1", "'threshold'. Known: draw, min_score."),
        ("min_score=0.1&min_score=0.2", "min_score is given twice"),
    ],
)
def test_bad_options_are_refused(port: int, query: str, reason: str) -> None:
    response, body = ask(port, "POST", f"/detect?{query}", picture(9))
    assert response.status == 400
    assert reason in json.loads(body)["error"]


def field(name: str, value: str) -> bytes:
    """A field before the files of a form."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return f"{head}{value}\r\n".encode()


def test_the_fields_of_a_form_are_options_too(port: int) -> None:
    body = field("min_score", "0.01") + form(("a.png", picture(10)))
    _, answer = ask(port, "POST", "/detect", body, **FORM)
    assert len(json.loads(answer)["images"][0]["detections"]) == 1


@pytest.mark.parametrize(
    ("query", "name", "reason"),
    [
        ("", "confidence", "There is no option 'confidence'"),
        ("?min_score=0.2", "min_score", "min_score is given twice"),
    ],
)
def test_bad_fields_are_refused(port: int, query: str, name: str, reason: str) -> None:
    body = field(name, "0.5") + form(("a.png", picture(10)))
    response, answer = ask(port, "POST", f"/detect{query}", body, **FORM)
    assert response.status == 400
    assert reason in json.loads(answer)["error"]


@pytest.mark.parametrize("kind", ["Multipart/Form-Data", "MULTIPART/FORM-DATA "])
def test_the_type_of_a_form_in_any_case(port: int, kind: str) -> None:
    body = form(("a.png", picture(255)))
    response, answer = ask(
        port, "POST", "/detect", body, Content_Type=f"{kind}; boundary={BOUNDARY}"
    )
    assert response.status == 200
    assert json.loads(answer)["images"][0]["file"] == "a.png"


def test_drawing_takes_one_image(port: int) -> None:
    body = form(("a.png", picture(9)), ("b.png", picture(9)))
    assert ask(port, "POST", "/detect?draw=1", body, **FORM)[0].status == 400


def test_what_it_says_of_itself(port: int) -> None:
    assert json.loads(ask(port, "GET", "/")[1])["limits"]["images"] == 3
    assert json.loads(ask(port, "GET", "/health")[1]) == {"alive": True}
    assert json.loads(ask(port, "GET", "/ready")[1]) == {"ready": True}


def test_many_at_once_are_batched_and_none_is_lost_or_swapped() -> None:
    detector = SeesBrightness()
    with serving(detector) as port, ThreadPoolExecutor(12) as pool:
        levels = [level for level in range(256) if level != POISON]
        asked = [
            pool.submit(ask, port, "POST", "/detect?min_score=0", picture(level))
            for level in levels
        ]
        answers = [json.loads(each.result()[1])["images"][0]["detections"] for each in asked]
        figures = ask(port, "GET", "/metrics")[1].decode()
    assert [row[0]["score"] for row in answers] == [round(level / 255, 6) for level in levels]
    assert sum(detector.batches) == len(levels)
    assert 1 < max(detector.batches) <= 8
    assert 'tfod_requests_total{status="200"} 255.0' in figures
    assert 'tfod_objects_total{label="bright"} 255.0' in figures
    assert "tfod_requests_under_way 0.0" in figures
    assert f"tfod_batch_images_count {len(detector.batches)}.0" in figures


def test_one_that_fails_takes_no_other_with_it() -> None:
    detector = SeesBrightness()
    detector.go.clear()
    with serving(detector) as port, ThreadPoolExecutor(6) as pool:
        levels = [100, POISON, 101, 102, POISON]
        asked = [pool.submit(ask, port, "POST", "/detect", picture(level)) for level in levels]
        time.sleep(0.3)  # all are in the queue
        detector.go.set()
        assert [each.result()[0].status for each in asked] == [200, 500, 200, 200, 500]
        assert ask(port, "GET", "/health")[0].status == 200


def test_too_many_at_once_are_asked_to_come_back() -> None:
    detector = SeesBrightness()
    detector.go.clear()
    limits = Limits(requests=2, timeout_s=10)
    with serving(detector, limits) as port, ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(ask, port, "POST", "/detect", picture(200)) for _ in range(2)]
        while ask(port, "GET", "/ready")[0].status == 200:
            time.sleep(0.02)
        response, body = ask(port, "POST", "/detect", picture(200))
        assert (response.status, response.getheader("retry-after")) == (503, "1")
        assert "2 requests" in json.loads(body)["error"]
        assert ask(port, "GET", "/health")[0].status == 200
        detector.go.set()
        assert [each.result()[0].status for each in asked] == [200, 200]
        assert ask(port, "GET", "/ready")[0].status == 200


def test_what_takes_too_long_is_given_up() -> None:
    detector = SeesBrightness()
    with serving(detector, Limits(timeout_s=0.3)) as port:
        slow = (time.sleep(part) or b"x" for part in (0.0, 1.0))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("POST", "/detect", slow)
        assert connection.getresponse().status == 408
        detector.go.clear()
        response, _ = ask(port, "POST", "/detect", picture(200))
        assert (response.status, response.getheader("retry-after")) == (503, "1")
        detector.go.set()
        assert ask(port, "POST", "/detect", picture(200))[0].status == 200


def test_a_taken_address_is_explained() -> None:
    with listen("127.0.0.1", 0) as first:
        first.listen()
        with pytest.raises(UsageError, match="cannot listen"):
            listen("127.0.0.1", first.getsockname()[1])
