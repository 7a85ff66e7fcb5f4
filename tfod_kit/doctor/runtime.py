"""TensorFlow, Keras, devices and patches, tried in a process of their own.

A crash of TensorFlow (a CPU without AVX, for example) then becomes a row of the report too.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tfod_kit.compat import environment, patching
from tfod_kit.doctor.diagnosis import ERROR, INSTALL_ENGINE, OK, REINSTALL_UPSTREAM, Diagnosis

_PROBE_LIMIT_S = 300


def tensorflow() -> Iterator[Diagnosis]:
    """TensorFlow, Keras, devices and patches, from a process that tries them all."""
    command = [sys.executable, "-m", "tfod_kit.compat.probe"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_LIMIT_S)
    except subprocess.TimeoutExpired:
        yield Diagnosis(
            "TensorFlow",
            f"did not start within {_PROBE_LIMIT_S} s",
            ERROR,
            "Look for a device or network disk that does not answer.",
        )
        return
    if done.returncode != 0:
        yield _crashed(done)
        return
    yield from _probed(json.loads(done.stdout.splitlines()[-1]))


def _crashed(done: "subprocess.CompletedProcess[str]") -> Diagnosis:
    lines = done.stderr.strip().splitlines() or ["no message"]
    fix = INSTALL_ENGINE
    if done.returncode < 0:
        fix = (
            "A crash in native code: this CPU may lack AVX, which TensorFlow is built for, or "
            "the machine is out of memory. " + fix
        )
        return Diagnosis("TensorFlow", f"ended by signal {-done.returncode}", ERROR, fix)
    return Diagnosis("TensorFlow", lines[-1], ERROR, fix)


def _probed(found: dict[str, Any]) -> Iterator[Diagnosis]:
    yield Diagnosis("TensorFlow imports", f"in {found['import_s']} s")
    if found["keras"] == "tf_keras":
        yield Diagnosis("Keras in use", "2 (tf-keras)")
    else:
        yield Diagnosis("Keras in use", found["keras"], ERROR, INSTALL_ENGINE)
    if environment.has_nvidia_gpu() and not found["gpus"]:
        yield Diagnosis(
            "Devices",
            ", ".join(found["devices"]) + "; the GPU is not used",
            ERROR,
            f"`tfod setup --cuda` installs CUDA {found['built_for_cuda']}, which TensorFlow needs.",
        )
    else:
        yield Diagnosis("Devices", ", ".join(found["devices"]))
    for name, status, detail in found["patches"]:
        failed = status in (patching.FAILED, patching.WAITING)
        yield Diagnosis(
            f"Patch {name}",
            detail or status,
            ERROR if failed else OK,
            REINSTALL_UPSTREAM if failed else "",
        )
    for error in found["errors"]:
        yield Diagnosis("Object Detection API", error, ERROR, REINSTALL_UPSTREAM)
    if not found["errors"]:
        yield Diagnosis("Object Detection API", "imports")
