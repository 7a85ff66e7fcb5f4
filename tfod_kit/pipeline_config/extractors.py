"""The feature extractors that upstream registers for TensorFlow 2, and replacements for others."""

from tfod_kit.errors import did_you_mean

# The keys of the three TF2 maps in upstream's builders/model_builder.py; a test compares them.
EXTRACTORS = {
    "ssd": (
        "ssd_mobilenet_v1_keras",
        "ssd_mobilenet_v1_fpn_keras",
        "ssd_mobilenet_v2_keras",
        "ssd_mobilenet_v2_fpn_keras",
        *(f"ssd_resnet{depth}_v1_fpn_keras" for depth in (50, 101, 152)),
        *(f"ssd_efficientnet-b{size}_bifpn_keras" for size in range(8)),
    ),
    "faster_rcnn": (
        *(f"faster_rcnn_resnet{depth}_keras" for depth in (50, 101, 152)),
        "faster_rcnn_inception_resnet_v2_keras",
        *(f"faster_rcnn_resnet{depth}_fpn_keras" for depth in (50, 101, 152)),
    ),
    "center_net": (
        "resnet_v2_50",
        "resnet_v2_101",
        *(f"resnet_v1_{depth}_fpn" for depth in (18, 34, 50, 101)),
        *(f"hourglass_{depth}" for depth in (10, 20, 32, 52, 104)),
        "mobilenet_v2",
        "mobilenet_v2_fpn",
        "mobilenet_v2_fpn_sep_conv",
    ),
}

# For extractors that exist only for TensorFlow 1: the nearest in size and speed.
_NEAREST = {
    "ssd_mobilenet_v2_mnasfpn": "ssd_mobilenet_v2_fpn_keras",
    "ssd_mobilenet_v3_large": "ssd_mobilenet_v2_fpn_keras",
    "ssd_mobilenet_v3_small": "ssd_mobilenet_v2_keras",
    "ssd_mobilenet_edgetpu": "ssd_mobilenet_v2_keras",
    "ssd_mobiledet_cpu": "ssd_mobilenet_v2_fpn_keras",
    "ssd_mobiledet_dsp": "ssd_mobilenet_v2_fpn_keras",
    "ssd_mobiledet_edgetpu": "ssd_mobilenet_v2_fpn_keras",
    "ssd_mobiledet_gpu": "ssd_mobilenet_v2_fpn_keras",
    "ssd_spaghettinet": "ssd_mobilenet_v2_fpn_keras",
    "embedded_ssd_mobilenet_v1": "ssd_mobilenet_v1_keras",
    "ssd_inception_v2": "ssd_mobilenet_v2_fpn_keras",
    "ssd_inception_v3": "ssd_resnet50_v1_fpn_keras",
    "ssd_pnasnet": "ssd_resnet50_v1_fpn_keras",
    "faster_rcnn_inception_v2": "faster_rcnn_resnet50_keras",
    "faster_rcnn_nas": "faster_rcnn_inception_resnet_v2_keras",
    "faster_rcnn_pnas": "faster_rcnn_inception_resnet_v2_keras",
}


def tf2_form(architecture: str, name: str) -> str | None:
    """The name of the same network in TensorFlow 2; None if it has none, or is one already."""
    form = f"{name}_keras"
    return form if form in EXTRACTORS[architecture] else None


def tf2_equivalent(architecture: str, name: str) -> str:
    """Advice, as a sentence, for a feature extractor that TensorFlow 2 does not have."""
    known = EXTRACTORS[architecture]
    form = tf2_form(architecture, name)
    if form is not None:
        return (
            f"Write {form!r}, its TensorFlow 2 form (`tfod configure --base` does it); checkpoints "
            "of the TensorFlow 1 model cannot be read."
        )
    pyramid = f"{name.removesuffix('_ppn')}_fpn_keras"
    nearest = pyramid if name.endswith("_ppn") and pyramid in known else _NEAREST.get(name)
    if nearest is not None:
        return (
            f"It has no TensorFlow 2 form; the nearest is {nearest!r}: add `--set model."
            f"{architecture}.feature_extractor.type={nearest}` to `tfod configure`."
        )
    return did_you_mean(name, known)
