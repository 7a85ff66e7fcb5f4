"""The trials of a soak that need a model, which is trained for two steps and exported once."""

import io
import random
import re
import shutil
import signal
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from samples import encoded
from small_records import write_records

from soak.faults import Counts, Fault, listing
from soak.trials import Workplace, end, output, send, start

MODEL_LIMIT_S = 1800
_CLIENTS, _REQUESTS = 8, 25
_ALLOWED = frozenset({200, 400, 404, 405, 408, 413, 415, 422, 429, 503})
_SERVING = ("--port", 0, "--max_requests", 8)


def configured(work: Workplace) -> Path:
    """A run folder of a model in which a step takes a tenth of a second; trained for two steps."""
    if work.model is None:
        records = write_records(work.folder / "records", train=16)
        size = "model.ssd.image_resizer.fixed_shape_resizer"
        run = work.folder / "run"
        words = ("configure", "ssd_cpu", "--records", records, "--out", run)
        sizes = ("--set", f"{size}.height=96", "--set", f"{size}.width=96")
        end(start(*words, "--batch_size", 4, "--steps", 60, *sizes))
        trained = run.with_name("trained")
        shutil.copytree(run, trained)
        end(start("train", trained, "--steps", 2, "--no_evaluate"), (0,), MODEL_LIMIT_S)
        exported = ("export", trained, "--target", "tflite", "--out", run.with_name("export"))
        end(start(*exported, "--no_parity"), (0,), MODEL_LIMIT_S)
        work.model = run
    return work.model


def killed_training(work: Workplace) -> Counts:
    """A training is killed and resumed; meanwhile a second one in its folder is refused."""
    run = work.folder / "killed"
    shutil.copytree(configured(work), run)
    counts: Counts = Counter()
    try:
        words = ("train", run, "--steps", 60, "--checkpoint_every", 10, "--keep", 2)
        for _ in range(work.dice.randrange(1, 4)):
            process = start(*words)
            time.sleep(work.dice.uniform(4, 25))
            if work.dice.random() < 0.3 and process.poll() is None:
                second = start(*words)
                printed = end(second, (0, 2), MODEL_LIMIT_S)
                counts["pairs at once"] += 1
                if second.returncode == 0 and process.poll() is None:
                    raise Fault("torn", f"two trainings in one folder: {printed}")
            counts["kills"] += send(process, signal.SIGKILL)
            end(process, (0, -signal.SIGKILL))
        end(start(*words), (0,), MODEL_LIMIT_S)
        if not list(run.glob("ckpt-60.index")):
            raise Fault("torn", f"the resumed training has no last checkpoint: {listing(run)}")
    finally:
        shutil.rmtree(run)
    return counts


def two_predictions(work: Workplace) -> Counts:
    """Two predictions into one folder, one of them killed: the next one is whole."""
    export = configured(work).with_name("export")
    with output(work) as out:
        words = ("predict", export, work.data, "--out", out, "--min_score", 0.01)
        pair = []
        for _ in range(2):
            pair.append(start(*words))
            time.sleep(work.dice.uniform(0, 2))
        killed = send(pair[0], signal.SIGKILL) if work.dice.random() < 0.5 else 0
        for process in pair:
            end(process, (0, 2, -signal.SIGKILL))
        end(start(*words))
        listed = len(list(out.glob("*.jpg")))
        if listed != len(list(work.data.glob("*.jpg"))):
            raise Fault("torn", f"{listed} images are drawn: {listing(out)}")
    return Counter({"kills": killed, "pairs at once": 1})


def served_load(work: Workplace) -> Counts:
    """Clients send images, damaged ones and half requests at once; the service outlives them."""
    export = configured(work).with_name("export")
    process = start("serve", export, *_SERVING)
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if line.startswith("Try:"):
            break
    found = re.search(r"http://[^\s/]+", "".join(lines))
    if found is None:
        raise Fault("tracebacks", f"the service does not start: {''.join(lines)}")
    answers: Counter[int] = Counter()
    seeds = [work.dice.getrandbits(32) for _ in range(_CLIENTS)]
    clients = [
        threading.Thread(target=_client, args=(found[0], random.Random(seed), answers))
        for seed in seeds
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    wrong = {status: count for status, count in answers.items() if status not in _ALLOWED}
    if process.poll() is not None or wrong:
        end(process)
        raise Fault("tracebacks", f"the service answered {wrong}, and ended with {process.poll()}")
    send(process, signal.SIGTERM)
    end(process, (0, 143, -signal.SIGTERM))
    return Counter({"requests": answers.total(), "answered": answers[200]})


def _client(address: str, dice: random.Random, answers: Counter[int]) -> None:
    for _ in range(_REQUESTS):
        data = _picture(dice)
        if dice.random() < 0.4:
            at = dice.randrange(len(data))
            data = data[:at] + dice.randbytes(dice.randrange(20)) + data[at + dice.randrange(40) :]
        path = dice.choice(("/detect", "/detect", "/detect", "/detect?min_score=x", "/nowhere"))
        request = urllib.request.Request(address + path, data)
        try:
            with urllib.request.urlopen(
                request, timeout=60 if dice.random() < 0.9 else 0.05
            ) as got:
                got.read()
                answers[got.status] += 1
        except urllib.error.HTTPError as error:
            answers[error.code] += 1
        except OSError:  # this client hung up
            answers[200] += 0


def _picture(dice: random.Random) -> bytes:
    if dice.random() < 0.9:
        return encoded("JPEG", dice.randrange(20, 200), dice.randrange(20, 200))
    stream = io.BytesIO()
    Image.new("RGB", (dice.randrange(500, 4000), dice.randrange(500, 3000))).save(stream, "JPEG")
    return stream.getvalue()


MODEL_TRIALS: dict[str, tuple[Callable[[Workplace], Counts], float]] = {
    "killed training": (killed_training, 0.15),
    "two predictions": (two_predictions, 0.25),
    "served load": (served_load, 0.15),
}
"""As `trials.TRIALS`."""
