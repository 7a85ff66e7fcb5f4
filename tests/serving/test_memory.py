"""Requests take no more memory than stated, and no more time than their client waits."""

import asyncio
import contextlib
import io
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import loopback_service
import pytest
from loopback_service import SeesBrightness, ask, picture, requests_by_status, serving
from PIL import Image

from tfod_kit.errors import UsageError
from tfod_kit.serving.limits import Limits
from tfod_kit.serving.memory import Memory
from tfod_kit.serving.options import ServeOptions
from tfod_kit.serving.run import serve

MEMORY_MB = 700
LARGE = (7216, 5412)  # px: 39 megapixels


class Process:
    """A service in a process of its own."""

    def __init__(self) -> None:
        command = [sys.executable, loopback_service.__file__, str(MEMORY_MB)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def memory_mb(self, what: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        (line,) = (line for line in status if line.startswith(what))
        return int(line.split()[1]) * 1024 / 1e6


@pytest.fixture
def process() -> Iterator[Process]:
    running = Process()
    yield running
    running.process.communicate()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory in /proc")
def test_large_images_stay_within_the_memory_and_small_ones_go_on(process: Process) -> None:
    stream = io.BytesIO()
    noise = Image.effect_noise((LARGE[0] // 8, LARGE[1] // 8), 80).convert("RGB")
    noise.resize(LARGE).save(stream, "JPEG")
    assert ask(process.port, "POST", "/detect", picture(200))[0].status == 200
    before = process.memory_mb("VmRSS")
    waits: list[float] = []
    with ThreadPoolExecutor(6) as pool:
        large = [
            pool.submit(ask, process.port, "POST", "/detect", stream.getvalue()) for _ in range(6)
        ]
        while not all(each.done() for each in large):
            start = time.perf_counter()
            assert ask(process.port, "POST", "/detect", picture(200))[0].status == 200
            waits.append(time.perf_counter() - start)
    answers = [json.loads(each.result()[1]) for each in large]
    assert [(answer["images"][0]["width"], len(answer["images"])) for answer in answers] == [
        (LARGE[0], 1)
    ] * 6
    peak = process.memory_mb("VmHWM")
    assert 100 < peak - before < MEMORY_MB
    assert len(waits) > 20, "small ones did not wait for the large ones"
    assert sorted(waits)[len(waits) * 9 // 10] < 0.5
    time.sleep(2)
    assert process.memory_mb("VmRSS") < before + 60, "it is given back"


def abandon(port: int, body: bytes, path: str = "/detect") -> socket.socket:
    """Sends a request; returns the connection."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def test_work_whose_client_is_gone_is_not_done() -> None:
    detector = SeesBrightness()
    detector.go.clear()
    with serving(detector) as port, ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, port, "POST", "/detect", picture(100))
        while not detector.waiting:  # the first is in the model
            time.sleep(0.01)
        gone = [abandon(port, picture(101)) for _ in range(5)]
        while "tfod_requests_under_way 6.0" not in ask(port, "GET", "/metrics")[1].decode():
            time.sleep(0.01)
        for connection in gone:
            connection.close()
        while requests_by_status(port).get("499") != 5:  # while the model still works on the first
            time.sleep(0.01)
        detector.go.set()
        assert first.result()[0].status == 200
        assert ask(port, "POST", "/detect", picture(102))[0].status == 200
        assert "tfod_memory_held_bytes 0.0" in ask(port, "GET", "/metrics")[1].decode()
    assert sum(detector.batches) == 2, "the five were never detected"


def test_memory_that_the_model_still_uses_is_not_handed_out() -> None:
    detector = SeesBrightness()
    detector.go.clear()
    with serving(detector) as port:
        connection = abandon(port, picture(100))
        while not detector.waiting:
            time.sleep(0.01)
        connection.close()
        time.sleep(0.3)
        figures = ask(port, "GET", "/metrics")[1].decode()
        assert "tfod_memory_held_bytes 0.0" not in figures
        detector.go.set()
        while "tfod_memory_held_bytes 0.0" not in ask(port, "GET", "/metrics")[1].decode():
            time.sleep(0.01)


def test_what_never_fits_is_refused_at_once() -> None:
    limits = Limits(memory_bytes=20 * 10**6)
    with serving(SeesBrightness(), limits) as port:
        response, body = ask(port, "POST", "/detect", picture(100, (2000, 1000)))
    assert response.status == 413
    assert "MB of memory" in json.loads(body)["error"]


def test_large_images_are_drawn_smaller() -> None:
    large = picture(200, (6000, 4000), compress_level=1)
    with serving(SeesBrightness(), Limits(memory_bytes=800 * 10**6)) as port:
        response, body = ask(port, "POST", "/detect?draw=1", large)
        assert response.status == 200
        assert Image.open(io.BytesIO(body)).size == (4898, 3265), "16 megapixels"
        (row,) = json.loads(ask(port, "POST", "/detect", large)[1])["images"]
        assert (row["width"], row["height"]) == (6000, 4000)


def test_a_memory_too_small_for_the_limits_is_refused_before_the_model_is_loaded() -> None:
    options = ServeOptions(limits=Limits(memory_bytes=400 * 10**6))
    with pytest.raises(UsageError) as caught:
        serve(Path("absent"), options)
    assert "--max_megapixels" in str(caught.value)
    advised = int(str(caught.value).split("expected:")[1].split()[0].replace(",", ""))
    options = ServeOptions(limits=Limits(memory_bytes=advised * 10**6), port=0)
    with pytest.raises(UsageError, match="There is no model here"):
        serve(Path("absent"), options)


def test_uses_are_admitted_in_order_and_small_ones_apart() -> None:
    async def scenario() -> list[str]:
        memory, order = Memory(400, small=20), []
        assert memory.largest == 300

        async def use(name: str, size: int, hold: asyncio.Event) -> None:
            async with memory.hold(size):
                order.append(name)
                await hold.wait()

        go = [asyncio.Event() for _ in range(3)]
        tasks = [
            asyncio.create_task(use("first", 200, go[0])),
            asyncio.create_task(use("second", 300, go[1])),  # waits for the first
            asyncio.create_task(use("third", 50, go[1])),  # would fit, but is after the second
            asyncio.create_task(use("gone", 300, go[1])),
            asyncio.create_task(use("small", 20, go[2])),
        ]
        await asyncio.sleep(0.01)
        assert (order, memory.used) == (["first", "small"], 220)
        tasks[3].cancel()
        go[0].set()
        await asyncio.sleep(0.01)
        assert (order, memory.used) == (["first", "small", "second"], 320)
        go[1].set()
        go[2].set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert memory.used == 0
        return order

    assert asyncio.run(scenario()) == ["first", "small", "second", "third"]


def test_one_that_is_given_up_lets_the_next_one_in() -> None:
    async def scenario() -> None:
        memory = Memory(400, small=0)
        async with memory.hold(200):
            blocked = asyncio.create_task(_held(memory, 300))
            await asyncio.sleep(0)
            next_one = asyncio.create_task(_held(memory, 100))
            await asyncio.sleep(0)
            assert not next_one.done()
            blocked.cancel()
            await asyncio.wait_for(next_one, 1)
        with contextlib.suppress(asyncio.CancelledError):
            await blocked
        assert memory.used == 0

    asyncio.run(scenario())


async def _held(memory: Memory, size: int) -> None:
    async with memory.hold(size):
        pass


def test_a_part_can_be_given_back_early() -> None:
    async def scenario() -> None:
        memory = Memory(400, small=0)
        async with memory.hold(300) as held:
            held.reduce(100)
            held.reduce(200)  # never grows
            assert memory.used == 100
            await asyncio.wait_for(_held(memory, 200), 1)
        assert memory.used == 0

    asyncio.run(scenario())


def test_a_single_client_never_waits_for_a_batch() -> None:
    with serving(SeesBrightness(), window_s=2.0) as port:
        start = time.perf_counter()
        for _ in range(3):
            assert ask(port, "POST", "/detect", picture(200))[0].status == 200
    assert time.perf_counter() - start < 1.5


def test_clients_who_were_answered_together_are_batched_again() -> None:
    detector = SeesBrightness()
    started = threading.Barrier(4)

    def client(port: int) -> None:
        started.wait()
        for _ in range(12):
            assert ask(port, "POST", "/detect", picture(200))[0].status == 200

    with serving(detector, window_s=0.2) as port, ThreadPoolExecutor(4) as pool:
        list(pool.map(client, [port] * 4))
    assert sum(detector.batches) == 48
    assert detector.batches.count(4) >= 8, detector.batches
