"""Where a run starts: its base config, and the checkpoint with the initial weights."""

from dataclasses import dataclass, replace
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.configuration import weights
from tfod_kit.configuration.dataset import absolute
from tfod_kit.errors import CheckpointError, ConfigError, UsageError
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.pipeline_config.validation import PLACEHOLDER
from tfod_kit.runs import checkpoint_index, checkpoints
from tfod_kit.zoo import catalog, download, sources
from tfod_kit.zoo.archives import Archive, archives

FROM_SCRATCH = "none"

# For archives whose model has no base config here: sizes that fit a common GPU with 8 GB.
_BATCH_SIZES = {"ssd": 8, "faster_rcnn": 2, "center_net": 8}
_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """The base of a run's config.

    Attributes:
      config: the config in its file, without what the API cannot read.
      name: its name in messages: a file under pipelines/, or a path.
      batch_size, steps: the defaults for training.
      archive: the unpacked zoo archive that it comes from, if any.
      dropped: the names of what the API cannot read.
      better: the zoo archive that would be a better start than random weights.
      own: whether it is the user's own base config, whose values are kept.
      weights: the kit's own weights for it, the prefix of a checkpoint. They were trained on drawn
        objects, so they stand for random weights: a training is not shortened by them.
    """

    config: PipelineConfig
    name: str
    batch_size: int
    steps: int
    archive: Path | None = None
    dropped: tuple[str, ...] = ()
    better: str | None = None
    own: bool = False
    weights: Path | None = None


def from_model(name: str) -> StartingPoint:
    """A model of the catalogue with its base config. Raises UsageError for an unknown one."""
    model = catalog.find(name)
    if model.base is None:
        raise UsageError(
            f"{model.name} is only weights, not a model that can be trained.",
            fix="Start a model from them: --checkpoint FOLDER. `tfod models` lists the models.",
        )
    config = base_config(model)
    training = config.train_config
    return StartingPoint(
        config,
        model.base,
        training.batch_size,
        training.num_steps,
        better=model.archive,
        weights=model.own_weights,
    )


def base_config(model: catalog.Model) -> PipelineConfig:
    """The base config of a model of the catalogue, without an archive."""
    config = pipeline_config.load(model.base_config)
    for path, value in model.settings:
        pipeline_config.set_field(config, path, value)
    return config


def from_zoo(name: str | None, options: download.DownloadOptions) -> StartingPoint:
    """A model with the zoo's weights for it, from the cache or downloaded now.

    Where the zoo's bucket does not answer, Kaggle's copy is taken. It is a SavedModel without a
    config, so the model's own base config is used.

    Raises:
      UsageError: no model is named, or the zoo has no weights for it.
      CheckpointError: no source has the archive.
    """
    if name is None:
        raise UsageError(
            "--pretrained needs a model's name.",
            fix="tfod configure MODEL --pretrained; `tfod models` lists those with weights.",
        )
    folder = sources.obtain(published(name), options).folder
    if (folder / pipeline_config.FILE_NAME).is_file():
        return from_archive(folder)
    return replace(from_model(name), archive=folder, better=None)


def published(name: str) -> Archive:
    """The zoo's archive for a model. Raises UsageError if there is none, and suggests others."""
    model = catalog.find(name)
    if model.published is not None:
        return model.published
    like = [
        other.name
        for other in catalog.MODELS
        if other.archive and other.family == model.family and other.base
    ]
    raise UsageError(
        f"The zoo has no weights for {model.name}.",
        fix=f"Train it from scratch, or use one of its family: {', '.join(like)}.",
    )


def unpacked(archive: Path, options: download.DownloadOptions) -> Path:
    """The folder of an archive, which is unpacked first if it is a NAME.tar.gz of the zoo."""
    known = archives().get(archive.name.removesuffix(".tar.gz"))
    if known is None or not archive.is_file():
        return archive
    return download.obtain(known, replace(options, local=archive)).folder


