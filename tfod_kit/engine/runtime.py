"""Starts TensorFlow, with upstream's package patched to run on it, and chooses the devices."""

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import ParamSpec, TypeVar

from tfod_kit import compat
from tfod_kit.compat import engine_packages, quiet_import
from tfod_kit.engine.upstream import Strategy
from tfod_kit.errors import SetupError, UsageError, first_line
from tfod_kit.io import hardware

_P = ParamSpec("_P")
_R = TypeVar("_R")


@cache
def start() -> ModuleType:
    """Activates the compat layer, imports TensorFlow quietly and returns it.

    Later calls only return it. AutoGraph, which rewrites what is called while a graph is built,
    leaves cached functions alone; it would print warnings about this one in notebooks, with all
    environment variables in them.

    GPU memory is allocated as it is needed. Otherwise nothing is left for a second process or for
    cuDNN's workspace ("cuDNN failed to initialise").

    Raises:
      SetupError: the engine's packages are not installed, or TensorFlow does not import.
    """
    engine_packages.require()
    compat.activate()
    try:
        tf = quiet_import.tensorflow()
    except ImportError as error:
        raise SetupError(
            "TensorFlow cannot be imported.",
            found=str(error),
            fix="`tfod doctor` reports details; `tfod setup` installs versions that fit.",
        ) from error
    for device in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(device, True)
        except RuntimeError:
            break  # the devices are already initialised, and the process has configured them
    # The remaining warnings are about upstream's code ("Model's `__init__()` arguments contain
    # non-serializable objects"), which users cannot change; failures are raised.
    tf.get_logger().setLevel("ERROR")
    tf.config.set_soft_device_placement(True)
    return tf


def strategy(tpu: str | None = None, *, several: bool = False) -> Strategy:
    """Chooses the tf.distribute strategy for the devices of this machine.

    One CPU or GPU gets the default strategy, which has no overhead; several GPUs get
    MirroredStrategy, and several workers MultiWorkerMirroredStrategy, which returns once all of
    them have connected.

    Args:
      tpu: the name or address of a Cloud TPU, "local" for one attached to this machine.
      several: whether this process is a worker of the cluster in TF_CONFIG (workers.Cluster.join).

    Raises:
      UsageError: the TPU cannot be reached.
    """
    tf = start()
    if tpu:
        return _tpu_strategy(tf, tpu)
    if several:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def without_autograph(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Wraps a function so that graphs are built from its code without AutoGraph.

    AutoGraph rewrites every function that is called, so that Python's `if` and `for` can depend on
    tensors; this takes half of the time that building a graph takes. Upstream's code is older than
    AutoGraph and uses `tf.cond` and `tf.while_loop`. Code that needs AutoGraph raises a TypeError
    without it; it never computes something else.
    """
    wrapped: Callable[_P, _R] = start().autograph.experimental.do_not_convert(function)
    return wrapped


def describe_devices() -> str:
    """Describes the devices that TensorFlow uses, such as "2 x GPU" or "CPU (2 cores)"."""
    tf = start()
    gpus = len(tf.config.list_physical_devices("GPU"))
    return f"{gpus} x GPU" if gpus else f"CPU ({hardware.cores()} cores)"


def _tpu_strategy(tf: ModuleType, tpu: str) -> Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, OSError, tf.errors.OpError) as error:
        raise UsageError(
            f"The TPU {tpu!r} cannot be reached.",
            found=first_line(error),
            fix="Check the name and the zone (`gcloud compute tpus list`), and that this machine "
            "can reach it; on a TPU VM, use --tpu local.",
        ) from error
    return tf.distribute.TPUStrategy(resolver)
