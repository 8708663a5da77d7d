"""In which forms a table may hold a number."""

import pytest

from cdc_sms.operate.explain import usual_forms


@pytest.mark.parametrize("given", ["+48600100200", "600100200", "0048 600 100 200", "600-100-200"])
def test_number_is_looked_for_in_its_usual_forms_however_it_was_given(given: str) -> None:
    forms = usual_forms(given, region="PL")

    assert forms >= {
        given,
        "+48600100200",
        "48600100200",
        "0048600100200",
        "600100200",
        "600 100 200",
        "+48 600 100 200",
        "600-100-200",
    }


@pytest.mark.parametrize("given", ["sms/4711", "4711", "abc", "sms/4711@2026-11-24T05:47:11Z"])
def test_what_is_no_number_is_looked_for_nowhere(given: str) -> None:
    assert usual_forms(given, region="PL") == frozenset()
