"""The target for microcontrollers: the decoder in C, compiled here, equals the one in Python."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from trained import Trained

from tfod_kit import detectors, exports
from tfod_kit.detectors import raw_boxes
from tfod_kit.detectors.raw_boxes import Decoder
from tfod_kit.detectors.tflite_metadata import Metadata
from tfod_kit.exports import ExportOptions, tflite_micro
from tfod_kit.exports.source import open_run

CC = shutil.which("cc")
ANCHORS, CLASSES = 80, 3
SOURCES = Path(exports.__file__).with_name("micro")
MAIN = """
#include <stdio.h>
#include "tfod_decode.h"
static tfod_value boxes[TFOD_ANCHORS * 4], scores[TFOD_ANCHORS * TFOD_CLASSES];
int main(int count, char **names) {
  tfod_detection found[TFOD_MAX_DETECTIONS];
  FILE *file = fopen(names[1], "rb");
  if (count != 2 || !file) return 1;
  if (fread(boxes, sizeof boxes, 1, file) != 1) return 2;
  if (fread(scores, sizeof scores, 1, file) != 1) return 3;
  const int n = tfod_decode(boxes, scores, 0.3f, found, TFOD_MAX_DETECTIONS);
  for (int i = 0; i < n; ++i)
    printf("%.9g %.9g %.9g %.9g %.9g %d\\n", found[i].ymin, found[i].xmin, found[i].ymax,
           found[i].xmax, found[i].score, found[i].class_index);
  printf("%s %u\\n", tfod_class_names[0], tfod_model_length);
  return 0;
}
"""


def _program(folder: Path) -> Path:
    """Compiles the C files in a folder with a main program."""
    (folder / "main.c").write_text(MAIN)
    assert CC is not None
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-O2", "-ffp-contract=off"]
    names = ["main.c", "tfod_decode.c", "tfod_model.c"]
    subprocess.run([CC, *strict, *names, "-o", "decode", "-lm"], cwd=folder, check=True)
    return folder / "decode"


def _decoded(program: Path, boxes: Any, scores: Any) -> tuple[np.ndarray, str]:
    """[D, 6] rows of the program, and its last line."""
    data = program.with_name("outputs")
    data.write_bytes(boxes.tobytes() + scores.tobytes())
    done = subprocess.run([program, data], capture_output=True, text=True, check=True)
    *rows, last = done.stdout.splitlines()
    return np.array([row.split() for row in rows], np.float64).reshape(-1, 6), last


def _decoder() -> Decoder:
    dice = np.random.default_rng(3)
    centres = dice.uniform(0, 1, (ANCHORS, 2)).astype(np.float32)
    sides = dice.uniform(0.1, 0.5, (ANCHORS, 2)).astype(np.float32)
    anchors = np.concatenate([centres, sides], axis=1).tolist()
    return Decoder(tuple(map(tuple, anchors)), (10.0, 10.0, 5.0, 5.0), 1e-8, 0.5, 20, 12)


def _tensor(shape: list[int], dtype: Any, scale: float, zero: int) -> dict[str, Any]:
    return {"shape": shape, "dtype": dtype, "quantization": (scale, zero)}


@pytest.mark.skipif(CC is None, reason="there is no C compiler")
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.float32])
def test_the_decoder_in_c_equals_the_one_in_python(tmp_path: Path, dtype: Any) -> None:
    decoder, dice = _decoder(), np.random.default_rng(7)
    quantised = {np.int8: ((0.07, -3), (1 / 256, -128)), np.uint8: ((0.07, 120), (1 / 256, 0))}
    (box_scale, box_zero), (scale, zero) = quantised.get(dtype, ((0.0, 0), (0.0, 0)))
    if dtype == np.float32:
        codes = dice.normal(0, 3, (ANCHORS, 4)).astype(dtype)
        scores = dice.uniform(0, 1, (ANCHORS, CLASSES)).astype(dtype)
        real_codes, real_scores = codes, scores
    else:
        limits = np.iinfo(dtype)
        codes = dice.integers(limits.min, limits.max + 1, (ANCHORS, 4)).astype(dtype)
        scores = dice.integers(limits.min, limits.max + 1, (ANCHORS, CLASSES)).astype(dtype)
        real_codes = (codes.astype(np.float32) - box_zero) * np.float32(box_scale)
        real_scores = (scores.astype(np.float32) - zero) * np.float32(scale)
    described = (
        _tensor([1, 96, 96, 3], dtype, 1.0, 0),
        _tensor([1, ANCHORS, 4], dtype, box_scale, box_zero),
        _tensor([ANCHORS, CLASSES], dtype, scale, zero),
    )
    metadata = Metadata(('a "cat"?', "dog", "ähm"), (127.5,) * 3, (127.5,) * 3)
    (tmp_path / "tfod_model.h").write_text(tflite_micro.header(decoder, described, metadata))
    (tmp_path / "tfod_model.c").write_text(tflite_micro.array(b"TFL3" * 9))
    for name in tflite_micro.SOURCES:
        shutil.copy(SOURCES / name, tmp_path)
    rows, last = _decoded(_program(tmp_path), codes, scores)
    assert last == 'a "cat"? 36'
    boxes, classes, found = decoder.decode(real_codes, real_scores)
    kept = found >= 0.3
    assert 3 < len(rows) == kept.sum() <= 20
    np.testing.assert_array_equal(rows[:, 5], classes[kept])
    np.testing.assert_allclose(rows[:, 4], found[kept], rtol=1e-6)
    np.testing.assert_allclose(rows[:, :4], boxes[kept], atol=2e-6)
    assert len(set(classes.tolist())) == CLASSES


def test_a_decoder_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert raw_boxes.read(tmp_path) is None
    raw_boxes.write(_decoder(), tmp_path)
    assert raw_boxes.read(tmp_path) == _decoder()


def test_boxes_of_one_class_suppress_each_other() -> None:
    decoder = Decoder(((0.5, 0.5, 0.4, 0.4),) * 3, (1.0,) * 4, 0.1, 0.5, 10, 10)
    codes = np.zeros((3, 4), np.float32)
    scores = np.array([[0.9, 0.0], [0.8, 0.7], [0.05, 0.0]], np.float32)
    boxes, classes, found = decoder.decode(codes, scores)
    assert classes.tolist() == [0, 1]
    assert found.tolist() == pytest.approx([0.9, 0.7])
    np.testing.assert_allclose(boxes, [[0.3, 0.3, 0.7, 0.7]] * 2, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("quantise", ["float32", "int8"])
def test_a_trained_model_detects_the_same_without_a_custom_operation(
    trained: Trained, tmp_path: Path, quantise: str
) -> None:
    options = ExportOptions(quantise=quantise, calibration=16)
    source, out = open_run(trained.run), tmp_path / "out"
    proof = exports.export(source, out, "tflite_micro", options, parity_images=8)
    assert proof is not None
    assert proof.holds
    assert b"TFLite_Detection_PostProcess" not in (out / "model.tflite").read_bytes()
    if CC is None:
        return
    detector = detectors.load(out)
    image = np.asarray(Image.open(sorted((trained.data / "unseen").iterdir())[0]).convert("RGB"))
    (objects,) = detector.detect([image], min_score=0.3)
    interpreter = detector._interpreter  # type: ignore[attr-defined]
    boxes, scores = (interpreter.get_tensor(item["index"]) for item in detector._outputs)  # type: ignore[attr-defined]
    rows, _ = _decoded(_program(out), boxes, scores)
    assert len(rows) == len(objects)
    np.testing.assert_allclose(rows[:, 4], [each.score for each in objects], rtol=1e-5)
