import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from samples import copies, voc, voc_xml

from tfod_kit import demo
from tfod_kit.cli.main import main
from tfod_kit.io import resources


def _tfod(*words: object) -> int:
    return main([str(word) for word in words])


def test_the_table_names_counts_boxes_and_what_to_look_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = copies(voc(tmp_path / "data"))
    (data / "3.xml").write_text(voc_xml("3.jpg", [("cat", (0, 0, 50, 30))]))
    voc(tmp_path / "more", 11)
    for name in ("10.jpg", "10.xml"):
        (tmp_path / "more" / name).rename(data / name)
    (data / "10.jpg").write_text("<html>")
    assert _tfod("inspect", data) == 0
    said = capsys.readouterr().out
    assert "1  left out: An image cannot be used. [image_unusable]" in said
    assert said.startswith("Read as Pascal VOC XML (11 files, such as 0.xml).\n")
    assert re.search(r"^images +10$", said, re.MULTILINE)
    assert re.search(r"^  cat +5 +56%$", said, re.MULTILINE)
    assert re.search(r"^all +16 px +12 px +1\.33 +16\.0% ", said, re.MULTILINE)
    assert "Image sizes: 40x30 (10); width/height 1.33" in said
    assert "boxes over 95% of their image [box_full_image]" in said
    assert "such as 3.jpg: cat at 0, 0, 40, 30 px" in said
    assert "boxes that extended outside the image, clipped to it [box_clipped]" in said
    assert "1  groups of images of the very same bytes" in said
    assert "LEAKS" not in said


def test_json_is_nothing_but_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = resources.pipelines() / "ssd_mobilenet_v2_cpu.config"
    assert _tfod("inspect", voc(tmp_path / "data"), "--json", "--config", config) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["splits"]["all"]["classes"] == {"cat": 5, "dog": 4}
    assert figures["anchors"]["input"] == "192x192"


def test_out_writes_the_page_the_sheet_and_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo.write(tmp_path / "data", images=12)
    out = tmp_path / "out"
    for _ in range(2):  # a second time it replaces its own
        assert _tfod("inspect", tmp_path / "data", "--out", out, "--samples", 3) == 0
    assert f"Open {out}/index.html" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == [
        *("figures.json", "index.html", "samples.png")
    ]
    assert json.loads((out / "figures.json").read_text())["splits"]["test"]["images"] > 0
    (out / "notes.txt").write_text("mine")
    assert _tfod("inspect", tmp_path / "data", "--out", out) == 2
    assert "notes.txt" in capsys.readouterr().err
    assert (out / "notes.txt").read_text() == "mine"


def test_classes_are_chosen_as_convert_chooses_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = voc(tmp_path / "data")
    assert _tfod("inspect", data, "--merge", "cat,dog=pet", "--json") == 0
    assert json.loads(capsys.readouterr().out)["splits"]["all"]["classes"] == {"pet": 9}
    assert _tfod("inspect", data, "--include", "cta") == 2
    assert "Did you mean 'cat'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["absent"], "does not exist"),
        (["data", "--config", "absent.config"], "absent.config"),
        (["data", "--out", "data"], "holds other things"),
        (["data", "--format", "vocc"], "Did you mean 'voc'"),
        (["data", "--images", "absent"], "image folder"),
    ],
)
def test_a_mistake_is_one_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    voc(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    assert _tfod("inspect", *words) == 2
    message = capsys.readouterr().err
    assert said in message
    assert "Traceback" not in message


def test_no_plotting_is_loaded_for_a_table(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom tfod_kit.cli.main import main\n"
        f"main(['inspect', {str(voc(tmp_path / 'data'))!r}])\n"
        "print([name for name in ('matplotlib', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr
