"""Requests per second, waiting times and memory of `tfod serve` beside the plain loop.

    python benchmarks/serve.py [--export FOLDER] [--size 640x480] [--seconds 8] [--rounds 3]

The plain loop is what a script does without a server: open a JPEG, call the signature of the same
SavedModel, read its outputs, one image at a time. Loop and service run by turns, on the same
images; the clients run on the same cores as the service. Then 16 clients send large images (39
megapixels) at once, beside one that sends small images, while the memory is read. Without
--export, a small SSD is trained for some steps and exported first. Exits with 1 when 8 clients get
less than 3 times the loop's rate, one client less than the loop's, or the memory exceeds its bound.
"""

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image
from predict import TFOD, draw_pictures, exported

LEAST_MANY, LEAST_ONE = 3.0, 1.0
LARGE = (7216, 5412)  # px: 39 megapixels

LOOP = """
import sys, time
from pathlib import Path
import numpy as np
from PIL import Image
from tfod_kit import compat
compat.activate()
import tensorflow as tf
export, images, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
detect_fn = tf.saved_model.load(str(export / "saved_model")).signatures["serving_default"]

def look(path):
    tensor = tf.convert_to_tensor(np.array(Image.open(path)))[tf.newaxis, ...]
    return {name: value[0].numpy() for name, value in detect_fn(tensor).items()}

paths = sorted(images.iterdir())
for path in paths[:5]:
    look(path)
print("READY", flush=True)
for _ in sys.stdin:
    start, cpu, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < seconds:
        look(paths[count % len(paths)])
        count += 1
    cpu = time.process_time() - cpu
    print(count / (time.perf_counter() - start), cpu / count, flush=True)
"""


class Loop:
    """The plain loop in a process of its own."""

    def __init__(self, export: Path, images: Path, seconds: float) -> None:
        command = [sys.executable, "-c", LOOP, str(export), str(images), str(seconds)]
        self.process = subprocess.Popen(
            command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        while self._line() != "READY":
            pass

    def run(self) -> tuple[float, float]:
        """Images per second, and processor seconds an image."""
        assert self.process.stdin is not None
        print("go", file=self.process.stdin, flush=True)
        rate, cpu = map(float, self._line().split())
        return rate, cpu

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit("The loop ended.")
        return line.strip()


class Server:
    """`tfod serve` in a process of its own."""

    def __init__(self, export: Path, memory_mb: int, model_threads: int | None) -> None:
        command = [*TFOD, "serve", str(export), "--port", "0", "--memory", str(memory_mb)]
        if model_threads is not None:
            command += ["--model_threads", str(model_threads)]
        self.process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE)
        for line in self.process.stdout or ():
            if match := re.search(r"Serving on http://127\.0\.0\.1:(\d+)", line):
                self.port = int(match[1])
            if line.startswith("Try"):
                return
        sys.exit("The service did not start.")

    def memory_mb(self, what: str = "VmRSS") -> float:
        """The memory now, or with "VmHWM" its peak since `forget_peak`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(rf"{what}:\s+(\d+) kB", status)[0]) * 1024 / 1e6

    def cpu_s(self) -> float:
        """Processor seconds so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


