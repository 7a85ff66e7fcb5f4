"""How many threads a call of the model uses, and several calls at once."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tfod_kit import pipeline_config
from tfod_kit.io import hardware
from tfod_kit.serving import model_threads
from tfod_kit.serving.batching import Batcher, Objects


def _model(folder: Path, kind: str, side: int) -> Path:
    config = pipeline_config.loads(
        f"model {{ ssd {{ feature_extractor {{ type: '{kind}' }} image_resizer {{ "
        f"fixed_shape_resizer {{ height: {side} width: {side} }} }} }} }}"
    )
    pipeline_config.save(config, folder / pipeline_config.FILE_NAME)
    return folder


@pytest.mark.parametrize(
    ("kind", "side", "threads"),
    [
        ("ssd_mobilenet_v2_keras", 192, 1),
        ("ssd_mobilenet_v1_keras", 320, 1),
        ("ssd_mobilenet_v2_keras", 640, None),
        ("ssd_mobilenet_v2_fpn_keras", 320, None),
        ("ssd_resnet50_v1_fpn_keras", 320, None),
    ],
)
def test_a_small_model_gets_one_thread_for_each_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, side: int, threads: int | None
) -> None:
    monkeypatch.delenv(model_threads.VARIABLE, raising=False)
    model = _model(tmp_path, kind, side)
    assert model_threads.choose(model, None) == threads
    assert model_threads.choose(model, 3) == 3


def test_the_users_own_choice_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(model_threads.VARIABLE, "4")
    assert model_threads.choose(_model(tmp_path, "ssd_mobilenet_v2_keras", 192), None) is None
    assert model_threads.limit(None) == 1


def test_a_damaged_config_is_left_to_the_detector(tmp_path: Path) -> None:
    (tmp_path / pipeline_config.FILE_NAME).write_text("model {")
    assert model_threads.choose(tmp_path, None) is None


def test_as_many_calls_as_there_are_cores_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(model_threads.VARIABLE, "")
    monkeypatch.setattr(hardware, "cores", lambda: 8)
    assert [model_threads.limit(threads) for threads in (1, 2, 3, 16)] == [8, 4, 2, 1]


def test_two_batches_are_in_the_model_at_once() -> None:
    both = threading.Barrier(2, timeout=20)

    def detect(images: Sequence[int], *, min_score: float) -> list[Objects]:
        both.wait()  # neither returns before the other was called
        return [() for _ in images]

    async def ask() -> list[Objects]:
        batcher: Batcher[int] = Batcher(detect, largest=2, window_s=5.0, calls=2)
        task = asyncio.create_task(batcher.run())
        try:
            return await asyncio.gather(*(batcher.detect(number, 0.5) for number in range(4)))
        finally:
            task.cancel()

    assert asyncio.run(ask()) == [(), (), (), ()]


def test_a_batch_does_not_wait_for_images_that_are_in_the_model() -> None:
    go = threading.Event()
    sizes: list[int] = []

    def detect(images: Sequence[int], *, min_score: float) -> list[Objects]:
        sizes.append(len(images))
        if images == [0]:
            assert go.wait(20)
        return [() for _ in images]

    async def ask() -> None:
        batcher: Batcher[int] = Batcher(detect, largest=8, window_s=30.0, calls=2)
        task = asyncio.create_task(batcher.run())
        try:
            first = asyncio.ensure_future(batcher.detect(0, 0.5))
            await asyncio.sleep(0.05)  # it is in the model now
            async with asyncio.timeout(10):
                await batcher.detect(1, 0.5)
            go.set()
            await first
        finally:
            go.set()
            task.cancel()

    asyncio.run(ask())
    assert sizes == [1, 1]
