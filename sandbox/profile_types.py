"""The types that every part of a profile is built from."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict


def _identifier(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Id = Annotated[str, BeforeValidator(_identifier)]
"""An id, which may stand as a bare number in the file."""


def _decimal(value: object) -> object:
    return str(value) if isinstance(value, float) else value


Amount = Annotated[Decimal, BeforeValidator(_decimal)]
"""A YAML float by its shortest spelling: 1.08 is 1.08, not its binary neighbour."""
STRICT = ConfigDict(extra="forbid", frozen=True)
"""Unknown keys are mistakes."""
