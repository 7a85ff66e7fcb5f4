"""Parquet files of the Hugging Face Hub."""

import builtins
import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich_samples import pixels, read
from samples import encoded, picture
from tfod import tfod

from tfod_kit import formats
from tfod_kit.core import labels
from tfod_kit.core.annotations import EmbeddedImage
from tfod_kit.errors import DataError, TfodKitError
from tfod_kit.records import image_files

AT = (4.0, 3.0, 20.0, 15.0)
XYWH = [4.0, 3.0, 16.0, 12.0]


def _file(
    path: Path,
    rows: Sequence[dict],
    names: Sequence[str] | None = ("cat", "dog"),
    **write: object,
) -> Path:
    """A Parquet file of rows; those without an image get one of 40x30."""
    path.parent.mkdir(parents=True, exist_ok=True)
    full = [
        {"image": {"bytes": encoded("PNG", 40, 30, seed=n), "path": f"{n}.png"}} | row
        for n, row in enumerate(rows)
    ]
    table = pa.Table.from_pylist(full)
    if names is not None:
        category = {"feature": {"names": list(names), "_type": "ClassLabel"}, "_type": "List"}
        content = {"info": {"features": {"objects": {"category": category}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(content)})
    pq.write_table(table, path, **write)
    return path


def _objects(*boxes: Sequence[float], category: int = 0) -> dict:
    return {"objects": {"bbox": list(boxes), "category": [category] * len(boxes)}}


def test_splits_of_a_data_set_of_the_hub(tmp_path: Path) -> None:
    rows = [_objects(XYWH) | {"width": 40, "height": 30}, _objects(XYWH, category=1)]
    _file(tmp_path / "data" / "train-00000-of-00001.parquet", rows, row_group_size=1)
    _file(tmp_path / "data" / "test-00000-of-00001.parquet", rows[:1])
    (first, second), counts = read(tmp_path, "auto", split="train")
    assert (pixels(first), pixels(second)) == ([("cat", AT)], [("dog", AT)])
    assert counts == {}
    assert image_files.read(second.image) == encoded("PNG", 40, 30, seed=1)
    assert len(read(tmp_path, "auto", split="test")[0]) == 1


@pytest.mark.parametrize(
    ("box", "counts"),
    [
        (XYWH, {}),
        ([0.1, 0.1, 0.4, 0.4], {}),
        ([4.0, 3.0, 38.0, 28.0], {"boxes_as_corners": 1}),
        ([0.1, 0.1, 0.95, 0.93], {"boxes_as_corners": 1}),
    ],
    ids=["pixels", "fractions", "corners", "corners as fractions"],
)
def test_what_the_numbers_of_boxes_are(tmp_path: Path, box: list[float], counts: dict) -> None:
    _file(tmp_path / "a.parquet", [_objects(box), {"objects": {"bbox": [], "category": []}}])
    (first, second), found = read(tmp_path, "auto")
    (edges,) = (edges for _, edges in pixels(first))
    assert edges == (AT if not counts else pytest.approx((4, 3, 38, 28), abs=0.11))
    assert pixels(second) == []
    assert found == counts


def test_a_list_of_objects_with_names(tmp_path: Path) -> None:
    row = {"objects": [{"bbox": XYWH, "label": "cat"}, {"bbox": XYWH, "label": "dog"}]}
    _file(tmp_path / "a.parquet", [row], names=None)
    (annotation,), _ = read(tmp_path, "auto")
    assert pixels(annotation) == [("cat", AT), ("dog", AT)]


def test_names_of_the_card_or_a_label_map(tmp_path: Path) -> None:
    _file(tmp_path / "a.parquet", [_objects(XYWH, category=1)], names=None)
    with pytest.raises(DataError, match="category 1"):
        read(tmp_path, "auto")
    (annotation,), _ = read(tmp_path, "auto", label_map=labels.from_names(["a", "b"]))
    assert pixels(annotation) == [("b", AT)]
    card = "---\ndataset_info:\n  features:\n    class_label:\n      names: {'1': fox}\n---\n"
    (tmp_path / "README.md").write_text(card)
    assert pixels(read(tmp_path, "auto")[0][0]) == [("fox", AT)]


def test_images_beside_the_file(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "x.png")
    row = _objects(XYWH) | {"image": {"bytes": None, "path": "images/x.png"}}
    other = _objects(XYWH)
    path = tmp_path / "a.parquet"
    _file(path, [row, other])
    (first, second), _ = read(tmp_path, "auto")
    assert first.image == tmp_path / "images" / "x.png"
    assert image_files.read(second.image) == encoded("PNG", 40, 30, seed=1)


def test_rows_that_only_a_person_can_correct(tmp_path: Path) -> None:
    rows = [
        _objects(XYWH),
        {"objects": {"bbox": [XYWH], "category": []}},
        _objects([4.0, 3.0, 16.0]),
        _objects([4.0, 3.0, 16.0, float("nan")]),
        _objects(XYWH) | {"image": {"bytes": b"<html>", "path": "x.png"}},
    ]
    _file(tmp_path / "a.parquet", rows)
    found, counts = read(tmp_path, "auto", "skip")
    assert [pixels(a) for a in found] == [[("cat", AT)], [], []]
    assert counts == {"row_unreadable": 1, "number_unreadable": 2, "image_unusable": 1}


def test_records_from_parquet_and_back(tmp_path: Path) -> None:
    rows = [_objects(XYWH) for _ in range(5)]
    _file(tmp_path / "data" / "all.parquet", rows, row_group_size=2)
    said = tfod("convert", tmp_path / "data", "--out", tmp_path / "out", "--split", "1,0,0")
    assert "Read as Hugging Face Parquet" in said
    found = formats.read(tmp_path / "out")
    assert [pixels(a) for a in found] == [[("cat", AT)]] * 5
    bytes_of = {image_files.read(a.image) for a in found}
    assert bytes_of == {encoded("PNG", 40, 30, seed=n) for n in range(5)}


def test_without_pyarrow_the_message_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _file(tmp_path / "a.parquet", [_objects(XYWH)])
    real = builtins.__import__

    def absent(name: str, *others: object) -> object:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", absent)
    for name in ("auto", "parquet"):
        with pytest.raises(DataError, match=r"pip install 'tfod_kit\[parquet\]'"):
            formats.read(tmp_path, format=name)


@pytest.mark.parametrize("start", [0, 100, -400])
def test_a_damaged_file(tmp_path: Path, start: int) -> None:
    path = _file(tmp_path / "a.parquet", [_objects(XYWH)])
    data = bytearray(path.read_bytes())
    data[start : start + 60] = b"\xff" * 60
    path.write_bytes(bytes(data))
    try:
        read(tmp_path, "parquet")
    except DataError as error:
        assert error.where is not None  # noqa: PT017 some bytes do not matter


def test_a_damaged_footer_never_leads_to_another_error_than_that_the_image_is_not_there(
    tmp_path: Path,
) -> None:
    path = _file(tmp_path / "a.parquet", [_objects(XYWH)] * 3)
    data = path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for at in range(footer, footer + 400):
        path.write_bytes(data[:at] + bytes([data[at] ^ 8]) + data[at + 1 :])
        for row in (2, 4):
            with contextlib.suppress(OSError, TfodKitError):
                image_files.read(EmbeddedImage(path, "a.png", row))
