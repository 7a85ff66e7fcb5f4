"""What an export target consists of.

A target is one module of this package, which defines TARGET, and one line in `exports.TARGETS`. In
another package it is an entry point:

    [project.entry-points."tfod_kit.export_targets"]
    my_target = "my_package.my_target:TARGET"
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.exports.job import Job
from tfod_kit.exports.source import TrainedModel
from tfod_kit.exports.tolerance import EXACT, Tolerance

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector

FLOAT32 = "float32"


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of exported model.

    Attributes:
      write: writes the model into `job.folder`.
      summary: what it is for, in a few words.
      check: raises ConfigError or UsageError for a model that the target cannot export, before
        anything slow starts.
      open: a context manager that yields a detector which runs the model in the folder; by default
        `detectors.load(folder)`. The parity proof runs it.
      input_types: the possible inputs of the exported model; the first is the default.
      quantise: the possible number formats, and how far each may differ from the checkpoint; the
        first is the default.
      io: the possible input types of an int8 model, followed by a slash and the output type if that
        is not float; the first is the default.
      learnt_int8: whether int8 takes the ranges of a quantised training, in place of calibration.
      architectures: the model architectures that it can export, as pipeline.config names them;
        empty for all.
      packages: the packages that must be importable to write it.
      extra: the extra of tfod_kit that installs them.
      use: a command that tries the exported model; {out} is its folder.
      obstacle: returns why an export cannot be run on this machine, such as its operating system;
        empty if it can. Where it cannot, parity is not proved.
      unproved: what of the export cannot be run here, and why; empty if all of it is proved.
    """

    write: Callable[[Job], None]
    summary: str
    check: Callable[[TrainedModel], None] | None = None
    open: "Callable[[Path], AbstractContextManager[Detector]] | None" = None
    input_types: tuple[str, ...] = ("image_tensor",)
    quantise: Mapping[str, Tolerance] = field(default_factory=lambda: {FLOAT32: EXACT})
    io: tuple[str, ...] = (FLOAT32,)
    learnt_int8: bool = False
    architectures: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    extra: str = ""
    obstacle: Callable[[], str] = lambda: ""
    use: str = "tfod predict {out} IMAGES --out FOLDER"
    unproved: str = ""

    def accepts(self, architecture: str) -> bool:
        """Whether the target can export models of an architecture."""
        return not self.architectures or architecture in self.architectures
