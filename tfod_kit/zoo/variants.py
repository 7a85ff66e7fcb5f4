"""The zoo's other models: each is a base config with some fields overridden.

The settings are those of the zoo's own configs (research/object_detection/configs/tf2 in
tensorflow/models); the sizes of EfficientDet are also in Table 1 of arXiv:1911.09070. If the
archive is available, its own pipeline.config is used instead.
"""

from collections.abc import Iterator

from tfod_kit.zoo.model import Model

Settings = tuple[tuple[str, str], ...]

_RESNETS = (50, 101, 152)

# phi: (input pixels, BiFPN filters, BiFPN rounds, layers of the heads, EfficientNet backbone)
_EFFICIENTDETS = {
    1: (640, 88, 4, 3, "b1"),
    2: (768, 112, 5, 3, "b2"),
    3: (896, 160, 6, 4, "b3"),
    4: (1024, 224, 7, 4, "b4"),
    5: (1280, 288, 7, 4, "b5"),
    6: (1408, 384, 8, 5, "b6"),
    7: (1536, 384, 8, 5, "b6"),
}


def _fixed(architecture: str, size: int) -> Settings:
    return (
        (
            f"model.{architecture}.image_resizer",
            f"{{fixed_shape_resizer {{height: {size} width: {size}}}}}",
        ),
    )


def _kept(architecture: str, least: int, most: int) -> Settings:
    resizer = (
        f"{{keep_aspect_ratio_resizer {{min_dimension: {least} max_dimension: {most} "
        "pad_to_max_dimension: true}}"
    )
    return ((f"model.{architecture}.image_resizer", resizer),)


def _extractor(architecture: str, name: str) -> Settings:
    return ((f"model.{architecture}.feature_extractor.type", name),)


def _sized(pixels: int, *names: str) -> tuple[str, ...]:
    """The names with the size appended, except for 640, the usual one."""
    return names if pixels == 640 else tuple(f"{name}_{pixels}" for name in names)


def _mobilenets() -> Iterator[Model]:
    yield Model(
        name="ssd_mobilenet_v2_fpnlite_640",
        title="SSD MobileNet V2 FPNLite 640x640",
        architecture="ssd",
        input_size=640,
        base="ssd_mobilenet_v2_fpnlite.config",
        archive="ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8",
        about="fpnlite on four times the pixels",
        aliases=(
            "ssd_mobilenet_fpnlite_640",
            "fpnlite_640",
            "ssd_mobilenet_v2_fpnlite_640x640",
        ),
        settings=_fixed("ssd", 640),
    )
    light = "0.00004"  # the regularisers' weight: ten times lower than ResNet's
    towers = ("box_predictor.weight_shared_convolutional_box_predictor", "feature_extractor")
    yield Model(
        name="ssd_mobilenet_v1_fpn",
        title="SSD MobileNet V1 FPN 640x640",
        architecture="ssd",
        input_size=640,
        base="ssd_resnet50_v1_fpn.config",
        archive="ssd_mobilenet_v1_fpn_640x640_coco17_tpu-8",
        about="between fpnlite and retinanet50",
        aliases=("ssd_mobilenet_v1", "ssd_mobilenet_v1_fpn_640x640"),
        settings=(
            *_extractor("ssd", "ssd_mobilenet_v1_fpn_keras"),
            *(
                (f"model.ssd.{tower}.conv_hyperparams.regularizer.l2_regularizer.weight", light)
                for tower in towers
            ),
            (
                "model.ssd.feature_extractor.conv_hyperparams.initializer",
                "{random_normal_initializer {stddev: 0.01 mean: 0.0}}",
            ),
        ),
    )


def _retinanets() -> Iterator[Model]:
    for depth in _RESNETS:
        for size in (640, 1024):
            if (depth, size) == (50, 640):
                continue  # has a base of its own
            name, *others = _sized(size, f"retinanet{depth}", f"ssd_resnet{depth}_v1_fpn")
            yield Model(
                name=name,
                title=f"SSD ResNet{depth} V1 FPN {size}x{size} (RetinaNet{depth})",
                architecture="ssd",
                input_size=size,
                base="ssd_resnet50_v1_fpn.config",
                archive=f"ssd_resnet{depth}_v1_fpn_{size}x{size}_coco17_tpu-8",
                about="a deeper backbone" if size == 640 else "for small objects in large images",
                aliases=(*others, f"ssd_resnet{depth}_v1_fpn_{size}x{size}"),
                settings=(
                    *_extractor("ssd", f"ssd_resnet{depth}_v1_fpn_keras"),
                    *_fixed("ssd", size),
                ),
            )