def from_file(path: Path) -> StartingPoint:
    """The user's own base config, with its values. Raises ConfigError if it cannot be read."""
    config, dropped = pipeline_config.load_foreign(path)
    training = config.train_config
    return StartingPoint(
        config,
        str(path),
        training.batch_size,
        training.num_steps or _STEPS,
        dropped=tuple(dropped),
        own=True,
    )


def from_archive(folder: Path) -> StartingPoint:
    """An unpacked zoo archive: pipeline.config and checkpoint/ckpt-0.*.

    Its batch sizes are for eight TPU cores and its steps for the whole of COCO, so both come from
    the base config of the same model here.

    Raises:
      UsageError: the folder is not an unpacked archive.
    """
    if not (folder / pipeline_config.FILE_NAME).is_file():
        packed = folder.is_file() or folder.with_name(folder.name + ".tar.gz").is_file()
        raise UsageError(
            "This is not an unpacked archive of the model zoo.",
            where=folder,
            expected="a folder with pipeline.config and checkpoint/ckpt-0.index",
            found=_contents(folder),
            fix="Unpack it first (tar xzf ARCHIVE.tar.gz), or: tfod models download MODEL "
            "--archive ARCHIVE.tar.gz"
            if packed
            else "Name the folder of one, or use --pretrained instead.",
        )
    config, dropped = pipeline_config.load_foreign(folder)
    like = _base_of_same_model(config)
    training = like.train_config if like is not None else None
    batch_size = (
        training.batch_size if training else _BATCH_SIZES[pipeline_config.architecture(config)]
    )
    return StartingPoint(
        config,
        f"{folder.name}/pipeline.config",
        batch_size=min(batch_size, config.train_config.batch_size),
        steps=training.num_steps if training else _STEPS,
        archive=folder,
        dropped=tuple(dropped),
    )


def reject_other_model(start: StartingPoint, name: str) -> None:
    """Raises UsageError if the archive does not hold the requested model."""
    model = catalog.find(name)
    if model.base is None or (start.archive and start.archive.name == model.archive):
        return
    expected = _extractor(base_config(model))
    if _extractor(start.config) != expected:
        raise UsageError(
            f"The archive holds another model than {name!r}.",
            where=start.archive,
            expected=expected,
            found=_extractor(start.config),
            fix="Leave out the model's name, or name the archive"
            + (f" {model.archive}." if model.archive else " of that model."),
        )


def checkpoint(start: StartingPoint, asked: str | None) -> Path | None:
    """The prefix of the checkpoint to start from; None to start from random weights.

    Args:
      start: the base of the run; an archive has its own checkpoint.
      asked: a prefix, a folder, a checkpoint's file or a SavedModel; "none"; or None for the
        base's own.

    Raises:
      CheckpointError: it is missing; the message lists what is there instead.
    """
    own = start.config.train_config.fine_tune_checkpoint
    if asked is not None:
        chosen = None if asked.lower() == FROM_SCRATCH else Path(asked)
    elif start.archive is not None:
        folder = start.archive / "checkpoint"
        chosen = folder if folder.is_dir() else start.archive
    elif start.weights is not None:
        chosen = start.weights
    else:
        chosen = Path(own) if own and unusable_checkpoint(start) is None else None
    return absolute(weights.resolve(chosen)) if chosen is not None else None


def unusable_checkpoint(start: StartingPoint) -> str | None:
    """Why the checkpoint that a base config names cannot be used; None if it can or none is named.

    A checkpoint that is there and damaged is not among them: it is reported where it is read.
    """
    own = start.config.train_config.fine_tune_checkpoint
    if not own:
        return None
    try:
        prefix = None if PLACEHOLDER in own else checkpoints.resolve(Path(own))
    except CheckpointError:
        prefix = None
    if prefix is None:
        return "is not on this machine"
    if checkpoint_index.OBJECT_GRAPH not in checkpoint_index.read(prefix):
        return "is one of TensorFlow 1, whose weights cannot be read"
    return None


