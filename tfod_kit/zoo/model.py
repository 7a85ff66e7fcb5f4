"""What the catalogue knows of a model."""

from dataclasses import dataclass
from pathlib import Path

from tfod_kit.io import resources
from tfod_kit.zoo.archives import Archive, archives

_FAMILIES = {"ssd": "SSD", "faster_rcnn": "Faster R-CNN", "center_net": "CenterNet"}


@dataclass(frozen=True, slots=True)
class Model:
    """One model.

    Attributes:
      name: the short name.
      title: what a person calls it.
      architecture: "ssd", "faster_rcnn" or "center_net", as in the config's `model { }`.
      input_size: the pixels of an input's longer side.
      base: the file under pipelines/ that it starts from; None for weights without a model.
      archive: the zoo's archive with weights trained on COCO; None where there is none.
      about: one line that helps to choose.
      aliases: other names it answers to.
      masks: whether it finds masks as well as boxes.
      keypoints: whether it finds keypoints as well as boxes.
      settings: field path -> value, set on top of the base.
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

    @property
    def base_config(self) -> Path:
        """Where its base config lies; for models that have one."""
        return resources.pipelines() / str(self.base)

    @property
    def published(self) -> Archive | None:
        """The zoo's archive and its figures; None where there is none."""
        return archives()[self.archive] if self.archive else None

    @property
    def family(self) -> str:
        """What people call the kind of model: "EfficientDet", "CenterNet" ..."""
        if self.name.startswith("efficientdet"):
            return "EfficientDet"
        if self.masks:
            return "Mask R-CNN"
        return _FAMILIES[self.architecture]

    @property
    def outputs(self) -> tuple[str, ...]:
        """What it finds: "boxes", and "masks" or "keypoints"."""
        more = [name for name in ("masks", "keypoints") if getattr(self, name)]
        return ("boxes", *more)

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that it answers to."""
        archive = (self.archive,) if self.archive else ()
        return tuple(dict.fromkeys((self.name, *self.aliases, *archive)))
