"""What the doctor reports about a machine: Python, packages, memory, disk, home."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from segmentation_pipeline.doctor import machine
from segmentation_pipeline.model import Memory

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS = {"numpy": "2.1.0", "pandas": "3.0.1"}


def _version(name: str) -> str:
    if name not in VERSIONS:
        raise metadata.PackageNotFoundError(name)
    return VERSIONS[name]


@pytest.mark.parametrize(("version", "ok"), [((3, 11, 0), True), ((3, 14, 1), True), ((3, 10, 12), False)])
def test_an_old_python_is_a_problem(version: tuple[int, ...], ok: bool) -> None:
    """3.11 is the oldest that works."""
    check = machine.check_python(version)

    assert (check.ok, check.found) == (ok, ".".join(map(str, version)))
    assert "Python 3.11 or newer" in check.fix


def test_packages_within_their_ranges_are_well() -> None:
    """Requirements of extras and of other systems do not count; versions that were not tested are reported."""
    wanted = ["numpy>=2.0", "pandas>=3", "gone>=1; extra == 'ui'", "gone; sys_platform == 'nowhere'"]

    assert machine.check_packages(wanted, version_of=_version).found == "2 of 2 there"
    tested = "numpy==2.1.0 \\\n  --hash=sha256:0\npandas==3.0.1 ; python_version >= '3'\npandas==2 ; python_version < '3'\nabsent==1\n"
    assert (
        machine.check_packages(wanted, tested, version_of=_version).found
        == "2 of 2 there, and 2 in all in the versions that were tested"
    )
    other = machine.check_packages(wanted, tested.replace("2.1.0", "2.2.0"), version_of=_version)
    assert (other.ok, other.found) == (True, "2 of 2 there; not the tested version: numpy 2.1.0 (tested: 2.2.0)")


def test_a_missing_or_wrong_package_is_a_problem_with_the_command() -> None:
    """What is missing and what is outside its range come with one command that repairs both."""
    check = machine.check_packages(["numpy>=2.2", "pandas>=3", "kmedoids>=0.5"], version_of=_version)

    assert not check.ok
    assert check.found == "numpy is 2.1.0, wanted >=2.2; kmedoids is missing"
    assert check.fix == "pip install 'numpy>=2.2' 'kmedoids>=0.5'"


@pytest.mark.parametrize(
    ("memory", "ok", "found"),
    [
        (Memory("this machine", 8_000_000_000, 4_000_000_000), True, "4.0 GB left of the 8.0 GB of this machine"),
        (Memory("this container", 512_000_000, 200_000_000), False, "200 MB left of the 512 MB of this container"),
        (None, True, "this system does not say how much is left"),
    ],
)
def test_too_little_memory_is_a_problem(memory: Memory | None, ok: bool, found: str) -> None:
    """Below half a gigabyte even a small fit may be killed; the message names the limit."""
    check = machine.check_memory(memory)

    assert (check.ok, check.found) == (ok, found)


def test_a_memory_limit_that_is_not_a_size_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor reports the limit that a run would refuse."""
    monkeypatch.setenv("SEGMENTATION_MEMORY_LIMIT", "lots")
    check = machine.check_own_memory()

    assert not check.ok
    assert "SEGMENTATION_MEMORY_LIMIT is 'lots'" in check.found


def test_a_home_that_is_not_there_yet_is_no_problem(tmp_path: Path) -> None:
    """It is created by the first run, and the check does not create it."""
    folder, disk = machine.check_home(tmp_path / "new" / "home", free=lambda _: 2_000_000_000)

    assert (folder.ok, folder.found) == (True, f"{tmp_path / 'new' / 'home'} is created by the first run")
    assert (disk.ok, disk.found) == (True, "2.0 GB free for artifacts")
    assert not (tmp_path / "new").exists()


def test_an_open_home_and_a_full_disk_are_problems(tmp_path: Path) -> None:
    """The mode is reported with the command that closes the folder, a nearly full disk with the way to make room."""
    tmp_path.chmod(0o755)
    folder, disk = machine.check_home(tmp_path, free=lambda _: 3_000_000)

    assert (folder.ok, folder.found, folder.fix) == (
        False,
        f"{tmp_path} is open to everybody (mode 755)",
        f"chmod 700 {tmp_path}",
    )
    assert (disk.ok, disk.found) == (False, "3 MB free for artifacts")
    assert "segmentation gc NAME" in disk.fix


def test_a_file_in_the_way_of_a_folder_is_a_problem(tmp_path: Path) -> None:
    """A folder below a file cannot be written."""
    (tmp_path / "home").write_text("")
    check = machine.check_artifacts(tmp_path / "home" / "artifacts")

    assert (check.ok, check.found) == (False, f"{tmp_path / 'home'} cannot be written")


def test_a_dagster_home_of_the_user_needs_its_settings(tmp_path: Path) -> None:
    """The package's own home gets its dagster.yaml by itself; one that DAGSTER_HOME names does not."""
    dagster = tmp_path / "dagster"
    assert [check.ok for check in machine.check_dagster_home(dagster, ours=True)] == [True]
    dagster.mkdir(mode=0o700)
    assert [check.ok for check in machine.check_dagster_home(dagster, ours=True)] == [True, True]
    _, settings = machine.check_dagster_home(dagster, ours=False)
    assert (settings.ok, settings.found) == (False, f"there is none in {dagster}")
    assert f"cp docker/dagster.yaml {dagster}/" in settings.fix
    (dagster / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    assert [check.ok for check in machine.check_dagster_home(dagster, ours=False)] == [True, True]
