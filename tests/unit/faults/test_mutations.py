"""The faults that are put into the code on purpose still fit it."""

import shutil
from pathlib import Path

import pytest
from faults.catalogue import CASES
from faults.mutations import MUTATIONS, SOURCE, Edit, Mutation, MutationError


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SOURCE, tmp_path / "cdc_sms"))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutation_fits_the_code_and_names_a_case(mutation: Mutation, package: Path) -> None:
    for edit in mutation.edits:
        edit.apply(package)

    assert mutation.case in CASES


def test_mutation_whose_text_is_gone_is_an_error(package: Path) -> None:
    with pytest.raises(MutationError, match="0 times"):
        Edit("deliver/loop.py", "this stands nowhere", "pass").apply(package)


def test_mutation_that_is_no_python_is_an_error(package: Path) -> None:
    with pytest.raises(MutationError, match="no Python"):
        Edit("deliver/loop.py", "class DeliverLoop:", "class class:").apply(package)
