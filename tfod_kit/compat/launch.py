"""Finds upstream's programs by name, and runs one as `__main__` with its own flags."""

import ast
import importlib.util
import re
import runpy
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from tfod_kit import compat
from tfod_kit.compat import engine_packages, quiet_import
from tfod_kit.errors import SetupError, UsageError, did_you_mean

PACKAGE = "object_detection"
# Programs that need tf.estimator or tf.contrib, and their TensorFlow 2 equivalents.
TF1_ONLY = {
    "object_detection.model_main": "model_main_tf2",
    "object_detection.model_tpu_main": "model_main_tf2 -- --use_tpu",
    "object_detection.legacy.train": "model_main_tf2",
    "object_detection.legacy.eval": "model_main_tf2 -- --checkpoint_dir=...",
    "object_detection.export_inference_graph": "exporter_main_v2",
    "object_detection.export_tflite_ssd_graph": "export_tflite_graph_tf2",
    "object_detection.tpu_exporters.export_saved_model_tpu": "exporter_main_v2",
}
# What `tfod setup` leaves out and a few programs import: module -> distribution.
_LEFT_OUT = {"cv2": "opencv-python-headless", "pandas": "pandas"}
# Image classification for TensorFlow 1, installed along with the detection models.
_SLIM = tuple(f"{PACKAGE}.{part}." for part in ("nets", "datasets", "deployment", "preprocessing"))
_MAIN = re.compile(r"^if __name__ == ['\"]__main__", re.MULTILINE)


def programs() -> dict[str, str]:
    """Upstream's programs that run on TensorFlow 2: the module's full name -> its summary."""
    root = _root()
    summaries = {}
    for path in sorted(root.rglob("*.py")):
        name = ".".join((PACKAGE, *path.relative_to(root).with_suffix("").parts))
        if path.stem.endswith(("_test", "_test_lib")) or name.startswith(_SLIM) or name in TF1_ONLY:
            continue
        source = path.read_text(encoding="utf-8")
        if _MAIN.search(source):
            summaries[name] = _summary(source)
    return summaries


def resolve(name: str) -> str:
    """The full name of an upstream module given by a short name, a dotted name or a path.

    Args:
      name: "model_main_tf2", "dataset_tools.create_pet_tf_record", "object_detection/inputs.py".

    Raises:
      UsageError: there is no such program, there are several, or it needs TensorFlow 1.
      SetupError: upstream is not installed.
    """
    dotted = name.removesuffix(".py").replace("/", ".").removeprefix(f"{PACKAGE}.")
    if not dotted or not all(part.isidentifier() for part in dotted.split(".")):
        raise UsageError(
            f"{name!r} is not the name of a module.",
            fix="Use one such as model_main_tf2; `tfod run` lists them.",
        )
    matches = _matches(dotted)
    if len(matches) > 1:
        raise UsageError(f"{name!r} could be any of {', '.join(matches)}.", fix="Write it in full.")
    if not matches:
        stems = [program.rpartition(".")[2] for program in programs()]
        raise UsageError(
            f"The Object Detection API has no program {name!r}.",
            where=_root(),
            fix=f"{did_you_mean(dotted.rpartition('.')[2], stems)} `tfod run` lists them.",
        )
    if matches[0] in TF1_ONLY:
        raise UsageError(
            f"{name} needs TensorFlow 1: it is built on tf.estimator or tf.contrib.",
            fix=f"Use `tfod run {TF1_ONLY[matches[0]]}` instead.",
        )
    return matches[0]


def launch(module: str, flags: Sequence[str]) -> None:
    """Runs a module as `__main__` in this process.

    Possible once in a process: upstream's programs define the same flags at import.

    Raises:
      SetupError: the program imports a package that `tfod setup` leaves out.
    """
    compat.activate()
    quiet_import.tensorflow()
    spec = importlib.util.find_spec(module)
    sys.argv = [spec.origin if spec is not None and spec.origin else module, *flags]
    with warnings.catch_warnings():
        # runpy warns about a program whose module is imported already; it runs all the same.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="runpy")
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except ModuleNotFoundError as error:
            package = _LEFT_OUT.get(error.name or "")
            if package is None:
                raise
            raise SetupError(
                f"{module} needs {package}, which nothing else here does.",
                found=str(error),
                fix=f"Type `{sys.executable} -m pip install {package}`.",
            ) from error


def _root() -> Path:
    engine_packages.require()
    spec = importlib.util.find_spec(PACKAGE)
    locations = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(locations or [])))


def _matches(dotted: str) -> list[str]:
    root = _root()
    parts = dotted.split(".")
    if root.joinpath(*parts).with_suffix(".py").is_file():
        return [f"{PACKAGE}.{dotted}"]
    ends = sorted(root.rglob(str(Path(*parts).with_suffix(".py"))))
    return [".".join((PACKAGE, *path.relative_to(root).with_suffix("").parts)) for path in ends]


def _summary(source: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # of invalid escapes in upstream's strings
        text = ast.get_docstring(ast.parse(source)) or ""
    sentence = " ".join(text.split("\n\n")[0].split())
    return sentence.partition(". ")[0].rstrip(".")
