"""An entry of the catalogue."""

from dataclasses import dataclass
from pathlib import Path

from tfod_kit.io import resources
from tfod_kit.zoo.archives import Archive, archives

_FAMILIES = {"ssd": "SSD", "faster_rcnn": "Faster R-CNN", "center_net": "CenterNet"}


@dataclass(frozen=True, slots=True)
class Model:
    """A model.

    Attributes:
      name: its short name.
      title: its full name.
      architecture: "ssd", "faster_rcnn" or "center_net", as in the config's `model { }`.
      input_size: the pixels of an input's longer side.
      base: its base config, a file under pipelines/; None for weights without a model.
      archive: the zoo's archive with weights trained on COCO; None if there is none.
      weights: the kit's own weights, a folder under pipelines/; None if there are none.
      about: one line that helps to choose.
      aliases: other names it is found by.
      masks: whether it detects masks as well as boxes.
      keypoints: whether it detects keypoints as well as boxes.
      settings: (field path, value) pairs that override the base config.
    """

    name: str
    title: str
    architecture: str
    input_size: int
    base: str | None
    archive: str | None
    about: str
    aliases: tuple[str, ...] = ()
    masks: bool = False
    keypoints: bool = False
    settings: tuple[tuple[str, str], ...] = ()
    weights: str | None = None

    @property
    def own_weights(self) -> Path | None:
        """The prefix of the checkpoint with the kit's own weights; None if there are none."""
        return resources.pipelines() / self.weights / "ckpt-0" if self.weights else None

    @property
    def base_config(self) -> Path:
        """The path of its base config, for models that have one."""
        return resources.pipelines() / str(self.base)

    @property
    def published(self) -> Archive | None:
        """The zoo's archive and its figures; None if there is none."""
        return archives()[self.archive] if self.archive else None

    @property
    def family(self) -> str:
        """The common name of the model's family: "EfficientDet", "CenterNet" ..."""
        if self.name.startswith("efficientdet"):
            return "EfficientDet"
        if self.masks:
            return "Mask R-CNN"
        return _FAMILIES[self.architecture]

    @property
    def outputs(self) -> tuple[str, ...]:
        """What it detects: "boxes", and "masks" or "keypoints"."""
        more = [name for name in ("masks", "keypoints") if getattr(self, name)]
        return ("boxes", *more)

    @property
    def names(self) -> tuple[str, ...]:
        """All names it is found by."""
        archive = (self.archive,) if self.archive else ()
        return tuple(dict.fromkeys((self.name, *self.aliases, *archive)))
