"""The TensorFlow.js target: a graph model, and a web page that detects with it.

The whole model is converted, including preprocessing and non-maximum suppression, so that the page
passes it plain images and detects what the checkpoint detects. A detector's graph contains loops,
so TensorFlow.js runs it with `executeAsync`.
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

from tfod_kit.core.labels import LabelMap
from tfod_kit.detectors import Detector
from tfod_kit.detectors.objects import COUNT, OUTPUTS
from tfod_kit.drawing import visualize
from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import DetectionModel, Tensor
from tfod_kit.errors import CheckpointError
from tfod_kit.exports import tfjs_operations, tfjs_parts
from tfod_kit.exports.browser import Browser
from tfod_kit.exports.job import Job
from tfod_kit.exports.target import Target
from tfod_kit.io import files

PAGE = Path(__file__).parent / "web"
MODEL = "web_model"
LABELS = "labels.json"
SCREENSHOT = "screenshot.png"


def write(job: Job) -> None:
    """Writes index.html and its scripts, TensorFlow.js, the model and labels.json.

    Raises:
      SetupError: the converter or TensorFlow.js cannot be downloaded.
      CheckpointError: the checkpoint does not fit the model, or TensorFlow.js lacks an operation.
    """
    converter, library = tfjs_parts.converter(), tfjs_parts.library()
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "saved_model"
        outputs = _save(job.source.model, saved)
        _convert(saved, job.folder / MODEL, converter)
    shutil.copytree(library, job.folder / "tf")
    for page in sorted(PAGE.iterdir()):
        shutil.copyfile(page, job.folder / page.name)
    files.write_text(job.folder / LABELS, _labels(job, outputs))


@contextmanager
def opened(folder: Path) -> Iterator[Detector]:
    """Opens the page in a headless browser, as a detector; saves a screenshot at the end.

    Raises:
      SetupError: no browser is installed.
    """
    classes = json.loads((folder / LABELS).read_text("utf-8"))["classes"]
    label_map = LabelMap({entry["name"]: int(class_id) for class_id, entry in classes.items()})
    with Browser(folder, label_map, screenshot=folder / SCREENSHOT) as browser:
        yield browser


def _save(model: DetectionModel, folder: Path) -> list[str]:
    """Saves the model as a function from a uint8 image [1, height, width, 3] to detections.

    Returns:
      The names of its outputs, in the order in which the signature numbers them.
    """
    tf = runtime.start()
    from object_detection import exporter_lib_v2

    upstream = exporter_lib_v2.DetectionFromImageModule(model)

    def detect(image: Tensor) -> dict[str, Tensor]:
        outputs = upstream.__call__.python_function(image)
        return {name: outputs[name] for name in OUTPUTS - {COUNT} if name in outputs}

    module = tf.Module()
    module.model = model
    module.detect = tf.function(
        detect, input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, "image")]
    )
    with tfjs_operations.replaced():
        concrete = module.detect.get_concrete_function()
        tf.saved_model.save(module, str(folder), signatures=concrete)
    return sorted(concrete.structured_outputs)


def _convert(saved: Path, out: Path, converter: Path) -> None:
    """Runs the converter in a separate process, because it changes how TensorFlow behaves."""
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
            "The TensorFlow.js converter cannot convert this model.",
            found=" / ".join(last),
            fix="If the message names operations, TensorFlow.js does not support them: export "
            "another model family, such as SSD.",
        )


def _labels(job: Job, outputs: list[str]) -> str:
    """The name and colour of each class, and the model's outputs, for the page."""
    label_map = job.source.label_map
    colours = visualize.palette(label_map)
    classes = {
        str(class_id): {"name": name, "colour": list(colours[name])}
        for name, class_id in label_map.ids.items()
    }
    content = {
        "model": job.source.run.resolve().name,
        "classes": classes,
        "outputs": outputs,
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


TARGET = Target(
    write=write,
    summary="a web page that detects in images and before the camera, with TensorFlow.js",
    open=opened,
    use="python -m http.server --directory {out} 8000   # then http://localhost:8000",
)
