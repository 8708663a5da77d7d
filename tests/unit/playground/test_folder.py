from pathlib import Path

import pytest

from cdc_sms.playground.folder import temporary_folder


def test_folder_lies_inside_the_environment_and_goes_with_the_demo(tmp_path: Path) -> None:
    with temporary_folder(tmp_path) as folder:
        (folder / "data").mkdir()
        assert folder.parent == tmp_path

    assert list(tmp_path.iterdir()) == []


def test_folder_goes_when_the_demo_is_interrupted(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), temporary_folder(tmp_path):
        raise KeyboardInterrupt

    assert list(tmp_path.iterdir()) == []


def test_folder_of_a_killed_demo_is_removed_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    killed = tmp_path / "cdc-sms-demo-killed"
    killed.mkdir()
    (killed / "lock").touch()

    with temporary_folder(tmp_path) as living, temporary_folder(tmp_path) as another:
        left = set(tmp_path.iterdir())

    assert left == {living, another}
