"""Design §2: what a key is: its kind of value, and the description it is declared with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass
from typing import Any, Generic, TypeVar, cast, get_type_hints

T = TypeVar("T")

REQUIRED: Any = MISSING
"""The default of a key that has none."""

_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of value.

    `parse` takes the TOML value (already of type `toml`) and raises ValueError saying what was
    expected. `from_text` makes the TOML value from an environment variable or flag. `secret`
    values may also be given as the name of a file that holds them.
    """

    toml: type
    parse: Callable[[Any], T]
    from_text: Callable[[str], object] = str
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it was declared in a section."""

    section: str
    name: str
    kind: Kind[Any]
    description: str
    default: Any
    flag: str | None
    example: str | tuple[str, ...] | None
    derived: bool

    @property
    def dotted(self) -> str:
        """`section.name`, as problems call it."""
        return f"{self.section}.{self.name}"

    @property
    def required(self) -> bool:
        """Whether the operator has to give it."""
        return self.default is REQUIRED and not self.derived

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"JMAP_GATEWAY_{self.section}__{self.name}".upper()


def key(
    kind: Kind[T],
    description: str,
    default: T = REQUIRED,
    *,
    flag: str | None = None,
    example: str | tuple[str, ...] | None = None,
    derived: bool = False,
) -> T:
    """Declare a key of a section: a dataclass field that knows its kind and its description.

    `flag` is the option of the command line that sets it, too; `example` stands in the sample
    where there is no default; a `derived` key is filled by `load` from the environment.
    """
    metadata = {
        "kind": kind,
        "description": description,
        "flag": flag,
        "example": example,
        "derived": derived,
    }
    return dataclasses.field(default=default, metadata=metadata)


def keys_of(config: type) -> Iterator[Key]:
    """Every key of a configuration class, whose fields are sections, in order."""
    for section, declaration in get_type_hints(config).items():
        for field in dataclasses.fields(declaration):
            yield Key(section, field.name, default=field.default, **field.metadata)


def text(parse: Callable[[str], T], *, secret: bool = False) -> Kind[T]:
    """A string that `parse` understands."""
    return Kind(str, parse, secret=secret)


def optional(kind: Kind[T]) -> Kind[T | None]:
    """The same kind, in a key that may be left out."""
    return cast("Kind[T | None]", kind)


def list_of(parse: Callable[[str], T]) -> Kind[tuple[T, ...]]:
    """A list of strings, separated by commas in the environment."""

    def parse_list(items: list[object]) -> tuple[T, ...]:
        for item in items:
            if not isinstance(item, str):
                raise ValueError(f"expected a list of strings, not {item!r} in it")
        return tuple(parse(item) for item in cast("list[str]", items))

    def split(items: str) -> list[str]:
        return [item.strip() for item in items.split(",") if item.strip()]

    return Kind(list, parse_list, split)


def choice(*names: T) -> Kind[T]:
    """One of these words."""

    def parse(word: T) -> T:
        if word not in names:
            raise ValueError(f"expected one of {', '.join(map(str, names))}")
        return word

    return Kind(str, parse)


def integer(low: int, high: int | None = None) -> Kind[int]:
    """A whole number from `low` to `high`."""

    def parse(number: int) -> int:
        if number < low or (high is not None and number > high):
            upper = "up" if high is None else f"to {high}"
            raise ValueError(f"expected a whole number from {low} {upper}")
        return number

    return Kind(int, parse, int)


def seconds(high: float) -> Kind[float]:
    """A time above zero, up to `high` seconds."""

    def parse(number: float) -> float:
        if not 0 < number <= high:
            raise ValueError(f"expected seconds, more than 0 and at most {high:g}")
        return float(number)

    return Kind(float, parse, float)


def _boolean(word: str) -> bool:
    if word.lower() not in _TRUTH:
        raise ValueError("expected true or false")
    return _TRUTH[word.lower()]


BOOLEAN: Kind[bool] = Kind(bool, bool, _boolean)