def _efficientdets() -> Iterator[Model]:
    for phi, (size, filters, rounds, layers, backbone) in _EFFICIENTDETS.items():
        predictor = "model.ssd.box_predictor.weight_shared_convolutional_box_predictor"
        pyramid = "model.ssd.feature_extractor.bifpn"
        crop = "random_scale_crop_and_pad_to_square.output_size"
        settings = (
            *_extractor("ssd", f"ssd_efficientnet-{backbone}_bifpn_keras"),
            *_kept("ssd", size, size),
            (f"{predictor}.depth", str(filters)),
            (f"{predictor}.num_layers_before_predictor", str(layers)),
            (f"{pyramid}.num_filters", str(filters)),
            (f"{pyramid}.num_iterations", str(rounds)),
            (f"train_config.data_augmentation_options[1].{crop}", str(size)),
        )
        if phi >= 6:
            settings += ((f"{pyramid}.combine_method", "sum"),)
        yield Model(
            name=f"efficientdet_d{phi}",
            title=f"EfficientDet D{phi} {size}x{size}",
            architecture="ssd",
            input_size=size,
            base="efficientdet_d0.config",
            archive=f"efficientdet_d{phi}_coco17_tpu-32",
            about="each step up is slower and finds more" if phi < 6 else "needs a large GPU",
            aliases=(f"ssd_efficientdet_d{phi}", f"efficientdet_d{phi}_{size}x{size}"),
            settings=settings,
        )


def _faster_rcnns() -> Iterator[Model]:
    sizes = {
        "640x640": (640, _kept("faster_rcnn", 640, 640), "tpu-8"),
        "1024x1024": (1024, _fixed("faster_rcnn", 1024), "tpu-8"),
        "800x1333": (1333, _kept("faster_rcnn", 800, 1333), "gpu-8"),
    }
    for depth in _RESNETS:
        for size, (pixels, resizer, trained_on) in sizes.items():
            if (depth, size) == (50, "640x640"):
                continue  # has a base of its own
            short = (f"faster_rcnn_resnet{depth}", f"faster_rcnn_resnet{depth}_v1")
            name, *others = _sized(800 if pixels == 1333 else pixels, *short)
            yield Model(
                name=name,
                title=f"Faster R-CNN ResNet{depth} V1 {size}",
                architecture="faster_rcnn",
                input_size=pixels,
                base="faster_rcnn_resnet50_v1.config",
                archive=f"faster_rcnn_resnet{depth}_v1_{size}_coco17_{trained_on}",
                about="keeps the image's shape" if pixels == 1333 else "two stages, a larger model",
                aliases=(*others, f"faster_rcnn_resnet{depth}_v1_{size}"),
                settings=(
                    *_extractor("faster_rcnn", f"faster_rcnn_resnet{depth}_keras"),
                    *resizer,
                ),
            )
    for pixels in (640, 1024):
        long = "faster_rcnn_inception_resnet_v2"
        name, *others = _sized(pixels, "faster_rcnn_inception", long)
        resizer = _kept("faster_rcnn", 640, 640) if pixels == 640 else _fixed("faster_rcnn", 1024)
        yield Model(
            name=name,
            title=f"Faster R-CNN Inception ResNet V2 {pixels}x{pixels}",
            architecture="faster_rcnn",
            input_size=pixels,
            base="faster_rcnn_resnet50_v1.config",
            archive=f"faster_rcnn_inception_resnet_v2_{pixels}x{pixels}_coco17_tpu-8",
            about="large and slow: when accuracy counts alone",
            aliases=(*others, f"{long}_{pixels}x{pixels}"),
            settings=(*_INCEPTION, *resizer),
        )


_INCEPTION = (
    *_extractor("faster_rcnn", "faster_rcnn_inception_resnet_v2_keras"),
    ("model.faster_rcnn.initial_crop_size", "17"),
    ("model.faster_rcnn.maxpool_kernel_size", "1"),
    ("model.faster_rcnn.maxpool_stride", "1"),
)


def _mask_rcnns() -> Iterator[Model]:
    yield Model(
        name="mask_rcnn_inception",
        title="Mask R-CNN Inception ResNet V2 1024x1024",
        architecture="faster_rcnn",
        input_size=1024,
        base="mask_rcnn_resnet50_v1.config",
        archive="mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8",
        about="the zoo's one model for masks; large",
        aliases=("mask_rcnn_inception_resnet_v2", "mask_rcnn_inception_resnet_v2_1024x1024"),
        masks=True,
        settings=(*_INCEPTION, *_fixed("faster_rcnn", 1024)),
    )