def checkpoint_type(prefix: Path) -> str:
    """What the checkpoint holds: "detection" (a detector) or "classification" (a backbone).

    Inferred from the variables' names: those of a detector start with "model/", those of a backbone
    with "feature_extractor/".

    Raises:
      CheckpointError: it is neither, as TensorFlow 1's are, or is damaged.
    """
    names = checkpoint_index.read(prefix)
    if checkpoint_index.OBJECT_GRAPH in names:
        if any(name.startswith("model/") for name in names):
            return "detection"
        if any(name.startswith("feature_extractor/") for name in names):
            return "classification"
    raise CheckpointError(
        "The checkpoint cannot be started from.",
        where=prefix,
        expected="a TensorFlow 2 checkpoint of a detector, or of a backbone that upstream wrote",
        found="variables stored by name: TensorFlow 1"
        if checkpoint_index.OBJECT_GRAPH not in names
        else "a checkpoint of something else",
        fix="Take an archive of the TensorFlow 2 model zoo, or --checkpoint none.",
    )


def reject_misfit(config: PipelineConfig, prefix: Path) -> None:
    """Raises CheckpointError if a detector's checkpoint belongs to another model.

    Compares the names of its variables, and the pipeline.config beside it if there is one.
    """
    expected = pipeline_config.architecture(config)
    found = checkpoint_index.architecture(checkpoint_index.read(prefix))
    if found is not None and found != expected:
        raise _misfit(prefix, f"model.{expected}", f"model.{found}")
    beside = next(
        (
            folder / pipeline_config.FILE_NAME
            for folder in (prefix.parent, prefix.parent.parent)
            if (folder / pipeline_config.FILE_NAME).is_file()
        ),
        None,
    )
    if found is None or beside is None:
        return
    try:
        theirs = _structure(pipeline_config.load_foreign(beside)[0])
    except ConfigError:
        return  # an unreadable config gives no information about the checkpoint
    ours = _structure(config)
    for name, value in ours.items():
        if theirs.get(name, value) != value:
            raise _misfit(prefix, f"{name}: {value}", f"{name}: {theirs[name]} ({beside})")


def _structure(config: PipelineConfig) -> dict[str, object]:
    """The settings of the feature extractor that decide which variables it has."""
    extractor = pipeline_config.model_of(config).feature_extractor
    facts: dict[str, object] = {"feature_extractor.type": extractor.type}
    for name in ("depth_multiplier", "min_depth", "use_depthwise"):
        if name in extractor.DESCRIPTOR.fields_by_name:
            facts[f"feature_extractor.{name}"] = getattr(extractor, name)
    for part in ("fpn", "bifpn"):
        if part in extractor.DESCRIPTOR.fields_by_name and extractor.HasField(part):
            inner = getattr(extractor, part)
            for field in inner.DESCRIPTOR.fields:
                facts[f"feature_extractor.{part}.{field.name}"] = getattr(inner, field.name)
    return facts


def _misfit(prefix: Path, expected: str, found: str) -> CheckpointError:
    return CheckpointError(
        "The checkpoint is another model's: its weights do not fit this model.",
        where=prefix,
        expected=expected,
        found=found,
        fix="Configure the model that the checkpoint is of (--zoo FOLDER does), name another, or "
        "start from random weights: --checkpoint none.",
    )


def _base_of_same_model(config: PipelineConfig) -> PipelineConfig | None:
    for model in catalog.BASES:
        if model is catalog.DEFAULT:
            continue
        base = pipeline_config.load(model.base_config)
        if _extractor(base) == _extractor(config):
            return base
    return None


def _extractor(config: PipelineConfig) -> str:
    return pipeline_config.model_of(config).feature_extractor.type


def _contents(folder: Path) -> str:
    if folder.is_file():
        return "a file"
    if not folder.is_dir():
        return "no such folder"
    return ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "an empty folder"
