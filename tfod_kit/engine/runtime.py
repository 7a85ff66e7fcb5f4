"""Starts TensorFlow with upstream's package made to run on it, and picks the devices."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from tfod_kit import compat
from tfod_kit.errors import SetupError, UsageError, first_line
from tfod_kit.io import hardware


def start() -> ModuleType:
    """Activates the compat layer, imports TensorFlow quietly and returns it.

    GPU memory is taken as it is needed, not all at once: a second process, or cuDNN's own
    workspace, otherwise finds none left ("cuDNN failed to initialise").

    Raises:
      SetupError: TensorFlow is not installed or does not import.
    """
    compat.activate()
    try:
        import tensorflow as tf
    except ImportError as error:
        raise SetupError(
            "TensorFlow cannot be imported.",
            found=str(error),
            fix="Run `make install`; `tfod doctor` tells more.",
        ) from error
    for device in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(device, True)
        except RuntimeError:
            break  # the devices run already, in a process that set them up its own way
    # What is left at this level speaks of upstream's code ("Model's `__init__()` arguments contain
    # non-serializable objects"), which a user cannot mend; what fails is raised.
    tf.get_logger().setLevel("ERROR")
    tf.config.set_soft_device_placement(True)
    return tf


def strategy(tpu: str | None = None, *, several: bool = False) -> Any:
    """The tf.distribute strategy for what this machine has.

    One CPU or GPU needs none (the default strategy, which costs nothing); several GPUs get
    MirroredStrategy, and several workers MultiWorkerMirroredStrategy, which returns once all of
    them are there.

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


def as_written(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, with the graphs that it builds made from upstream's code as it stands.

    AutoGraph else rewrites every function it meets, so that Python's `if` and `for` may ask
    tensors: half of the time that a graph takes. Upstream's code is older than AutoGraph and asks
    none (`tf.cond`, `tf.while_loop`). Code that did would raise a TypeError, never compute
    something else.
    """
    return start().autograph.experimental.do_not_convert(function)


def describe_devices() -> str:
    """Names what the work will run on, such as "2 x GPU" or "CPU (2 cores)"."""
    tf = start()
    gpus = len(tf.config.list_physical_devices("GPU"))
    return f"{gpus} x GPU" if gpus else f"CPU ({hardware.cores()} cores)"


def _tpu_strategy(tf: ModuleType, tpu: str) -> Any:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, OSError, tf.errors.OpError) as error:
        raise UsageError(
            f"The TPU {tpu!r} cannot be reached.",
            found=first_line(error),
            fix="Check the name and the zone (`gcloud compute tpus list`), and that this machine "
            "may reach it; TPU training reads and writes gs:// paths only.",
        ) from error
    return tf.distribute.TPUStrategy(resolver)
