"""The models that can be named on the command line, as data."""

from dataclasses import dataclass
from pathlib import Path

from tfod_kit import resources
from tfod_kit.errors import UsageError, did_you_mean


@dataclass(frozen=True, slots=True)
class Model:
    """One model.

    Attributes:
      name: the short name.
      title: what a person calls it.
      architecture: "ssd", "faster_rcnn" or "center_net", as in the config's `model { }`.
      input_size: the pixels of an input's longer side.
      base: the file under pipelines/ that it starts from.
      archive: the zoo's archive with weights trained on COCO; None where there is none.
      aliases: other names it answers to.
      masks: whether it finds masks as well as boxes.
      about: one line that helps to choose.
    """

    name: str
    title: str
    architecture: str
    input_size: int
    base: str
    archive: str | None
    about: str
    aliases: tuple[str, ...] = ()
    masks: bool = False

    @property
    def base_config(self) -> Path:
        """Where its base config lies."""
        return resources.pipelines() / self.base


MODELS = (
    Model(
        name="ssd_cpu",
        title="SSD MobileNet V2, small, for CPUs",
        architecture="ssd",
        input_size=192,
        base="ssd_mobilenet_v2_cpu.config",
        archive=None,
        about="trains in minutes on 2 cores, from scratch",
        aliases=("ssd_mobilenet_cpu", "ssd_mobilenet_v2_cpu"),
    ),
    Model(
        name="ssd_mobilenet_v2",
        title="SSD MobileNet V2 300x300",
        architecture="ssd",
        input_size=300,
        base="ssd_mobilenet_v2.config",
        archive="ssd_mobilenet_v2_320x320_coco17_tpu-8",
        about="the lightest of the zoo: phones, small boards",
        aliases=("ssd_mobilenet", "ssd_mobilenet_v2_320x320"),
    ),
    Model(
        name="ssd_mobilenet_v2_fpnlite",
        title="SSD MobileNet V2 FPNLite 320x320",
        architecture="ssd",
        input_size=320,
        base="ssd_mobilenet_v2_fpnlite.config",
        archive="ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8",
        about="light, and better at small objects than ssd_mobilenet_v2",
        aliases=("ssd_mobilenet_fpnlite", "fpnlite", "ssd_mobilenet_v2_fpnlite_320x320"),
    ),
    Model(
        name="ssd_resnet50_v1_fpn",
        title="SSD ResNet50 V1 FPN 640x640 (RetinaNet50)",
        architecture="ssd",
        input_size=640,
        base="ssd_resnet50_v1_fpn.config",
        archive="ssd_resnet50_v1_fpn_640x640_coco17_tpu-8",
        about="a solid one-stage detector for a GPU",
        aliases=("retinanet50", "retinanet", "ssd_resnet50", "ssd_resnet50_v1_fpn_640x640"),
    ),
    Model(
        name="efficientdet_d0",
        title="EfficientDet D0 512x512",
        architecture="ssd",
        input_size=512,
        base="efficientdet_d0.config",
        archive="efficientdet_d0_coco17_tpu-32",
        about="accurate for its size; slow to train on a CPU",
        aliases=("efficientdet", "ssd_efficientdet_d0", "efficientdet_d0_512x512"),
    ),
    Model(
        name="faster_rcnn_resnet50_v1",
        title="Faster R-CNN ResNet50 V1 640x640",
        architecture="faster_rcnn",
        input_size=640,
        base="faster_rcnn_resnet50_v1.config",
        archive="faster_rcnn_resnet50_v1_640x640_coco17_tpu-8",
        about="two stages: good boxes, slower",
        aliases=("faster_rcnn", "faster_rcnn_resnet50", "faster_rcnn_resnet50_v1_640x640"),
    ),
    Model(
        name="mask_rcnn_resnet50_v1",
        title="Mask R-CNN ResNet50 V1 640x640",
        architecture="faster_rcnn",
        input_size=640,
        base="mask_rcnn_resnet50_v1.config",
        # The zoo's one Mask R-CNN stands on Inception ResNet V2, five times the size.
        archive=None,
        about="boxes and masks; needs records with masks",
        aliases=("mask_rcnn", "mask_rcnn_resnet50"),
        masks=True,
    ),
    Model(
        name="centernet_resnet50_v1_fpn",
        title="CenterNet ResNet50 V1 FPN 512x512",
        architecture="center_net",
        input_size=512,
        base="centernet_resnet50_v1_fpn.config",
        archive="centernet_resnet50_v1_fpn_512x512_coco17_tpu-8",
        about="no anchors: objects as points",
        aliases=("centernet", "centernet_resnet50", "centernet_resnet50_v1_fpn_512x512"),
    ),
)

DEFAULT = MODELS[0]


def find(name: str) -> Model:
    """The model of a short name, an alias or a zoo archive's name, whatever the case and dashes.

    Raises:
      UsageError: there is none; the nearest names are offered.
    """
    by_name = {_plain(known): model for model in MODELS for known in _names(model)}
    try:
        return by_name[_plain(name)]
    except KeyError:
        known = [known for model in MODELS for known in _names(model)]
        near = did_you_mean(name, known)
        if near.startswith("Known"):
            near = did_you_mean(name, [model.name for model in MODELS])
        raise UsageError(f"There is no model {name!r}.", fix=near) from None


def _names(model: Model) -> tuple[str, ...]:
    archive = (model.archive,) if model.archive else ()
    return (model.name, *model.aliases, *archive)


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")
