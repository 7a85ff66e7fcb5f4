"""Downloads against a real server that misbehaves in every way that the issue lists."""

import gzip
import hashlib
import io
import random
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from archive_server import Behaviour, serving

from tfod_kit.errors import CheckpointError, UsageError
from tfod_kit.io import http
from tfod_kit.zoo import archives, cache, download
from tfod_kit.zoo.download import DownloadOptions

NAME = "ssd_mobilenet_v2_320x320_coco17_tpu-8"
ARCHIVE = archives.archives()[NAME]
CHECKPOINT = random.Random(0).randbytes(900_000)  # does not compress: its bytes are the archive's
FILES = {
    "pipeline.config": b"model { }",
    "checkpoint/ckpt-0.index": b"index",
    "checkpoint/ckpt-0.data-00000-of-00001": CHECKPOINT,
}
QUICK = http.Patience(tries=3, pause=0.01)


def packed(files=FILES, folder=NAME) -> bytes:
    """A zoo's archive; the same bytes whenever it is packed, in whichever worker of the tests."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


CONTENT = packed()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.CACHE, str(tmp_path / "cache"))
    for name in (cache.OFFLINE, cache.MIRROR, "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


def obtain(mirror, **options):
    wanted = DownloadOptions(mirror=mirror, patience=QUICK, **options)
    return download.obtain(ARCHIVE, wanted)


def leftovers() -> set[str]:
    return {path.name for path in cache.folder().iterdir()}


def assert_whole(got) -> None:
    assert got.sha256 == SHA256
    for name, content in FILES.items():
        assert (got.folder / name).read_bytes() == content
    assert leftovers() == {NAME, f"{NAME}.json", f"{NAME}.lock"}


def test_an_archive_is_downloaded_once(capsys):
    behaviour = Behaviour(CONTENT)
    with serving(behaviour) as url:
        got = obtain(url)
        assert got.fresh
        assert_whole(got)
        again = obtain(url)
        assert (again.folder, again.fresh) == (got.folder, False)
    assert behaviour.asked == [(f"/{ARCHIVE.date}/{NAME}.tar.gz", None)]
    assert "downloading" in capsys.readouterr().err


def test_the_mirror_may_be_flat_or_the_archive_itself():
    behaviour = Behaviour(CONTENT, statuses=[404])
    with serving(behaviour) as url:
        assert_whole(obtain(url))
        assert [path for path, _ in behaviour.asked][1] == f"/{NAME}.tar.gz"
        assert_whole(obtain(f"{url}/my/copy.tar.gz", again=True))
        assert behaviour.asked[-1][0] == "/my/copy.tar.gz"


# ---- connections that break ----------------------------------------------------------------------


def test_dropped_connections_are_taken_up_where_they_broke():
    behaviour = Behaviour(CONTENT, drops=[300_000, 300_000])
    with serving(behaviour) as url:
        assert_whole(obtain(url))
    assert [wanted for _, wanted in behaviour.asked] == [None, "bytes=300000-", "bytes=600000-"]


def test_a_later_process_goes_on_with_what_is_there():
    behaviour = Behaviour(CONTENT, drops=[500_000, 0, 0, 0, 0, 0, 0])
    with serving(behaviour) as url:
        with pytest.raises(CheckpointError, match="cannot be downloaded"):
            obtain(f"{url}/x.tar.gz")
        assert f"{NAME}.tar.gz.part" in leftovers()
        behaviour.drops.clear()
        assert_whole(obtain(f"{url}/x.tar.gz"))
    assert behaviour.asked[-1][1] == "bytes=500000-"


def test_a_server_that_ignores_range_is_read_from_the_start():
    behaviour = Behaviour(CONTENT, drops=[500_000], ranges=False)
    with serving(behaviour) as url:
        assert_whole(obtain(url))
    assert behaviour.asked[1][1] == "bytes=500000-"


def test_a_file_that_changed_between_tries_is_read_from_the_start():
    other = packed({**FILES, "pipeline.config": b"model { ssd { } }"})
    behaviour = Behaviour(other, drops=[400_000, 0, 0, 0], tag='"old"')
    with serving(behaviour) as url:
        with pytest.raises(CheckpointError):
            obtain(f"{url}/x.tar.gz")
        behaviour.content, behaviour.tag = CONTENT, '"new"'
        assert_whole(obtain(f"{url}/x.tar.gz"))


def test_a_part_that_is_whole_already_is_not_asked_for_again():
    behaviour = Behaviour(CONTENT)
    with serving(behaviour) as url:
        address = f"{url}/x.tar.gz"
        part = cache.folder() / f"{NAME}.tar.gz.part"
        part.parent.mkdir(parents=True)
        part.write_bytes(CONTENT)
        part.with_name(f"{part.name}.json").write_text(f'{{"url": "{address}", "version": null}}')
        assert_whole(obtain(address))
    assert behaviour.asked == [("/x.tar.gz", f"bytes={len(CONTENT)}-")]


def test_a_server_that_states_no_length():
    with serving(Behaviour(CONTENT, lengths=False)) as url:
        assert_whole(obtain(url))


def test_truncated_bytes_without_a_length_are_found_in_the_archive():
    with (
        serving(Behaviour(CONTENT[:-1000], lengths=False)) as url,
        pytest.raises(CheckpointError, match="damaged or truncated"),
    ):
        obtain(url)
    assert not (cache.folder() / NAME).exists()


def test_no_server_at_all():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(CheckpointError, match="no connection"):
        obtain(f"http://127.0.0.1:{port}")


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 404])
def test_refusals_advise_what_to_do(status):
    behaviour = Behaviour(CONTENT, statuses=[status] * 2)
    with serving(behaviour) as url, pytest.raises(CheckpointError) as caught:
        obtain(url)
    message = str(caught.value)
    assert len(behaviour.asked) == 2  # the two layouts of a mirror, each asked once
    assert message.count(f": {status} ") == 2
    for cure in ("--archive", "--mirror", "TFOD_MIRROR", "--checkpoint none"):
        assert cure in message


def test_a_busy_server_is_asked_again():
    behaviour = Behaviour(CONTENT, statuses=[503, 429], headers={"Retry-After": "0"})
    with serving(behaviour) as url:
        assert_whole(obtain(url))
    assert len(behaviour.asked) == 3


def test_a_server_that_stays_busy_is_given_up():
    behaviour = Behaviour(CONTENT, statuses=[503] * 9)
    with serving(behaviour) as url, pytest.raises(CheckpointError, match="503"):
        obtain(f"{url}/x.tar.gz")
    assert len(behaviour.asked) == QUICK.tries


def test_a_page_instead_of_an_archive():
    page = b"<!DOCTYPE html><html>Sign in to this network</html>"
    with serving(Behaviour(page)) as url, pytest.raises(CheckpointError, match="a web page"):
        obtain(url)
    assert f"{NAME}.tar.gz.part" not in leftovers()


def test_the_zoos_own_addresses_are_tried_in_turn(monkeypatch):
    broken, good = Behaviour(CONTENT, statuses=[403]), Behaviour(CONTENT)
    with serving(broken) as first, serving(good) as second:
        monkeypatch.setattr(download, "SOURCES", (first, second))
        got = obtain(None)
    assert_whole(got)
    assert got.source.startswith(second)


def test_the_zoos_addresses_are_those_of_its_table():
    assert download.addresses(ARCHIVE, None)[-1] == (
        "http://download.tensorflow.org/models/object_detection/tf2/20200711/"
        "ssd_mobilenet_v2_320x320_coco17_tpu-8.tar.gz"
    )


# ---- checksums -----------------------------------------------------------------------------------


def test_altered_bytes_are_refused_by_the_checksum_that_was_asked_for():
    altered = CONTENT[:50_000] + bytes([CONTENT[50_000] ^ 1]) + CONTENT[50_001:]
    with (
        serving(Behaviour(altered)) as url,
        pytest.raises(CheckpointError, match=f"{SHA256} was expected"),
    ):
        obtain(url, sha256=SHA256)
    assert f"{NAME}.tar.gz.part" not in leftovers()
    assert not (cache.folder() / NAME).exists()


def test_altered_bytes_are_refused_by_gzip_when_no_checksum_is_known():
    altered = CONTENT[:50_000] + bytes([CONTENT[50_000] ^ 1]) + CONTENT[50_001:]
    with (
        serving(Behaviour(altered)) as url,
        pytest.raises(CheckpointError, match="damaged or truncated"),
    ):
        obtain(url)


def test_the_first_checksum_is_kept_to():
    behaviour = Behaviour(CONTENT)
    with serving(behaviour) as url:
        obtain(url)
        behaviour.content = packed({**FILES, "pipeline.config": b"model { ssd { } }"})
        with pytest.raises(CheckpointError, match=f"{SHA256} was expected"):
            obtain(url, again=True)
        assert_whole(obtain(url))  # what was there is still there
        other = hashlib.sha256(behaviour.content).hexdigest()
        assert obtain(url, sha256=other).sha256 == other


@pytest.mark.parametrize("text", ["", "abc", "g" * 64, SHA256[:-1]])
def test_what_is_no_checksum(text):
    with pytest.raises(UsageError, match="SHA-256 is invalid"):
        obtain(None, sha256=text)


# ---- archives at hand, and no network ------------------------------------------------------------


@pytest.fixture
def at_hand(tmp_path):
    path = tmp_path / "usb" / f"{NAME}.tar.gz"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


def test_a_local_archive(at_hand):
    assert_whole(obtain(None, local=at_hand, offline=True))
    assert at_hand.is_file()


def test_a_local_mirror(at_hand):
    assert_whole(obtain(str(at_hand.parent)))
    assert at_hand.is_file()
    with pytest.raises(CheckpointError, match="does not hold"):
        download.obtain(
            archives.archives()["extremenet"], DownloadOptions(mirror=str(at_hand.parent))
        )


def test_a_local_archive_that_is_another(at_hand):
    with pytest.raises(CheckpointError, match="not the expected archive"):
        obtain(None, local=at_hand, sha256="0" * 64)


def test_a_local_archive_that_is_absent(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        obtain(None, local=tmp_path / "absent.tar.gz")


def test_offline_uses_the_cache_alone(at_hand, monkeypatch):
    monkeypatch.setenv(cache.OFFLINE, "1")
    with pytest.raises(CheckpointError, match="downloads are disabled"):
        obtain(None)
    obtain(None, local=at_hand)
    assert not obtain(None).fresh


def test_a_cache_with_a_hole_is_filled_again(at_hand):
    got = obtain(None, local=at_hand)
    (got.folder / "checkpoint" / "ckpt-0.data-00000-of-00001").write_bytes(b"short")
    assert download.cached(ARCHIVE) is None
    assert_whole(obtain(None, local=at_hand))


@pytest.mark.parametrize("mirror", ["ftp://example.org", "file:///etc", "exmaple"])
def test_what_is_no_mirror(mirror):
    with pytest.raises(UsageError, match="neither a folder nor an address"):
        obtain(mirror)


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.CACHE, str(tmp_path / "file"))
    with pytest.raises(UsageError, match="TFOD_CACHE"):
        obtain("http://127.0.0.1:1")


def test_where_the_cache_is(tmp_path, monkeypatch):
    assert cache.folder() == tmp_path / "cache" / "zoo"
    monkeypatch.delenv(cache.CACHE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == tmp_path / "xdg" / "tfod_kit" / "zoo"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.folder() == tmp_path / "home" / ".cache" / "tfod_kit" / "zoo"


# ---- two at once ---------------------------------------------------------------------------------

OTHER = """
import sys
from tfod_kit.zoo import archives, download
options = download.DownloadOptions(mirror=sys.argv[2])
got = download.obtain(archives.archives()[sys.argv[1]], options)
print(got.fresh, got.sha256)
"""


def test_two_processes_at_once_download_once():
    behaviour = Behaviour(CONTENT, slow=0.7)
    with serving(behaviour) as url:
        runs = [
            subprocess.Popen(
                [sys.executable, "-c", OTHER, NAME, url],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        answers = [run.communicate(timeout=60) for run in runs]
    assert sorted(out.split()[0] for out, _ in answers) == ["False", "True"]
    assert {out.split()[1] for out, _ in answers} == {SHA256}
    assert any("Waiting for another process" in errors for _, errors in answers)
    assert len(behaviour.asked) == 1


# ---- what is in the archive ----------------------------------------------------------------------


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    return entry


@pytest.mark.parametrize(
    "entry",
    [
        member("../outside"),
        member("a/../../outside"),
        member("/outside"),
        member("C:\\outside"),
        member("a\\..\\..\\outside"),
        member("a/link", tarfile.SYMTYPE, "/etc"),
        member("a/link", tarfile.SYMTYPE, "b"),
        member("a/link", tarfile.LNKTYPE, "../../outside"),
        member("a/pipe", tarfile.FIFOTYPE),
        member("a/device", tarfile.CHRTYPE),
    ],
    ids=lambda entry: f"{entry.name} {entry.linkname}".strip(),
)
def test_archives_that_reach_outside_are_refused_whole(tmp_path, entry):
    path = tmp_path / "bad.tar.gz"
    path.write_bytes(tar_of((member("a/good"), b"x"), (entry, b"")))
    with pytest.raises(CheckpointError, match="not unpacked"):
        obtain(None, local=path)
    assert not (cache.folder() / NAME).exists()
    outside = [found for found in tmp_path.rglob("*") if found.name in ("outside", "good")]
    assert outside == []


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tfod_kit.zoo.unpack.MAX_BYTES", 1_000_000)
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(tar_of((member("a/zeros"), bytes(2_000_000))))
    with pytest.raises(CheckpointError, match="not unpacked"):
        obtain(None, local=path)


def unusable(tmp_path: Path, content: bytes) -> str:
    """Why an archive is refused; nothing of it may be left."""
    path = tmp_path / "bad.tar.gz"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        obtain(None, local=path)
    assert download.cached(ARCHIVE) is None
    assert leftovers() == {f"{NAME}.lock"}
    return str(caught.value)


FOLDER = (member("a/b", tarfile.DIRTYPE), b"")
DEEP = "/".join("d" * 1500)


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ([(member("a/" + "n" * 300), b"x")], "File name too long: a/nnn"),
        ([(member("a/" + "n" * 300, tarfile.DIRTYPE), b"")], "File name too long"),
        ([(member("a/b"), b"x"), (member("a/b/c"), b"y")], "a/b/c"),
        ([(member("a/b"), b"x"), FOLDER], "File exists: a/b"),
        ([FOLDER, (member("a/b"), b"x")], "Is a directory: a/b"),
        ([(member("."), b"x")], "an invalid name"),
        ([(member("a/\n\x1b[2J"), b"x")], "an invalid name"),
        ([(member(DEEP), b"x")], "more than 32 folders"),
        ([(member(DEEP, tarfile.DIRTYPE), b"")], "more than 32 folders"),
    ],
)
def test_names_that_cannot_be_written_are_refused_whole(tmp_path, members, found):
    message = unusable(tmp_path, tar_of((member("a/pipeline.config"), b"x"), *members))
    assert "not unpacked" in message
    assert found in message


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ([], "no file"),
        ([(member("a", tarfile.DIRTYPE), b"")], "no file"),
        ([(member("a/._pipeline.config"), b"x")], "no file"),
        ([(member("a/README.md"), b"x")], "README.md"),
    ],
)
def test_an_archive_without_a_model_does_not_count_as_downloaded(tmp_path, members, found):
    message = unusable(tmp_path, tar_of(*members))
    assert "a pipeline.config or a checkpoint" in message
    assert found in message


def test_an_archive_with_an_entry_for_its_own_folder(tmp_path):
    path = tmp_path / "good.tar.gz"
    path.write_bytes(tar_of((member("./", tarfile.DIRTYPE), b""), (member("./ckpt-0.index"), b"x")))
    assert (obtain(None, local=path).folder / "ckpt-0.index").read_bytes() == b"x"


FULL = """
import resource, sys
from pathlib import Path
from tfod_kit.errors import UsageError
from tfod_kit.zoo import archives, download
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))  # a write beyond it fails
options = download.DownloadOptions(local=Path(sys.argv[2]))
try:
    download.obtain(archives.archives()[sys.argv[1]], options)
except UsageError as error:
    print(error)
"""


def test_a_full_disk_is_explained_and_leaves_nothing(at_hand):
    done = subprocess.run(
        [sys.executable, "-c", FULL, NAME, str(at_hand)], capture_output=True, text=True
    )
    assert "cannot be unpacked" in done.stdout, done.stderr
    assert "File too large" in done.stdout
    assert "TFOD_CACHE" in done.stdout
    assert leftovers() == {f"{NAME}.lock"}


def test_no_gzip_at_all(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"PK\x03\x04 a zip file")
    with pytest.raises(CheckpointError, match="damaged"):
        obtain(None, local=path)


def test_a_folder_within_of_the_same_name_is_kept(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(packed({f"{NAME}/deep": b"x", "pipeline.config": b"y"}))
    got = obtain(None, local=path)
    assert (got.folder / NAME / "deep").read_bytes() == b"x"
    assert Path(got.folder / "pipeline.config").read_bytes() == b"y"


def test_a_folder_within_of_any_name_is_kept(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(packed({".unpacked0/deep": b"x", "pipeline.config": b"y"}))
    assert (obtain(None, local=path).folder / ".unpacked0" / "deep").read_bytes() == b"x"
