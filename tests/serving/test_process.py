"""`tfod serve` as a user starts it: a process of its own, a trained model, load, and its end."""

import collections
import dataclasses
import io
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tfod import ENVIRONMENT, tfod
from trained import Trained

from tfod_kit import detectors
from tfod_kit.serving.server import listen

pytestmark = pytest.mark.slow


class Server:
    """The running process, its address, and what it printed up to then."""

    def __init__(self, export: Path) -> None:
        command = [sys.executable, "-m", "tfod_kit", "serve", str(export), "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--max_requests", "8", "--max_mb", "60"],
            env=ENVIRONMENT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.printed = ""
        for line in self.process.stdout or ():
            self.printed += line
            if line.startswith("Try:"):
                break
        found = re.search(r"http://\S+(?=\n)", self.printed)
        assert found, self.printed
        self.address = found[0]

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.address + path, timeout=60) as answer:
            return answer.read().decode()

    def post(self, data: bytes, min_score: float) -> str:
        request = urllib.request.Request(f"{self.address}/detect?min_score={min_score}", data)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def detect(self, data: bytes) -> tuple[int, list[object]]:
        """The status, and the objects found as (label, box in px, score)."""
        request = urllib.request.Request(f"{self.address}/detect?min_score=0.3", data)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                (row,) = json.load(answer)["images"]
        except urllib.error.HTTPError as error:
            return error.code, []
        return 200, [(d["label"], d["pixels"], round(d["score"], 3)) for d in row["detections"]]

    def memory_mb(self) -> float:
        figures = self.get("/metrics")
        found = re.search(r"^process_resident_memory_bytes (\S+)$", figures, re.MULTILINE)
        assert found, figures
        return float(found[1]) / 1e6


@pytest.fixture(scope="module")
def server(trained: Trained) -> Iterator[Server]:
    running = Server(trained.export)
    yield running
    running.process.kill()
    running.process.wait()


def test_under_load_nothing_is_lost_and_memory_stays(server: Server, trained: Trained) -> None:
    pictures = [path.read_bytes() for path in sorted((trained.data / "unseen").glob("*.jpg"))[:20]]
    alone = [server.detect(data)[1] for data in pictures]
    assert sum(map(len, alone)) > 10, "the answers say something"
    statuses: collections.Counter[int] = collections.Counter()

    def insist(place: int) -> bool:
        """Whether the answer is the same as without load; comes back as long as it is told to."""
        while True:
            status, found = server.detect(pictures[place % len(pictures)])
            statuses[status] += 1
            if status != 503:
                return found == alone[place % len(pictures)]
            time.sleep(0.05)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(insist, range(100)))
        before = server.memory_mb()
        assert all(pool.map(insist, range(300)))
    assert set(statuses) == {200, 503}, "more at once than the service takes"
    assert statuses[200] == 400
    assert server.memory_mb() < before + 30
    assert "tfod_requests_under_way 0.0" in server.get("/metrics")


def test_answers_are_those_of_the_model_itself(server: Server, trained: Trained) -> None:
    """The service resizes before the model, and rounds to whole levels; nothing else differs."""
    detector = detectors.load(trained.export)
    for path in sorted((trained.data / "unseen").glob("*.jpg"))[:4]:
        with Image.open(path) as image:
            large = image.convert("RGB").resize((1600, 1200))
        stream = io.BytesIO()
        large.save(stream, "PNG")
        answer = json.loads(server.post(stream.getvalue(), 0.1))["images"][0]["detections"]
        (expected,) = detector.detect([np.asarray(large)], min_score=0.1)
        sure = [item for item in expected if (item.score or 0) > 0.2]
        assert len(answer) >= len(sure) > 0
        for item in sure:
            assert any(
                row["label"] == item.label
                and row["score"] == pytest.approx(item.score, abs=0.02)
                and row["box"] == pytest.approx(dataclasses.astuple(item.box), abs=0.01)
                for row in answer
            ), (item, answer)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory in /proc")
def test_the_memory_that_the_start_states_is_kept_to(server: Server) -> None:
    found = re.search(r"Memory: ([\d,]+) MB .* 1,000 MB for requests: ([\d,]+) MB", server.printed)
    assert found, server.printed
    model, total = (int(text.replace(",", "")) for text in found.groups())
    assert 100 < model < 3000
    assert abs(total - model - 1000) <= 1
    stream = io.BytesIO()
    Image.effect_noise((900, 650), 80).resize((7200, 5200)).save(stream, "JPEG")
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(server.detect, stream.getvalue()) for _ in range(4)]
        assert [each.result()[0] for each in asked] == [200] * 4
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    peak = int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024 / 1e6
    assert peak < total


def test_an_address_that_is_taken(server: Server, trained: Trained) -> None:
    port = server.address.rsplit(":", 1)[1]
    printed = tfod("serve", trained.export, "--port", port, code=2)
    assert "cannot listen" in printed
    assert port in printed


def test_answers_are_sent_without_delay() -> None:
    """asyncio sets TCP_NODELAY on the connections of a socket whose protocol is stated."""
    with listen("127.0.0.1", 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP


def test_a_stop_answers_what_is_under_way(server: Server) -> None:
    """Last of this file: afterwards the service is gone."""
    stream = io.BytesIO()
    Image.effect_noise((5000, 4000), 60).save(stream, "PNG")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.detect, stream.getvalue())
        while "tfod_requests_under_way 0.0" in server.get("/metrics"):
            assert not asked.done()
        server.process.send_signal(signal.SIGTERM)
        assert asked.result()[0] == 200
    rest, _ = server.process.communicate(timeout=20)
    assert (server.process.returncode, rest) == (0, "Stopped\n")
