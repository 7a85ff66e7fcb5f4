"""pipeline.config: load, edit, validate, compare and save it, without TensorFlow.

A config is upstream's own `TrainEvalPipelineConfig` message. Its class is built at run time (see
compat/protos.py); messages.py declares its fields for type checkers.
"""

from tfod_kit.pipeline_config.differences import Change, as_tree, differences, flattened
from tfod_kit.pipeline_config.fields import get_field, set_field
from tfod_kit.pipeline_config.messages import (
    DetectionModel,
    InputReader,
    PipelineConfig,
    PreprocessingStep,
    Schedule,
)
from tfod_kit.pipeline_config.records import is_remote, record_files, record_patterns
from tfod_kit.pipeline_config.schedule import (
    learning_rate,
    rescale_schedule,
    scale_learning_rate,
    set_learning_rate,
)
from tfod_kit.pipeline_config.text import (
    FILE_NAME,
    copy_of,
    dumps,
    label_map_path,
    load,
    load_foreign,
    loads,
    save,
)
from tfod_kit.pipeline_config.validation import architecture, check, model_of, validate

__all__ = [
    "FILE_NAME",
    "Change",
    "DetectionModel",
    "InputReader",
    "PipelineConfig",
    "PreprocessingStep",
    "Schedule",
    "architecture",
    "as_tree",
    "check",
    "copy_of",
    "differences",
    "dumps",
    "flattened",
    "get_field",
    "is_remote",
    "label_map_path",
    "learning_rate",
    "load",
    "load_foreign",
    "loads",
    "model_of",
    "record_files",
    "record_patterns",
    "rescale_schedule",
    "save",
    "scale_learning_rate",
    "set_field",
    "set_learning_rate",
    "validate",
]
