"""Weights & Biases: a run in RUN/wandb, which `wandb sync` sends; online only by WANDB_MODE."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit.io.progress import announce
from tfod_kit.tracking.tracker import TrackedRun, TrackerKind

if TYPE_CHECKING:
    from PIL import Image

PROJECT = "tfod_kit"
MODE = "WANDB_MODE"


class WeightsAndBiases:
    """A run of Weights & Biases."""

    def __init__(self, run: TrackedRun, where: str) -> None:
        import wandb

        self._wandb = wandb
        mode = os.environ.get(MODE) or "offline"
        self._offline = mode == "offline"
        self._run: Any = wandb.init(
            project=where or os.environ.get("WANDB_PROJECT") or PROJECT,
            name=run.name,
            dir=str(run.folder),
            config=dict(run.parameters),
            id=run.reference or None,
            resume="allow" if run.reference else None,
            mode=mode,
            settings=wandb.Settings(
                silent=True, console="off", save_code=False, disable_git=True, x_disable_stats=True
            ),
        )
        # Its own step only grows, and a resumed training goes back to the last checkpoint.
        self._run.define_metric("*", step_metric="step")
        self.reference = str(self._run.id)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log({**values, "step": step})

    def image(self, step: int, name: str, image: "Image.Image") -> None:
        self._run.log({name: self._wandb.Image(image), "step": step})

    def file(self, path: Path, folder: str) -> None:
        kind = folder or "run"
        artefact = self._wandb.Artifact(f"{self.reference}-{kind}-{path.name}", type=kind)
        artefact.add_file(str(path), name=path.name)
        self._run.log_artifact(artefact)

    def model(self, folder: Path) -> None:
        artefact = self._wandb.Artifact(f"{self.reference}-model", type="model")
        artefact.add_dir(str(folder))
        self._run.log_artifact(artefact)

    def close(self, *, failed: bool) -> None:
        folder = Path(self._run.dir).parent
        self._run.finish(exit_code=1 if failed else 0)
        if self._offline:
            announce(f"Weights & Biases: nothing was sent. To send it: wandb sync {folder}")


def _open(run: TrackedRun, where: str) -> Any:
    return WeightsAndBiases(run, where)


TRACKER = TrackerKind(
    _open,
    "Weights & Biases, as files in RUN/wandb that `wandb sync` sends (WANDB_MODE=online sends "
    "them at once)",
    where=f"the project (default: WANDB_PROJECT, or {PROJECT})",
    packages=("wandb",),
    extra="wandb",
)
