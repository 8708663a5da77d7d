"""What is wrong with a configuration, in sentences for the person who wrote it.

Pure: each function turns a finding into one sentence with the key, what is wrong and a
remedy. No sentence ever holds a value, which could be a secret.
"""

import difflib
from collections.abc import Collection, Iterable, Sequence

from pydantic_core import ErrorDetails

from cdc_sms.config.keys import (
    ANY_NAME,
    PREFIX,
    Path,
    all_keys,
    find,
    keys_of,
    path_of,
    variable_of,
)

_WRONG = {
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be a text in quotes",
    "string_too_short": "must not be empty",
    "tuple_type": 'must be a list, as in ["one", "two"]',
    "dict_type": "must be a table of names and values",
    "model_type": "must be a section of its own, with its name in brackets",
    "model_attributes_type": "must be a section of its own, with its name in brackets",
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be {le} or less",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entries",
    "string_pattern_mismatch": "must have the form {pattern}",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}
"""By pydantic's type of error, with its context filled in; any other keeps pydantic's words."""


def wrong_values(details: Iterable[ErrorDetails], *, from_variables: Collection[str]) -> list[str]:
    """Return what pydantic found, one sentence a key.

    Args:
        details: ``ValidationError.errors()``; a value of a union has an error for each of its
            types, and the first says enough.
        from_variables: the environment variables that gave a value, to name the one to change.
    """
    by_path: dict[Path, ErrorDetails] = {}
    for detail in details:
        by_path.setdefault(_path_people_know(tuple(map(str, detail["loc"]))), detail)
    return [_wrong_value(path, detail, from_variables) for path, detail in by_path.items()]


def unknown_variable(variable: str) -> str:
    """Return what to say of an environment variable that sets nothing."""
    chosen = path_of(variable)[1:2]
    names = [_filled_in(key.variable, chosen).removeprefix(PREFIX) for key in all_keys()]
    near = difflib.get_close_matches(variable.removeprefix(PREFIX), names, n=1, cutoff=0.6)
    remedy = f"did you mean {PREFIX}{near[0]}?" if near else "see 'cdc-sms config show'."
    return f"{variable} sets nothing: {remedy}"


def secret_in_file(path: Path) -> str:
    """Return what to say of a secret that stands in the configuration file."""
    variable = variable_of(path)
    return (
        f"{'.'.join(path)} must not stand in the file: set {variable}, "
        f"or let {variable}_FILE name a file that holds it."
    )


def listed(mistakes: Sequence[str], place: str) -> str:
    """Return all mistakes as one message."""
    count = "One mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return "\n".join([f"{count} in {place}:", *(f"  - {mistake}" for mistake in mistakes)])


def _wrong_value(path: Path, detail: ErrorDetails, from_variables: Collection[str]) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return _unknown_key(path)
        case "missing":
            return _missing(path)
        case kind:
            pattern = _WRONG.get(kind)
            wrong = pattern.format(**detail.get("ctx", {})) if pattern else _lower(detail["msg"])
            variable = variable_of(path)
            origin = f" (from {variable})" if variable in from_variables else ""
            return _with_meaning(path, origin, kind, wrong.rstrip("."))


def _path_people_know(path: Path) -> Path:
    """Cut off the number of an item or a name in a table: the key is what a person knows."""
    for length in range(len(path), 0, -1):
        if find(path[:length]):
            return path[:length]
    return path


def _unknown_key(path: Path) -> str:
    *section, name = path
    candidates = keys_of(tuple(section))
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.5)
    place = f"[{'.'.join(section)}]" if section else "the file"
    remedy = f"did you mean {near[0]}?" if near else f"{place} has {', '.join(candidates)}."
    return f"{'.'.join(path)} is no setting: {remedy}"


def _missing(path: Path) -> str:
    dotted = ".".join(path)
    key = find(path)
    if key is None:
        section = f"providers.{ANY_NAME}" if path == ("providers",) else dotted
        return f"[{section}] is missing: add this section, docs/configuration.md shows one."
    column = "name the column that holds it: " if key.section == "table.columns" else ""
    return f"{dotted} is missing: {column}set {path[-1]} in [{key.section}], or {key.variable}."


def _with_meaning(path: Path, origin: str, kind: str, wrong: str) -> str:
    dotted = ".".join(path) or "the whole"
    if kind == "value_error":
        return f"{dotted}{origin}: {wrong}."
    key = find(path)
    if kind == "string_pattern_mismatch" and key and key.field.description:
        # a pattern alone is no remedy: say what the key is
        wrong += f" ({key.field.description.rstrip('.')})"
    return f"{dotted}{origin} {wrong}."


def _filled_in(variable: str, chosen: Sequence[str]) -> str:
    """Put the name that the person chose into ``CDC_SMS_PROVIDERS__<NAME>__URL``."""
    return variable.replace(ANY_NAME.upper(), chosen[0].upper()) if chosen else variable


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
