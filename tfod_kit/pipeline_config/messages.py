"""Types of upstream's config messages, for type checkers alone.

The message classes are built at run time from upstream's descriptors (see compat/protos.py), so
type checkers cannot see them. The classes here declare the fields that tfod_kit uses often; other
fields are `Any`. They are never instantiated, and `isinstance` does not work with them.
"""

from collections.abc import MutableSequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from google.protobuf.message import Message
else:
    Message = object

_T = TypeVar("_T")


class RepeatedMessage(MutableSequence[_T]):
    """A repeated field of messages."""

    if TYPE_CHECKING:

        def add(self, **fields: object) -> _T: ...


class _OpenMessage(Message):
    """A message with more fields than are declared."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...


class TFRecordInputReader(Message):
    """Where an input reader finds its records."""

    input_path: MutableSequence[str]


class InputReader(_OpenMessage):
    """`train_input_reader`, or one of `eval_input_reader`."""

    tf_record_input_reader: TFRecordInputReader
    label_map_path: str
    shuffle: bool
    shuffle_buffer_size: int
    num_readers: int
    num_epochs: int
    num_parallel_batches: int
    max_number_of_boxes: int
    num_keypoints: int
    use_keypoint_label_map: bool
    load_instance_masks: bool
    mask_type: int


class Schedule(_OpenMessage):
    """A learning-rate schedule; which fields it has depends on its kind."""


class Optimizer(_OpenMessage):
    """`train_config.optimizer`: one of upstream's optimizers, each with a learning rate."""


class PreprocessingStep(_OpenMessage):
    """One of `train_config.data_augmentation_options`; exactly one field is set."""


class TrainConfig(_OpenMessage):
    """`train_config`."""

    batch_size: int
    num_steps: int
    optimizer: Optimizer
    fine_tune_checkpoint: str
    fine_tune_checkpoint_type: str
    fine_tune_checkpoint_version: int
    gradient_clipping_by_norm: float
    max_number_of_boxes: int
    unpad_groundtruth_tensors: bool
    use_bfloat16: bool
    data_augmentation_options: RepeatedMessage["PreprocessingStep"]


class EvalConfig(_OpenMessage):
    """`eval_config`."""

    batch_size: int
    metrics_set: MutableSequence[str]
    num_visualizations: int
    eval_instance_masks: bool


class FeatureExtractor(_OpenMessage):
    """The backbone of a model, by its name in upstream's registry."""

    type: str


class ImageResizer(_OpenMessage):
    """How images become the model's input; fields by `image_resizer_oneof`."""


class DetectionModel(_OpenMessage):
    """`ssd`, `faster_rcnn` or `center_net`: the fields that all of them have."""

    num_classes: int
    feature_extractor: FeatureExtractor
    image_resizer: ImageResizer


class ModelConfig(_OpenMessage):
    """`model`: exactly one of the architectures is set."""

    ssd: DetectionModel
    faster_rcnn: DetectionModel
    center_net: DetectionModel


class PipelineConfig(_OpenMessage):
    """`TrainEvalPipelineConfig`, the whole of a pipeline.config."""

    model: ModelConfig
    train_config: TrainConfig
    train_input_reader: InputReader
    eval_config: EvalConfig
    eval_input_reader: RepeatedMessage[InputReader]
