"""How many threads a call of the model uses.

TensorFlow divides every operation among all cores. The operations of a small model are so short
that this takes twice the processor time and hardly ends sooner: then each call gets one thread, and
as many calls as there are cores run at once.
"""

import os
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.errors import TfodKitError
from tfod_kit.io import hardware

VARIABLE = "TF_NUM_INTRAOP_THREADS"  # TensorFlow reads it when it starts

_SMALL_EXTRACTORS = ("ssd_mobilenet_v1", "ssd_mobilenet_v2")
_SMALL_SIDE = 320  # px
_FPN = "fpn"


def choose(model: Path, given: int | None) -> int | None:
    """The number of threads for each call; None for TensorFlow's own choice.

    Args:
      model: a run folder, or a folder that contains an export.
      given: the user's choice.
    """
    if given is not None:
        return given
    return 1 if VARIABLE not in os.environ and _is_small(model) else None


def limit(threads: int | None) -> int:
    """Sets the number of threads, before TensorFlow is started; returns how many calls may run at
    once."""
    if threads is None:
        return 1
    os.environ[VARIABLE] = str(threads)
    return max(1, hardware.cores() // threads)


def _is_small(model: Path) -> bool:
    """Whether it is a MobileNet SSD with a small input."""
    path = model / pipeline_config.FILE_NAME
    try:
        config = pipeline_config.load_foreign(path)[0] if path.is_file() else None
        if config is None or not config.model.HasField("ssd"):
            return False
        settings = pipeline_config.model_of(config)
        size = settings.image_resizer.fixed_shape_resizer
    except TfodKitError:
        return False  # the detector reports it
    kind = settings.feature_extractor.type
    small = 0 < size.height <= _SMALL_SIDE and 0 < size.width <= _SMALL_SIDE
    return small and kind.startswith(_SMALL_EXTRACTORS) and _FPN not in kind
