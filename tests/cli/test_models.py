"""`tfod models`, as a person types it."""

import io
import json
import subprocess
import sys
import tarfile

import pytest
from archive_server import Behaviour, serving

from tfod_kit.cli.main import main
from tfod_kit.zoo import cache, catalog

NAME = "ssd_mobilenet_v2_320x320_coco17_tpu-8"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.CACHE, str(tmp_path))
    for name in (cache.OFFLINE, cache.MIRROR, "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


def listed(capsys, *arguments):
    assert main(["models", *arguments]) == 0
    head, *rows = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert head.split() == ["NAME", "FAMILY", "INPUT", "SPEED", "COCO", "mAP", "FINDS", "WEIGHTS"]
    return rows


def test_the_table_holds_every_model_and_fits_a_screen(capsys):
    rows = listed(capsys)
    assert len(rows) == len(catalog.MODELS) == 44
    assert all(len(row) <= 110 for row in rows)
    row = next(row for row in rows if row.startswith("mask_rcnn_inception"))
    assert " ".join(row.split()) == (
        "mask_rcnn_inception Mask R-CNN 1024 301 ms 39.0 / 34.6 boxes + masks zoo"
    )
    assert next(row for row in rows if row.startswith("ssd_cpu ")).endswith("included")
    assert next(row for row in rows if row.startswith("mask_rcnn_resnet50")).endswith("none")


def test_sorting(capsys):
    assert listed(capsys, "--sort", "speed")[0].startswith("centernet_mobilenet")
    assert listed(capsys, "--sort", "map")[0].startswith("efficientdet_d7")
    assert listed(capsys, "list", "--sort", "input")[0].startswith("ssd_cpu")
    names = [row.split()[0] for row in listed(capsys, "--sort", "name")]
    assert names == sorted(names)
    # What is not known comes last.
    assert {row.split()[0] for row in listed(capsys, "--sort", "speed")[-3:]} == {
        "ssd_cpu",
        "mask_rcnn_resnet50_v1",
        "extremenet",
    }


def test_filters_narrow_each_other(capsys):
    points = listed(capsys, "--filter", "keypoints")
    assert len(points) == 5
    both = listed(capsys, "--filter", "Keypoints", "--filter", "hourglass")
    assert len(both) == 2
    assert main(["models", "--filter", "yolo"]) == 1
    assert "No model has 'yolo'" in capsys.readouterr().out


def test_one_model_is_described(capsys):
    assert main(["models", "retinanet50"]) == 0
    said = capsys.readouterr().out
    assert "ssd_resnet50_v1_fpn: SSD ResNet50 V1 FPN 640x640 (RetinaNet50)" in said
    assert "also called retinanet50" in said


def test_json(capsys):
    assert main(["models", "--json"]) == 0
    facts = {model["name"]: model for model in json.loads(capsys.readouterr().out)}
    assert len(facts) == 44
    assert facts["ssd_mobilenet_v2"]["coco_box_map"] == 20.2
    assert facts["ssd_mobilenet_v2"]["url"].endswith(f"/20200711/{NAME}.tar.gz")
    assert facts["ssd_cpu"]["url"] is None
    assert facts["extremenet"]["trainable"] is False


def test_downloading(capsys):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo(f"{NAME}/pipeline.config"))
    with serving(Behaviour(buffer.getvalue())) as url:
        assert main(["models", "download", "ssd_mobilenet", "--mirror", url]) == 0
        said = capsys.readouterr().out
        assert f"Downloaded {NAME}" in said
        assert f"  from:    {url}" in said
        assert "tfod configure ssd_mobilenet_v2 --pretrained" in said
        assert main(["models", "download", NAME, "--offline"]) == 0
        assert "In the cache already" in capsys.readouterr().out
    row = next(row for row in listed(capsys) if row.startswith("ssd_mobilenet_v2 "))
    assert row.endswith("in the cache")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("download", "Which model?"),
        ("download ssd_mobilnet", "ssd_mobilenet"),
        ("download ssd_cpu", "no weights for ssd_cpu"),
        ("downlod fpnlite", "'download'"),
        ("list nothing", "There is no model 'nothing'"),
        ("download fpnlite retinanet50 --archive x.tar.gz", "One archive"),
        ("download fpnlite --sha256 12", "SHA-256"),
        ("download fpnlite --offline", "--archive FILE"),
        ("download fpnlite --mirror ftp://x", "neither a folder nor an address"),
    ],
)
def test_mistakes_get_one_message(capsys, arguments, said):
    assert main(["models", *arguments.split()]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_it_loads_little():
    program = (
        "import sys; from tfod_kit.cli.main import main; code = main(['models']);"
        "heavy = {'tensorflow', 'numpy', 'urllib.request', 'google.protobuf'} & set(sys.modules);"
        "sys.exit(code or (f'loaded: {heavy}' if heavy else 0))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
