import json
from pathlib import Path

import pytest
from PIL import Image
from tfod import tfod
from trained import Trained

from tfod_kit import benchmarking
from tfod_kit.benchmarking import BenchmarkOptions, ModelBenchmark
from tfod_kit.errors import UsageError

ROWS = [
    ModelBenchmark(
        "run/export",
        "saved_model",
        4.5,
        {"p50": 10.6, "p90": 13.34, "p99": 16.5},
        {1: 72.62, 16: 74.0},
        974 * 2**20,
        8 * 2**20,
        0.8234,
        0.976,
        120,
        threads=2,
    ),
    ModelBenchmark("run", error="The checkpoint is missing.\n  where: run"),
]


def test_the_table_has_a_line_a_model_and_says_what_failed() -> None:
    head, first, second, *why = benchmarking.table(ROWS).splitlines()
    assert head.split()[:6] == ["MODEL", "RUNTIME", "CORES", "p50", "ms", "p90"]
    told = "run/export saved_model 2 10.6 13.3 16.5 72.6 74.0 974 MiB 8.0 MiB 0.823 0.976"
    assert " ".join(first.split()) == told
    assert second.split() == ["run", "failed", *"----------"]
    assert why[0] == "run: The checkpoint is missing."


def test_the_figures_come_back_as_they_were(tmp_path: Path) -> None:
    benchmarking.save(ROWS, BenchmarkOptions(), tmp_path)
    assert benchmarking.load(tmp_path / benchmarking.RESULTS) == ROWS
    document = json.loads((tmp_path / benchmarking.RESULTS).read_text())
    assert document["models"][0]["pictures"] == 120, "the key that earlier versions wrote"
    assert document["machine"]["cores"] >= 1
    assert document["take"] | {"why": ""} == {"model": "run/export", "threads": 2, "why": ""}
    assert document["fronts"]["size"] == [{"model": "run/export", "threads": 2}]
    for name in benchmarking.CHARTS:
        assert Image.open(tmp_path / name).width > 300
    page = (tmp_path / benchmarking.PAGE).read_text()
    assert page.count("<svg") == len(benchmarking.CHARTS)
    assert "The checkpoint is missing." in page


