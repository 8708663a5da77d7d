"""Every key of the configuration, walked from the settings' own definitions.

For whoever must name a key: the loader's mistakes, ``config show``, the reference page. It
reads no value.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from cdc_sms.config.settings import Sections

Path = tuple[str, ...]
"""Where a key or section stands: ``("deliver", "senders")``."""

PREFIX = "CDC_SMS_"
ANY_NAME = "<name>"
"""Stands in a path where the person chooses the name: ``providers.<name>.url``."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key: where it stands and how it is defined.

    Attributes:
        path: ``("deliver", "senders")``; :data:`ANY_NAME` where a name is free.
        field: pydantic's definition: type, default, description.
    """

    path: Path
    field: FieldInfo

    @property
    def dotted(self) -> str:
        """Return the key as people write it: ``deliver.senders``."""
        return ".".join(self.path)

    @property
    def section(self) -> str:
        """Return the section that holds it: ``table.columns``."""
        return ".".join(self.path[:-1])

    @property
    def variable(self) -> str:
        """Return the environment variable that sets it."""
        return variable_of(self.path)

    @property
    def is_secret(self) -> bool:
        """Say whether its value is never shown and never read from the configuration file."""
        return SecretStr in _types(self.field.annotation)


def variable_of(path: Path) -> str:
    """Return the environment variable of a path: ``CDC_SMS_TABLE__COLUMNS__KEY``."""
    return PREFIX + "__".join(path).upper()


def path_of(variable: str) -> Path:
    """Return the path that an environment variable would set, whether it exists or not."""
    return tuple(variable.removeprefix(PREFIX).lower().split("__"))


def all_keys() -> tuple[Key, ...]:
    """Return every key, section by section, in the order of their definition."""
    return tuple(_walk(Sections, ()))


def keys_of(section: Path) -> tuple[str, ...]:
    """Return the names that may stand in a section, for a path with real names in it.

    Returns:
        Empty where the section doesn't exist or takes any name.
    """
    model = _model_at(section)
    return () if model is None else tuple(model.model_fields)


def find(path: Path) -> Key | None:
    """Return the key at a path with real names in it; None for a section and for no key."""
    model = _model_at(path[:-1])
    field = model.model_fields.get(path[-1]) if model else None
    if field is None or _inner_model(field.annotation)[0] is not None:
        return None
    return Key(path, field)


def section_documentation(section: str) -> str:
    """Return what the section ``table.columns`` is for: its class's docstring, one paragraph."""
    model = _model_at(tuple(section.split(".")))
    return " ".join((model.__doc__ or "").split()) if model else ""


def _walk(model: type[BaseModel], path: Path) -> Iterator[Key]:
    deeper: list[tuple[type[BaseModel], Path]] = []
    for name, field in model.model_fields.items():
        inner, is_named = _inner_model(field.annotation)
        if inner is None:
            yield Key((*path, name), field)
        else:
            deeper.append((inner, (*path, name, ANY_NAME) if is_named else (*path, name)))
    for inner, inner_path in deeper:
        yield from _walk(inner, inner_path)


def _model_at(path: Path) -> type[BaseModel] | None:
    model: type[BaseModel] = Sections
    rest = list(path)
    while rest:
        field = model.model_fields.get(rest.pop(0))
        inner, is_named = _inner_model(field.annotation) if field else (None, False)
        if inner is None:
            return None
        if is_named:
            if not rest:
                return None
            rest.pop(0)
        model = inner
    return model


def _inner_model(annotation: object) -> tuple[type[BaseModel] | None, bool]:
    """Return the section that a field holds, and whether it holds several of them by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    if get_origin(annotation) is dict:
        inner, _ = _inner_model(get_args(annotation)[1])
        return inner, inner is not None
    return None, False


def _types(annotation: object) -> tuple[object, ...]:
    return get_args(annotation) or (annotation,)