class Client:
    """One connection that is kept open. Cheap, so that clients leave the cores to the service."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        # As HTTP libraries do: otherwise the end of a request waits for up to 40 ms for the
        # acknowledgement of its start.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, data: bytes) -> int:
        """Sends an image; returns the status."""
        head = f"POST /detect HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
        self.socket.sendall(head.encode() + data)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        top, _, body = received.partition(b"\r\n\r\n")
        length = int(re.findall(rb"content-length: (\d+)", top.lower())[0])
        while len(body) < length:
            body += self._more()
        if top[9:12] == b"200":
            json.loads(body)
        return int(top[9:12])

    def _more(self) -> bytes:
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("The service closed the connection.")
        return part


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--export", type=Path, help="what `tfod export --any_batch` wrote")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, default=1000, help="MB; as of tfod serve")
    parser.add_argument("--model_threads", type=int, help="as of tfod serve")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        export = args.export or exported(folder, "--any_batch")
        draw_pictures(folder, 64, (width, height))
        images = [path.read_bytes() for path in sorted((folder / "pictures").iterdir())]
        server = Server(export, args.memory, args.model_threads)
        loop = Loop(export, folder / "pictures", args.seconds)
        try:
            fast = throughput(server, loop, images, args)
            bounded = large_images(server, folder, images, args.memory)
        finally:
            for process in (server.process, loop.process):
                process.terminate()
                process.wait()
    return int(not (fast and bounded))


def throughput(
    server: Server, loop: Loop, images: Sequence[bytes], args: argparse.Namespace
) -> bool:
    names = ("the loop", "1 client", "8 clients")
    rounds: list[list[tuple[float, float]]] = []
    for _ in range(args.rounds):
        figures = [loop.run()]
        for clients in (1, 8):
            cpu = server.cpu_s()
            count = len(load(server.port, images, clients, args.seconds))
            figures.append((count / args.seconds, (server.cpu_s() - cpu) / count))
        rounds.append(figures)
    rates, cpu = (
        [statistics.median(figures[index][what] for figures in rounds) for index in range(3)]
        for what in (0, 1)
    )
    print(f"images of {args.size}, medians of {args.rounds}:")
    for name, rate, seconds in zip(names, rates, cpu, strict=True):
        print(
            f"  {name}: {rate:.1f} images/s, {rate / rates[0]:.2f} times the loop; "
            f"{seconds * 1000:.1f} ms of processor time an image"
        )
    return rates[1] / rates[0] >= LEAST_ONE and rates[2] / rates[0] >= LEAST_MANY


def large_images(server: Server, folder: Path, images: Sequence[bytes], memory_mb: int) -> bool:
    with Image.open(folder / "pictures" / "00000.jpg") as small:
        small.resize(LARGE).save(folder / "large.jpg", quality=90)
    large = (folder / "large.jpg").read_bytes()
    alone = load(server.port, images, 1, 5.0)
    server.forget_peak()
    before = server.memory_mb()
    beside: list[float] = []

    def send_small() -> None:
        beside.extend(load(server.port, images, 1, until=lambda: ended.is_set()))

    ended = threading.Event()
    small_client = threading.Thread(target=send_small)
    small_client.start()
    start = time.perf_counter()
    times = load(server.port, [large], 16, until=lambda: time.perf_counter() - start > 1.0)
    seconds = time.perf_counter() - start
    ended.set()
    small_client.join()
    peak = server.memory_mb("VmHWM")
    time.sleep(3)
    print(
        f"{len(times)} images of {LARGE[0]}x{LARGE[1]} ({len(large) / 1e6:.1f} MB) by 16 clients: "
        f"{len(times) / seconds:.2f}/s\n"
        f"one client with small images: p99 {p99(alone):.0f} ms alone, "
        f"{p99(beside):.0f} ms beside them ({len(beside)} requests)\n"
        f"memory: {before:.0f} MB before, {peak:.0f} MB at the peak, "
        f"{server.memory_mb():.0f} MB three seconds after; bound: {before + memory_mb:.0f} MB"
    )
    return peak <= before + memory_mb


def load(
    port: int,
    images: Sequence[bytes],
    clients: int,
    seconds: float = 0.0,
    *,
    until: Callable[[], bool] | None = None,
) -> list[float]:
    """The time of each request, in seconds, of clients that ask without a pause."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    over = until or (lambda: time.perf_counter() >= end)

    def run(number: int) -> None:
        client = Client(port)
        turn = number
        while not over():
            start = time.perf_counter()
            status = client.ask(images[turn % len(images)])
            if status == 200:
                times.append(time.perf_counter() - start)
            elif status != 503:
                raise RuntimeError(f"status {status}")
            turn += clients

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def p99(times: Sequence[float]) -> float:
    """In milliseconds."""
    return sorted(times)[int(len(times) * 0.99)] * 1000


if __name__ == "__main__":
    sys.exit(main())