def test_without_any_figures_there_are_no_charts(tmp_path: Path) -> None:
    benchmarking.save(ROWS, BenchmarkOptions(), tmp_path)
    benchmarking.save(ROWS[1:], BenchmarkOptions(), tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [benchmarking.PAGE, benchmarking.RESULTS]


def _row(name: str, map_: float | None, ms: float, mib: float, threads: int = 1) -> ModelBenchmark:
    return ModelBenchmark(
        name, "tflite", 1.0, {"p50": ms, "p90": ms, "p99": ms}, {1: 1000 / ms}, 2**20,
        round(mib * 2**20), map_, map_, 0 if map_ is None else 50, threads=threads,
    )  # fmt: skip


FLOAT, HALF = _row("r/float", 0.550, 40, 12), _row("r/half", 0.549, 41, 6)
INT8, TINY = _row("r/int8", 0.541, 10, 3), _row("r/tiny", 0.3, 2, 0.5)
WORSE = _row("r/worse", 0.2, 50, 20)


def test_a_front_has_what_nothing_else_beats_from_the_cheapest_up() -> None:
    rows = [WORSE, FLOAT, HALF, INT8, TINY, ModelBenchmark("r/no", error="no")]
    assert benchmarking.front(rows, lambda row: row.latency_ms["p50"]) == [TINY, INT8, FLOAT]
    assert benchmarking.front(rows, lambda row: row.size_bytes) == [TINY, INT8, HALF, FLOAT]
    assert benchmarking.front([_row("a", None, 1, 1)], lambda row: row.size_bytes) == []


@pytest.mark.parametrize(
    ("rows", "loss", "taken", "why"),
    [
        ([WORSE, FLOAT, HALF, INT8, TINY], 0.01, INT8, "0.009 below the best (r/float), 4.0 times"),
        ([WORSE, FLOAT, HALF, INT8, TINY], 0.005, HALF, "with the same time and 2.0 times as sma"),
        ([WORSE, FLOAT, INT8, TINY], 0.0, FLOAT, "the best mAP, and nothing as good is faster"),
        (
            [FLOAT, _row("r/big", 0.545, 20, 24)],
            0.01,
            _row("r/big", 0.545, 20, 24),
            "2.0 times the",
        ),
        ([_row("a", None, 9, 1), _row("b", None, 5, 9)], 0.01, _row("b", None, 5, 9), "--records"),
        ([INT8], 0.01, INT8, "nothing else was measured"),
    ],
)
def test_it_says_which_model_to_take_and_why(
    rows: list[ModelBenchmark], loss: float, taken: ModelBenchmark, why: str
) -> None:
    choice = benchmarking.choice(rows, loss)
    assert choice is not None
    assert choice.row == taken
    assert why in str(choice)
    assert "\n" not in str(choice)


def test_nothing_measured_means_nothing_to_take() -> None:
    assert benchmarking.choice([ModelBenchmark("a", error="no")], 0.01) is None


def test_the_charts_name_the_cores_where_they_differ(tmp_path: Path) -> None:
    rows = [_row("r/a", 0.5, 4, 1, 1), _row("r/a", 0.5, 2.5, 1, 2), _row("r/b", 0.4, 2, 1, 2)]
    benchmarking.save(rows, BenchmarkOptions(), tmp_path)
    page = (tmp_path / benchmarking.PAGE).read_text()
    for name in ("a, 1 core", "a, 2 cores", "b, 2 cores"):
        assert name in page
    assert benchmarking.load(tmp_path / benchmarking.RESULTS) == rows


def test_a_run_stands_for_its_checkpoint_and_its_exports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("export-tflite/model.tflite", "several/onnx/model.onnx", "export-tfjs/model.pb"):
        file = tmp_path / "run" / name
        file.parent.mkdir(parents=True)
        file.touch()
        (file.parent / "model.json").write_text("{}")
    (tmp_path / "run" / "pipeline.config").touch()
    run, tflite = tmp_path / "run", tmp_path / "run" / "export-tflite"
    models = benchmarking.with_exports([run, tflite, tmp_path / "elsewhere"])
    assert models == [run, tflite, run / "several" / "onnx", tmp_path / "elsewhere"]
    assert "Not measured" in capsys.readouterr().err


def test_more_cores_than_there_are(tmp_path: Path) -> None:
    options = BenchmarkOptions(threads=(1, 9999))
    with pytest.raises(UsageError, match="fewer cores"):
        benchmarking.benchmark([tmp_path], options, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_model_is_measured_and_another_that_is_none_is_told(
    trained: Trained, tmp_path: Path
) -> None:
    printed = tfod(
        *("benchmark", trained.export, tmp_path, "--records", trained.records, "--limit", 20),
        *("--calls", 5, "--batch_sizes", "1,2", "--out", tmp_path / "out", "--threads", "1"),
        code=1,
    )
    assert f"Take {trained.export}: mAP 0." in printed
    assert "There is no model here." in printed
    row, failed = benchmarking.load(tmp_path / "out" / benchmarking.RESULTS)
    assert row.runtime == "saved_model"
    assert 0 < row.latency_ms["p50"] <= row.latency_ms["p90"] <= row.latency_ms["p99"] < 60_000
    assert row.throughput.keys() == {1, 2}
    assert min(row.throughput.values()) > 0.1
    assert 200 * 2**20 < row.memory_bytes < 16 * 2**30, "TensorFlow alone takes some hundred"
    files = [path for path in (trained.export / "saved_model").rglob("*") if path.is_file()]
    assert row.size_bytes == sum(path.stat().st_size for path in files)
    assert row.images == 20
    assert row.map50 is not None
    assert 0.1 < row.map50 <= 1
    assert failed.error
    assert row.threads == 1, "the process could use a single core"
