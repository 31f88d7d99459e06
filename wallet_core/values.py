"""Values that every request makes: dataclasses that are frozen for the type checker alone."""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def statically_frozen(cls: type[T]) -> type[T]:
    """Return ``cls`` as what ``@dataclass(frozen=True, slots=True)`` makes of it, frozen for mypy but not at run time.

    A dataclass that is frozen at run time sets each field through ``object.__setattr__``: putting one together takes
    more than twice as long. A request makes some twenty; only what every request makes is one of these.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
