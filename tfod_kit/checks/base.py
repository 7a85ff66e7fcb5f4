"""What a check is, and what it is given to look at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.checks.findings import CheckFindings
from tfod_kit.checks.scanning.facts import SplitFacts
from tfod_kit.checks.targets import TRAIN, CheckTarget, RecordSplit
from tfod_kit.pipeline_config import DetectionModel, InputReader, PipelineConfig
from tfod_kit.pipeline_config.extractors import EXTRACTORS


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """How to check.

    Attributes:
      sample: about how many records of each split to read, evenly spread; None for all.
      pixels: whether to decode each image, and not only its header.
      label_map: for records without a config: a label map other than the one beside them.
      workers: how many machines train together.
      tpu: whether a TPU trains.
      variables: whether to build the model (TensorFlow) and compare the checkpoint's variables.
    """

    sample: int | None = None
    pixels: bool = False
    label_map: Path | None = None
    workers: int = 1
    tpu: bool = False
    variables: bool = False


@dataclass(slots=True)
class CheckContext:
    """What checks look at.

    Attributes:
      target: the records, the config and the run folder.
      options: how to check.
      facts: what each split holds, by name; filled by the check `records`, which runs before all
        checks that use it.
      quick: whether this is the short check at the start of `tfod train`, which reads only the
        first records of each file.
      advance: is called with the size in bytes of each record that was read.
    """

    target: CheckTarget
    options: CheckOptions = field(default_factory=CheckOptions)
    facts: dict[str, SplitFacts] = field(default_factory=dict)
    quick: bool = False
    advance: Callable[[int], None] = lambda size: None

    @property
    def reads_all(self) -> bool:
        """Whether every record is read, so that counts are exact."""
        return not self.quick and self.options.sample is None

    @property
    def has_model(self) -> bool:
        """Whether there is a config with a model that tfod_kit knows."""
        config = self.target.config
        return config is not None and config.model.WhichOneof("model") in EXTRACTORS

    @property
    def config(self) -> PipelineConfig:
        """The config; only for checks that need one (see `Needs`)."""
        if self.target.config is None:
            raise ValueError("this check needs a config: declare needs=Needs.CONFIG")
        return self.target.config

    @property
    def model(self) -> DetectionModel:
        """The config's model; only for checks that need one (see `Needs`)."""
        return pipeline_config.model_of(self.config)

    @property
    def config_name(self) -> str:
        """The config's file name, for messages."""
        return self.target.config_path.name if self.target.config_path else "the config"

    @property
    def train(self) -> SplitFacts | None:
        """What the training split holds; None if there is none."""
        return self.facts.get(TRAIN)

    def scanned(self) -> Iterator[tuple[RecordSplit, SplitFacts]]:
        """The splits whose records were read, and what they hold."""
        for split in self.target.splits:
            if split.name in self.facts:
                yield split, self.facts[split.name]

    def configured(self) -> Iterator[tuple[RecordSplit, InputReader]]:
        """The splits that a config's input readers name, and those readers."""
        for split in self.target.splits:
            if split.reader is not None:
                yield split, split.reader


class Needs(StrEnum):
    """What a check cannot do without; it is skipped if that is missing.

    Attributes:
      RECORDS: nothing but records.
      CONFIG: a config that can be read.
      MODEL: a config with a model that tfod_kit knows.
    """

    RECORDS = "records"
    CONFIG = "config"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the table of checks.

    Attributes:
      name: a short name, such as "boxes".
      covers: what the check looks at, as a phrase for the documentation.
      codes: the codes of all findings that it can give.
      run: looks at the context and adds to the findings.
      needs: what the check cannot do without.
      quick: whether `tfod train` runs it too before training.
    """

    name: str
    covers: str
    codes: tuple[str, ...]
    run: Callable[[CheckContext, CheckFindings], None]
    needs: Needs = Needs.RECORDS
    quick: bool = False
