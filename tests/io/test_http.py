"""`fetch`, and limits of `download`; what breaks and resumes is in tests/zoo/test_download.py."""

from pathlib import Path

import pytest
from archive_server import Behaviour, serving

from tfod_kit.errors import UsageError
from tfod_kit.io import http

CONTENT = bytes(range(256)) * 4000  # 1.024 MB
ANY = http.Limits(10**9)
QUICK = http.Patience(tries=2, pause=0.01)


def test_a_file_is_fetched_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Behaviour(CONTENT)) as url:
        http.fetch(url, tmp_path / "new" / "a", ANY)
    assert (tmp_path / "new" / "a").read_bytes() == CONTENT
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("behaviour", "limits", "reason"),
    [
        pytest.param(
            Behaviour(CONTENT, drops=[1000]), ANY, "broke at 1,000 of 1,024,000", id="cut short"
        ),
        pytest.param(Behaviour(CONTENT, statuses=[503]), ANY, "503", id="busy"),
        pytest.param(
            Behaviour(CONTENT),
            http.Limits(10**6),
            "1,024,000 bytes, more than 1 MB",
            id="too large",
        ),
        pytest.param(
            Behaviour(CONTENT, lengths=False), http.Limits(10**6), "more than 1 MB", id="endless"
        ),
        pytest.param(
            Behaviour(CONTENT), http.Limits(10**9, seconds=-1), "not complete after", id="slow"
        ),
    ],
)
def test_a_failed_fetch_leaves_the_old_file_and_asks_once(
    tmp_path: Path, behaviour: Behaviour, limits: http.Limits, reason: str
) -> None:
    (tmp_path / "a").write_text("old")
    with serving(behaviour) as url, pytest.raises(http.Unavailable, match=reason):
        http.fetch(url, tmp_path / "a", limits)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
    assert len(behaviour.asked) == 1


def test_a_download_beyond_the_limits_is_given_up_and_not_resumed(tmp_path: Path) -> None:
    behaviour = Behaviour(CONTENT, lengths=False)
    with serving(behaviour) as url, pytest.raises(http.Unavailable, match="more than 1 MB"):
        http.download(url, tmp_path / "a", "a", http.Limits(10**6), QUICK)
    assert len(behaviour.asked) == 1
    assert (tmp_path / "a").read_bytes() == b""


def test_a_full_disk_is_reported_before_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http.shutil, "disk_usage", lambda _: _Usage)
    limits = http.Limits(10**9, disk_full_advice="Set TFOD_CACHE.")
    with serving(Behaviour(CONTENT)) as url, pytest.raises(UsageError, match="TFOD_CACHE"):
        http.download(url, tmp_path / "a", "a", limits, QUICK)
    assert list(tmp_path.iterdir()) == []


class _Usage:
    free = 1000


@pytest.mark.parametrize("url", ["http://[half", "http://"])
def test_a_malformed_address_is_unavailable(tmp_path: Path, url: str) -> None:
    with pytest.raises(http.Unavailable):
        http.fetch(url, tmp_path / "a", ANY)
