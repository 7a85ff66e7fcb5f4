import json
from pathlib import Path

import pytest
from PIL import Image
from tfod import tfod
from trained import Trained

from tfod_kit import benchmarking
from tfod_kit.benchmarking import BenchmarkOptions, ModelBenchmark

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
    ),
    ModelBenchmark("run", error="The checkpoint is missing.\n  where: run"),
]


def test_the_table_has_a_line_a_model_and_says_what_failed() -> None:
    head, first, second, *why = benchmarking.table(ROWS).splitlines()
    assert head.split()[:5] == ["MODEL", "RUNTIME", "p50", "ms", "p90"]
    told = "run/export saved_model 10.6 13.3 16.5 72.6 74.0 974 MiB 8.0 MiB 0.823 0.976"
    assert " ".join(first.split()) == told
    assert second.split() == ["run", "failed", *"---------"]
    assert why[0] == "run: The checkpoint is missing."


def test_the_figures_come_back_as_they_were(tmp_path: Path) -> None:
    benchmarking.save(ROWS, BenchmarkOptions(), tmp_path)
    assert benchmarking.load(tmp_path / benchmarking.RESULTS) == ROWS
    document = json.loads((tmp_path / benchmarking.RESULTS).read_text())
    assert document["models"][0]["pictures"] == 120, "the key that earlier versions wrote"
    assert document["machine"]["cores"] >= 1
    for name in (benchmarking.LATENCY, benchmarking.THROUGHPUT):
        assert Image.open(tmp_path / name).width > 300


def test_without_any_figures_there_are_no_charts(tmp_path: Path) -> None:
    benchmarking.save(ROWS[1:], BenchmarkOptions(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [benchmarking.RESULTS]


@pytest.mark.slow
def test_a_model_is_measured_and_another_that_is_none_is_told(
    trained: Trained, tmp_path: Path
) -> None:
    printed = tfod(
        *("benchmark", trained.export, tmp_path, "--records", trained.records, "--limit", 20),
        *("--calls", 5, "--batch_sizes", "1,2", "--out", tmp_path / "out"),
        code=1,
    )
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
