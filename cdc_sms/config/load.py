"""The configuration file and the environment become :class:`Sections`, or one error.

All mistakes are found in one go. This is the only place that reads the file or the
environment; what is said of a mistake stands in ``mistakes.py``.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from cdc_sms.config import keys, mistakes
from cdc_sms.config.keys import PREFIX, find, path_of, variable_of
from cdc_sms.config.settings import Sections
from cdc_sms.errors import ConfigurationError

CONFIG_VARIABLE = "CDC_SMS_CONFIG"
DEFAULT_FILE = Path("cdc-sms.toml")

Values = dict[str, Any]

_NO_SETTING = re.compile(rf"{CONFIG_VARIABLE}|CDC_SMS_TEST_.*|CDC_SMS_SERVICES_DIR")

# Kubernetes gives every container the addresses of the services in its namespace; for one that
# is named "cdc-sms" or "cdc-sms-deliver" these variables start like ours.
_OF_KUBERNETES = re.compile(
    r"CDC_SMS_(?:[A-Z0-9]+_)*"
    r"(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9]+)*|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_[A-Z]+)?)?)"
)


class _Environment(EnvSettingsSource):
    """``CDC_SMS_<SECTION>__<KEY>``, out of the mapping that it is given."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        # it asks the class for its fields only, which any model has
        super().__init__(Sections, env_prefix=PREFIX, env_nested_delimiter="__")  # type: ignore[arg-type]
        self.env_vars = {name.lower(): value for name, value in variables.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Read a list or table: JSON, or for a list simply ``a,b``."""
        del field_name, field
        text = str(value).strip()
        if not text.startswith(("[", "{")):
            return [part.strip() for part in text.split(",")]
        try:
            return json.loads(text)
        except ValueError:
            return text  # neither a list nor a table: refused by the key's type


def load(path: Path | None, environ: Mapping[str, str]) -> Sections:
    """Read the whole configuration.

    Args:
        path: the file; None: ``$CDC_SMS_CONFIG``, else ``./cdc-sms.toml`` if it is there, else
            the environment alone.
        environ: the environment; a variable that is set but empty counts as not set.

    Raises:
        ConfigurationError: with every mistake of file and environment, one a line.
    """
    sections, _ = load_with_origins(path, environ)
    return sections


def load_with_origins(
    path: Path | None, environ: Mapping[str, str]
) -> tuple[Sections, dict[str, str]]:
    """Read the whole configuration, and say where each value that was given comes from.

    Returns:
        The sections, and by dotted key the file's path or the variable's name; a key that
        isn't in it has its default.

    Raises:
        ConfigurationError: as :func:`load`.
    """
    file, from_file = _read_file(path, environ)
    variables, found = _with_secret_files(_ours(environ))
    unknown = [name for name in variables if find(path_of(name)) is None]
    found += [mistakes.unknown_variable(name) for name in unknown]
    found += [mistakes.secret_in_file(path) for path in _leaves(from_file) if _is_secret(path)]
    known = {name: value for name, value in variables.items() if name not in unknown}
    from_environment = _Environment(known)()
    try:
        sections = Sections.model_validate(_merged(from_file, from_environment))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        found += mistakes.wrong_values(details, from_variables=known)
    else:
        if not found:
            return sections, _origins(file, from_file, known, environ)
    raise _error(found, f"{file} and the environment" if file else "the environment (no file read)")


def check_keys_of_providers(sections: Sections) -> None:
    """Check that each provider in use has its key: for who sends.

    Raises:
        ConfigurationError: with every key that is missing or can't be read.
    """
    found: list[str] = []
    for name in sections.deliver.providers:
        provider = sections.providers[name]
        variable = variable_of(("providers", name, "key"))
        if provider.key_file is not None:
            found += _read_secret(Path(provider.key_file), f"providers.{name}.key_file")[1]
        elif provider.key is None:
            found.append(
                f"providers.{name}.key is missing: set {variable}, "
                f"or let {variable}_FILE (in the file: key_file) name the file that holds it."
            )
    if found:
        raise _error(found, "what the provider needs")


def _read_file(path: Path | None, environ: Mapping[str, str]) -> tuple[Path | None, Values]:
    named = path or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    file = named or DEFAULT_FILE
    try:
        return file, tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if named is None:
            return None, {}
        raise ConfigurationError(
            f"The configuration file {file} doesn't exist.",
            hint=f"Name another one with --config FILE or {CONFIG_VARIABLE}.",
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"The configuration file {file} can't be read: {error.strerror}.",
            hint="Name a file that this user may read.",
        ) from error
    except ValueError as error:
        raise ConfigurationError(
            f"The configuration file {file} is no TOML: {error}.",
            hint="Correct that place; texts stand in quotes, and a section's name in brackets.",
        ) from error


def _ours(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environ.items()
        if name.startswith(PREFIX)
        and value
        and not _NO_SETTING.fullmatch(name)
        and ("__" in name or not _OF_KUBERNETES.fullmatch(name))
    }


def _with_secret_files(variables: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Put the content of the files that ``…_FILE`` names in the place of the variables."""
    result, found = dict(variables), []
    for name, value in variables.items():
        secret = name.removesuffix("_FILE")
        if find(path_of(name)) or not _is_secret(path_of(secret)):
            continue
        del result[name]
        if secret in variables:
            found.append(f"{secret} and {name} are both set: leave one of them out.")
            continue
        result[secret], unreadable = _read_secret(Path(value), name)
        found += unreadable
    return result, found


def _is_secret(path: keys.Path) -> bool:
    key = find(path)
    return key is not None and key.is_secret


def _read_secret(file: Path, name: str) -> tuple[str, list[str]]:
    try:
        content = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        return "", [f"{name} names a file that can't be read ({error.strerror}): {file}."]
    except ValueError:
        return "", [f"{name} names a file that is no text: {file}."]
    return content, [] if content else [f"{name} names a file that is empty: {file}."]


def _merged(below: Values, above: Values) -> Values:
    """Return both tables as one; where both have a value, the one above counts."""
    result = dict(below)
    for name, value in above.items():
        under = below.get(name)
        result[name] = (
            _merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
        )
    return result


def _leaves(values: Values, path: keys.Path = ()) -> list[keys.Path]:
    """Return the path of every value that is no section."""
    found: list[keys.Path] = []
    for name, value in values.items():
        here = (*path, name)
        is_section = isinstance(value, dict) and find(here) is None
        found += _leaves(value, here) if is_section else [here]
    return found


def _origins(
    file: Path | None, from_file: Values, known: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    origins = {".".join(path): str(file) for path in _leaves(from_file)}
    for name in known:
        origins[".".join(path_of(name))] = name if environ.get(name) else f"{name}_FILE"
    return origins


def _error(found: list[str], place: str) -> ConfigurationError:
    return ConfigurationError(
        mistakes.listed(found, place),
        hint="Correct them and try 'cdc-sms config check'; docs/configuration.md lists every key.",
    )
