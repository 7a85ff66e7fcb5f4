"""The TensorFlow.js target: a graph model, and a web page that detects with it.

The whole model is converted, its preprocessing and its non-maximum suppression included, so that
the page only hands it a picture: what it finds is what the checkpoint finds. A detector's graph
has loops, so TensorFlow.js runs it with `executeAsync`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfod_kit.core.labels import LabelMap
from tfod_kit.detectors import Detector
from tfod_kit.drawing import visualize
from tfod_kit.engine import runtime
from tfod_kit.errors import CheckpointError
from tfod_kit.exports import tfjs_parts
from tfod_kit.exports.browser import Browser
from tfod_kit.exports.job import Job
from tfod_kit.io import files

PAGE = Path(__file__).parent / "web"
MODEL = "web_model"
LABELS = "labels.json"
SCREENSHOT = "screenshot.png"

# In the order of their names, in which tf.function numbers a signature's results.
OUTPUTS = ("detection_boxes", "detection_classes", "detection_scores")


def write(job: Job) -> None:
    """Writes index.html and its scripts, TensorFlow.js, the model and labels.json.

    Raises:
      SetupError: the converter or TensorFlow.js is not there and cannot be fetched.
      CheckpointError: the checkpoint is not this model's, or TensorFlow.js lacks an operation.
    """
    converter, library = tfjs_parts.converter(), tfjs_parts.library()
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "saved_model"
        _save(job.source.model, saved)
        _convert(saved, job.folder / MODEL, converter)
    shutil.copytree(library, job.folder / "tf")
    for page in sorted(PAGE.iterdir()):
        shutil.copyfile(page, job.folder / page.name)
    files.write_text(job.folder / LABELS, _labels(job))


@contextmanager
def opened(folder: Path) -> Iterator[Detector]:
    """The page in a headless browser, as a detector; at the end it leaves a screenshot.

    Raises:
      SetupError: there is no browser.
    """
    classes = json.loads((folder / LABELS).read_text("utf-8"))["classes"]
    label_map = LabelMap({entry["name"]: int(number) for number, entry in classes.items()})
    with Browser(folder, label_map, screenshot=folder / SCREENSHOT) as browser:
        yield browser


def _save(model: Any, folder: Path) -> None:
    """Saves the model as a function from a uint8 image [1, height, width, 3] to OUTPUTS."""
    tf = runtime.start()
    from object_detection import exporter_lib_v2

    upstream = exporter_lib_v2.DetectionFromImageModule(model)

    def detect(image: Any) -> dict[str, Any]:
        found = upstream.__call__.python_function(image)
        return {name: found[name] for name in OUTPUTS}

    module = tf.Module()
    module.model = model
    module.detect = tf.function(
        detect, input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, "image")]
    )
    with _casts_that_compare(tf):
        tf.saved_model.save(module, str(folder), signatures=module.detect)


@contextmanager
def _casts_that_compare(tf: Any) -> Iterator[None]:
    """Has bool(x) traced as x != 0.

    TensorFlow.js 4.22 on WebAssembly cuts the fraction off instead, and 0.3 becomes False: upstream
    asks in this way whether a box has an area, and would find nothing at all.
    """
    plain = tf.compat.v1.cast

    def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
        if dtype == tf.bool and tf.convert_to_tensor(x).dtype != tf.bool:
            return tf.not_equal(x, 0, name=name)
        return plain(x, dtype, name=name)

    tf.compat.v1.cast = cast
    try:
        yield
    finally:
        tf.compat.v1.cast = plain


def _convert(saved: Path, out: Path, converter: Path) -> None:
    """Runs the converter in a process of its own: it changes how TensorFlow behaves."""
    search = [str(converter), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "tfod_kit.exports.tfjs_convert", str(saved), str(out)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(search), "TF_CPP_MIN_LOG_LEVEL": "3"},
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-3:]
        raise CheckpointError(
            "The TensorFlow.js converter does not take this model.",
            found=" / ".join(last),
            fix="If it names operations, TensorFlow.js has none such: export another model "
            "family, SSD for instance.",
        )


def _labels(job: Job) -> str:
    """What the page calls and colours each class by, and the outputs it asks for."""
    label_map = job.source.label_map
    colours = visualize.palette(label_map)
    classes = {
        str(number): {"name": name, "colour": list(colours[name])}
        for name, number in label_map.ids.items()
    }
    content = {"model": job.source.run.resolve().name, "classes": classes}
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"
