from pathlib import Path

import pytest

from tfod_kit.errors import CheckpointError
from tfod_kit.runs import checkpoints


def put(folder: Path, *names: str) -> None:
    """Writes the two files of each checkpoint, empty: only their names count here."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.index").touch()
        (folder / f"{name}.data-00000-of-00001").touch()


def test_available_is_sorted_by_number_not_by_name(tmp_path: Path) -> None:
    put(tmp_path, "ckpt-1000", "ckpt-9", "ckpt-200")
    names = [prefix.name for prefix in checkpoints.available(tmp_path)]
    assert names == ["ckpt-9", "ckpt-200", "ckpt-1000"]


def test_a_checkpoint_without_its_data_is_not_offered(tmp_path: Path) -> None:
    put(tmp_path, "ckpt-1", "ckpt-2")
    (tmp_path / "ckpt-2.data-00000-of-00001").unlink()
    assert checkpoints.latest(tmp_path) == tmp_path / "ckpt-1"


def test_the_state_file_says_which_is_latest(tmp_path: Path) -> None:
    put(tmp_path, "ckpt-5000", "ckpt-4")
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/ckpt-4"\n')
    assert checkpoints.latest(tmp_path) == tmp_path / "ckpt-4"


def test_a_state_file_that_names_what_is_gone_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "ckpt-3")
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "ckpt-7"\n')
    assert checkpoints.latest(tmp_path) == tmp_path / "ckpt-3"


@pytest.mark.parametrize(
    "given",
    ["run", "run/ckpt-7", "run/ckpt-7.index", "run/ckpt-7.data-00000-of-00001"],
)
def test_resolve_takes_whatever_names_a_checkpoint(tmp_path: Path, given: str) -> None:
    put(tmp_path / "run", "ckpt-7")
    assert checkpoints.resolve(tmp_path / given) == tmp_path / "run" / "ckpt-7"


def test_resolve_finds_the_checkpoint_folder_of_a_zoo_archive(tmp_path: Path) -> None:
    put(tmp_path / "checkpoint", "ckpt-0")
    assert checkpoints.resolve(tmp_path) == tmp_path / "checkpoint" / "ckpt-0"


def test_a_missing_checkpoint_names_those_that_are_there(tmp_path: Path) -> None:
    put(tmp_path, "ckpt-1", "ckpt-2")
    with pytest.raises(CheckpointError) as caught:
        checkpoints.resolve(tmp_path / "ckpt-3")
    assert "ckpt-1, ckpt-2" in str(caught.value)


def test_an_empty_folder_says_to_train_first(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="tfod train"):
        checkpoints.resolve(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, "ckpt-20"),
        ("latest", "ckpt-20"),
        ("best", "best/ckpt-10"),
        ("ckpt-7", "ckpt-7"),
        ("7", "ckpt-7"),
        (Path("ckpt-7"), "ckpt-7"),
    ],
)
def test_a_run_s_checkpoint_is_chosen_by_name(
    tmp_path: Path, name: str | Path | None, expected: str
) -> None:
    put(tmp_path, "ckpt-7", "ckpt-20")
    put(tmp_path / "best", "ckpt-10")
    assert checkpoints.choose(tmp_path, name) == tmp_path / expected


def test_a_checkpoint_elsewhere_is_chosen_by_its_path(tmp_path: Path) -> None:
    put(tmp_path / "run", "ckpt-7")
    put(tmp_path / "other", "ckpt-9")
    assert checkpoints.choose(tmp_path / "run", tmp_path / "other" / "ckpt-9") == (
        tmp_path / "other" / "ckpt-9"
    )


def test_a_missing_best_checkpoint_is_explained(tmp_path: Path) -> None:
    put(tmp_path, "ckpt-7")
    with pytest.raises(CheckpointError, match="--no_evaluate"):
        checkpoints.choose(tmp_path, "best")


def test_a_checkpoint_that_a_training_deletes_while_it_is_read_gives_way_to_the_next(
    tmp_path: Path,
) -> None:
    put(tmp_path, "ckpt-1", "ckpt-2")
    seen: list[str] = []

    def read(prefix: Path) -> str:
        seen.append(prefix.name)
        if prefix.name == "ckpt-2":
            put(tmp_path, "ckpt-3")
            for path in checkpoints.parts(prefix):
                path.unlink()
            raise CheckpointError("It is gone.")
        return prefix.name

    assert checkpoints.read_steadily(tmp_path, None, read) == "ckpt-3"
    assert seen == ["ckpt-2", "ckpt-3"]


def test_a_checkpoint_that_stays_as_it_is_is_read_once(tmp_path: Path) -> None:
    put(tmp_path, "ckpt-1")
    seen: list[Path] = []

    def read(prefix: Path) -> None:
        seen.append(prefix)
        raise CheckpointError("It is damaged.")

    with pytest.raises(CheckpointError, match="damaged"):
        checkpoints.read_steadily(tmp_path, "latest", read)
    assert len(seen) == 1