_HOURGLASS = (
    *_extractor("center_net", "hourglass_104"),
    # Its weights come from ExtremeNet, which takes BGR images.
    ("model.center_net.feature_extractor.bgr_ordering", "true"),
    (
        "model.center_net.feature_extractor.channel_means",
        "[104.01362025, 114.03422265, 119.9165958]",
    ),
    ("model.center_net.feature_extractor.channel_stds", "[73.6027665, 69.89082075, 70.9150767]"),
)
_MOBILENET_CENTERNET = _extractor("center_net", "mobilenet_v2_fpn_sep_conv")


def _centernets() -> Iterator[Model]:
    names = {
        "centernet_hg104_512x512_coco17_tpu-8": ("centernet_hourglass", "centernet_hourglass104"),
        "centernet_hg104_512x512_kpts_coco17_tpu-32": ("centernet_hourglass_keypoints",),
        "centernet_hg104_1024x1024_coco17_tpu-32": ("centernet_hourglass_1024",),
        "centernet_hg104_1024x1024_kpts_coco17_tpu-32": ("centernet_hourglass_1024_keypoints",),
        "centernet_resnet50_v1_fpn_512x512_kpts_coco17_tpu-8": (
            "centernet_keypoints",
            "centernet_resnet50_keypoints",
        ),
        "centernet_resnet101_v1_fpn_512x512_coco17_tpu-8": (
            "centernet_resnet101",
            "centernet_resnet101_v1_fpn",
        ),
        "centernet_resnet50_v2_512x512_coco17_tpu-8": ("centernet_resnet50_v2",),
        "centernet_resnet50_v2_512x512_kpts_coco17_tpu-8": ("centernet_resnet50_v2_keypoints",),
        "centernet_mobilenetv2fpn_512x512_coco17_od": (
            "centernet_mobilenet",
            "centernet_mobilenet_v2_fpn",
        ),
        "centernet_mobilenetv2fpn_512x512_coco17_kpts": ("centernet_mobilenet_keypoints",),
    }
    for archive, (name, *others) in names.items():
        keypoints = "kpts" in archive
        pixels = 1024 if "1024" in archive else 512
        stem = archive.split("_coco17")[0].removesuffix("_kpts")
        yield Model(
            name=name,
            title=_centernet_title(archive, keypoints=keypoints, pixels=pixels),
            architecture="center_net",
            input_size=pixels,
            base="centernet_resnet50_v1_fpn.config",
            archive=archive,
            about="boxes and keypoints; the label map names the points"
            if keypoints
            else _CENTERNET_ABOUT.get(stem, "no anchors: objects as points"),
            aliases=(*others, stem + ("_kpts" if keypoints else "")),
            keypoints=keypoints,
            settings=(*_centernet_extractor(archive), *_kept("center_net", pixels, pixels)),
        )


_CENTERNET_ABOUT = {
    "centernet_hg104_512x512": "accurate; large and slow",
    "centernet_mobilenetv2fpn_512x512": "the fastest of the zoo: phones",
}


def _centernet_title(archive: str, *, keypoints: bool, pixels: int) -> str:
    backbones = {
        "hg104": "HourGlass104",
        "resnet50_v1": "ResNet50 V1 FPN",
        "resnet101_v1": "ResNet101 V1 FPN",
        "resnet50_v2": "ResNet50 V2",
        "mobilenetv2fpn": "MobileNetV2 FPN",
    }
    backbone = next(title for part, title in backbones.items() if part in archive)
    return f"CenterNet {backbone}{' Keypoints' if keypoints else ''} {pixels}x{pixels}"


def _centernet_extractor(archive: str) -> Settings:
    if "hg104" in archive:
        return _HOURGLASS
    if "mobilenet" in archive:
        return _MOBILENET_CENTERNET
    extractors = {
        "resnet101_v1": "resnet_v1_101_fpn",
        "resnet50_v2": "resnet_v2_50",
        "resnet50_v1": "resnet_v1_50_fpn",
    }
    return _extractor(
        "center_net", next(name for part, name in extractors.items() if part in archive)
    )


_EXTREMENET = Model(
    name="extremenet",
    title="ExtremeNet",
    architecture="center_net",
    input_size=512,
    base=None,
    archive="extremenet",
    about="weights only, from which the zoo's hourglass CenterNets were trained",
)

VARIANTS = (
    *_mobilenets(),
    *_efficientdets(),
    *_retinanets(),
    *_faster_rcnns(),
    *_mask_rcnns(),
    *_centernets(),
    _EXTREMENET,
)
