"""tfod_kit: the TensorFlow Object Detection API, on a current Python and TensorFlow.

Each verb of the `tfod` command is a function here, with the same options:

    import tfod_kit as tfod

    data = tfod.convert("photos", out="work/records")
    run = tfod.configure("fpnlite", records=data, out="work/fpnlite")
    run.train()
    print(run.evaluate())
    run.export("tflite")
    model = tfod.load("work/fpnlite")

Importing tfod_kit loads nothing else: each function is imported when it is first used.
"""

# Not from typing, whose import takes longer than everything else that the command starts with.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from tfod_kit.detectors import load
    from tfod_kit.doors.benchmark import benchmark
    from tfod_kit.doors.check import check
    from tfod_kit.doors.configure import configure
    from tfod_kit.doors.convert import convert
    from tfod_kit.doors.evaluate import evaluate
    from tfod_kit.doors.export import export
    from tfod_kit.doors.inspect import inspect
    from tfod_kit.doors.predict import predict
    from tfod_kit.doors.report import report
    from tfod_kit.doors.run import Run
    from tfod_kit.doors.train import train
    from tfod_kit.doors.tune import tune

__version__ = "0.2.0"

__all__ = [
    "Run",
    "benchmark",
    "check",
    "configure",
    "convert",
    "evaluate",
    "export",
    "inspect",
    "load",
    "predict",
    "report",
    "train",
    "tune",
]

_MODULES = {"load": "tfod_kit.detectors", "Run": "tfod_kit.doors.run"}


def __getattr__(name: str) -> object:
    """Imports a function of `__all__` when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'tfod_kit' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(_MODULES.get(name, f"tfod_kit.doors.{name}"))
    globals()[name] = value = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
