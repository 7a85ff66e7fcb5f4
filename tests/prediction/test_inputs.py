"""What `tfod predict` is given: files, folders, patterns, addresses, a pipe."""

import io
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from samples import encoded, picture

from tfod_kit.errors import DataError, UsageError
from tfod_kit.io import http
from tfod_kit.prediction import fetch, inputs
from tfod_kit.prediction.inputs import Input, Video


def paths(given: list[str], out: Path, stdin: bytes = b"") -> list[Path]:
    return [item.path for item in inputs.find(given, out, io.BytesIO(stdin))]


def test_folders_are_searched_to_any_depth_and_files_named_once(tmp_path: Path) -> None:
    first = picture(tmp_path / "b" / "deep" / "1.PNG")
    second = picture(tmp_path / "a.jpg")
    (tmp_path / "notes.txt").write_text("no picture")
    found = paths([str(second), str(tmp_path)], tmp_path / "out")
    assert found == [second, first]


def test_an_earlier_runs_images_are_not_looked_at(tmp_path: Path) -> None:
    mine = picture(tmp_path / "a.jpg")
    picture(tmp_path / "out" / "a.jpg")
    assert paths([str(tmp_path)], tmp_path / "out") == [mine]
    inside = paths([str(tmp_path / "out")], tmp_path / "out")
    assert inside == [tmp_path / "out" / "a.jpg"], "asked for by name"


def test_patterns_and_lists(tmp_path: Path) -> None:
    one, two = picture(tmp_path / "x" / "1.jpg"), picture(tmp_path / "y" / "2.jpg")
    picture(tmp_path / "y" / "3.png")
    assert paths([f"{tmp_path}/**/*.jpg"], tmp_path / "out") == [one, two]
    assert paths(["-"], tmp_path / "out", f"{two}\n\n{one}\r\n".encode()) == [two, one]


def test_a_piped_image_is_kept(tmp_path: Path) -> None:
    data = encoded("PNG", 8, 6)
    (found,) = paths(["-"], tmp_path / "out", data)
    assert found.suffix == ".png"
    assert found.read_bytes() == data


def test_videos_cameras_and_streams_are_told_from_images(tmp_path: Path) -> None:
    (tmp_path / "a.MP4").write_bytes(b"")
    given = [str(tmp_path / "a.MP4"), "camera:1", "rtsp://host/door", "https://host/b.webm"]
    found = inputs.find(given, tmp_path / "out")
    assert all(isinstance(item, Video) for item in found)
    assert [item.live for item in found if isinstance(item, Video)] == [
        None,
        1,
        "rtsp://host/door",
        None,
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("absent", "does not exist"),
        (".", "no images or videos"),
        ("*.jpg", "No file matches"),
        ("-", "no images or videos"),
    ],
)
def test_nothing_to_look_at_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        inputs.find([given], tmp_path / "out", io.BytesIO(b""))


def test_noise_from_a_pipe_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither an image nor a list of paths"):
        inputs.find(["-"], tmp_path, io.BytesIO(b"\x00\xff\xfe"))


def test_drawn_images_of_one_name_do_not_overwrite_each_other() -> None:
    given = [Path(name) for name in ("x/a.jpg", "y/a.JPG", "z/a-2.jpg", "a.png", "b.webp", "v.mov")]
    names = inputs.drawn_names(given)
    assert names == ["a.jpg", "a-2.jpg", "a-2-2.jpg", "a.png", "b.jpg", "v.mp4"]


@pytest.mark.parametrize("name", [b"a.jpg", "é b.jpg".encode(), b"caf\xe9.jpg"])
def test_a_file_is_found_again_by_its_entry(name: bytes) -> None:
    path = Path("pictures", os.fsdecode(name))
    said = inputs.file_fields(path)
    assert inputs.path_of(json.loads(json.dumps(said))) == path
    assert said["file"].encode()


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        data, kind, declared = encoded("JPEG", 40, 30), "image/jpeg", None
        if self.path == "/page":
            data, kind = b"<html>", "text/html"
        elif self.path == "/cut":
            declared = len(data) + 99
        elif self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "ftp://127.0.0.1/x")
            self.end_headers()
            return
        elif self.path == "/absent":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(declared or len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def test_an_address_is_fetched_whole(server: str, tmp_path: Path) -> None:
    (item,) = inputs.find([f"{server}/cat.jpg?size=3"], tmp_path)
    assert isinstance(item, Input)
    assert item.path.name.startswith("cat-")
    fetch.fetch(item.url, item.path)
    assert item.path.read_bytes() == encoded("JPEG", 40, 30)


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("page", "text/html"),
        ("cut", "broke at"),
        ("away", "forwards to ftp:"),
        ("absent", "Not Found"),
    ],
)
def test_what_an_address_should_not_give(server: str, tmp_path: Path, page: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        fetch.fetch(f"{server}/{page}", tmp_path / "got.jpg")
    assert list(tmp_path.iterdir()) == [], "nothing, or a half, is never left"


def test_too_large_and_too_slow_are_refused(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "IMAGE_LIMITS", http.Limits(100))
    with pytest.raises(DataError, match="more than 0 MB"):
        fetch.fetch(f"{server}/a.jpg", tmp_path / "got.jpg")
    monkeypatch.setattr(fetch, "IMAGE_LIMITS", http.Limits(10**6, seconds=-1.0))
    with pytest.raises(DataError, match="not complete after"):
        fetch.fetch(f"{server}/a.jpg", tmp_path / "got.jpg")


def test_names_of_addresses_are_safe_and_their_own() -> None:
    names = [
        fetch.name_of(f"http://h/{part}") for part in ("../../x", "a.png", "b/a.png", "", "%2e")
    ]
    assert len(set(names)) == len(names)
    assert all("/" not in name and not name.startswith(".") for name in names)
    assert names[1].endswith(".png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_a_fifo_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(UsageError, match="FIFO"):
        inputs.find([str(tmp_path / "a.jpg")], tmp_path / "out")
    with pytest.raises(UsageError, match="no images"):
        inputs.find([str(tmp_path)], tmp_path / "out")
