"""MLflow: parameters, curves, files and the model, on a server or in a local database."""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tfod_kit import __version__
from tfod_kit.tracking.tracker import TrackedRun, TrackerKind

if TYPE_CHECKING:
    from PIL import Image

EXPERIMENT = "tfod_kit"  # unless MLFLOW_EXPERIMENT_NAME names another
LOADER = "tfod_kit.tracking.mlflow_model"
# MLflow's limits of one request, and of a parameter.
_PARAMS, _METRICS, _LONGEST = 100, 1000, 6000
# By default it tries for minutes; a training must not wait so long for a server at its end.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}

_T = TypeVar("_T")


class MLflow:
    """A run of an MLflow server or database."""

    def __init__(self, run: TrackedRun, where: str) -> None:
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        import mlflow

        self._address = where or mlflow.get_tracking_uri()
        self._client = mlflow.MlflowClient(tracking_uri=self._address)
        self.reference = self._resumed(run.reference) or self._created(run.name)
        self._add_parameters(run.parameters)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(_name(name), value, now, step) for name, value in values.items()]
        for some in _chunks(metrics, _METRICS):
            self._client.log_batch(self.reference, metrics=some)

    def image(self, step: int, name: str, image: "Image.Image") -> None:
        self._client.log_image(self.reference, image, key=_name(name), step=step)

    def file(self, path: Path, folder: str) -> None:
        self._client.log_artifact(self.reference, str(path), folder or None)

    def model(self, folder: Path) -> None:
        """Stores a model of the flavour python_function; see `mlflow_model` for what it takes."""
        import mlflow
        import mlflow.pyfunc

        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(self._address)
        try:
            with mlflow.start_run(run_id=self.reference):
                mlflow.pyfunc.log_model(
                    name="model",
                    loader_module=LOADER,
                    data_path=str(folder),
                    pip_requirements=[f"tfod_kit[engine]=={__version__}"],
                )
        finally:
            mlflow.set_tracking_uri(before)

    def close(self, *, failed: bool) -> None:
        self._client.set_terminated(self.reference, "FAILED" if failed else "FINISHED")

    def _resumed(self, run_id: str) -> str:
        """The run to continue, which is opened again; empty if this store does not have it."""
        from mlflow.exceptions import MlflowException

        if not run_id:
            return ""
        try:
            self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return ""
            raise
        self._client.update_run(run_id, status="RUNNING")
        return run_id

    def _created(self, name: str) -> str:
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        known = self._client.get_experiment_by_name(experiment)
        number = known.experiment_id if known else self._client.create_experiment(experiment)
        return str(self._client.create_run(number, run_name=name).info.run_id)

    def _add_parameters(self, parameters: Mapping[str, str]) -> None:
        """Adds parameters. Those of a resumed run stay as they were: MLflow cannot change them."""
        from mlflow.entities import Param

        known = self._client.get_run(self.reference).data.params
        added = [
            Param(_name(name), value[:_LONGEST])
            for name, value in parameters.items()
            if _name(name) not in known
        ]
        for some in _chunks(added, _PARAMS):
            self._client.log_batch(self.reference, params=some)


def _name(name: str) -> str:
    """A name with the characters that MLflow accepts: "mAP@.50IOU" as "mAP_.50IOU"."""
    return re.sub(r"[^/\w.\- ]", "_", name)


def _chunks(items: Sequence[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _open(run: TrackedRun, where: str) -> Any:
    return MLflow(run, where)


TRACKER = TrackerKind(
    _open,
    "an MLflow server, or a local database of it",
    where="the address, such as http://localhost:5000 or sqlite:///mlflow.db (default: "
    "MLFLOW_TRACKING_URI, or the database mlflow.db in the current folder)",
    packages=("mlflow",),
    extra="mlflow",
)
