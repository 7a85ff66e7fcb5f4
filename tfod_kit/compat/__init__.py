"""Makes the upstream `object_detection` package run on a current Python and TensorFlow.

`activate()` is explicit, cheap and idempotent: it sets the environment and puts two finders in
front of Python's own, and imports neither TensorFlow nor upstream. Each patch of the table in
`patches` is applied to its module when that is imported.
"""

import sys
from collections.abc import Collection

from tfod_kit.compat import environment, protos
from tfod_kit.compat.environment import quiet
from tfod_kit.compat.patches import PATCHES, PROTOS
from tfod_kit.compat.patching import Patch, PatchFinder, PatchState

__all__ = ["PATCHES", "Patch", "PatchState", "activate", "quiet", "report"]


def activate(without: Collection[str] = ()) -> None:
    """Makes `import object_detection` and its modules work in this process from now on.

    Args:
      without: names of patches to leave out, to observe upstream without them. Only the first call
        in a process uses it.

    Raises:
      SetupError: TensorFlow is imported already, with Keras 3.
    """
    environment.use_keras_2()
    environment.use_onednn()
    quiet()
    if PROTOS not in without:
        protos.install()
    if _finder() is None:
        finder = PatchFinder(patch for patch in PATCHES if patch.name not in without)
        sys.meta_path.insert(0, finder)
        finder.apply_to_imported()


def report() -> tuple[PatchState, ...]:
    """The state of each patch in this process; empty before `activate()`."""
    finder = _finder()
    return finder.report() if finder is not None else ()


def _finder() -> PatchFinder | None:
    return next((finder for finder in sys.meta_path if isinstance(finder, PatchFinder)), None)
