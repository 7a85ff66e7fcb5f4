"""`tfod serve` as a user starts it: a process of its own, a trained model, load, and its end."""

import collections
import io
import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from tfod import ENVIRONMENT, tfod
from trained import Trained

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


def test_an_address_that_is_taken(server: Server, trained: Trained) -> None:
    port = server.address.rsplit(":", 1)[1]
    printed = tfod("serve", trained.export, "--port", port, code=2)
    assert "cannot listen" in printed
    assert port in printed


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
