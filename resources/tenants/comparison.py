"""How fields are compared, where a tenant's file says more than the tolerance that all fields share.

Here: the keys of `reconcile.compare`. Not here: whether a record has such a field (the mapping knows), or comparing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt


def _exact(value: Any) -> Any:
    if isinstance(value, bool | float):
        raise ValueError("expected a number such as 0.01")
    return value


class FieldComparison(BaseModel):
    """What is no difference in one field; what is left out is as for all fields of its kind.

    A tolerance includes its bound: with `amount: 0.01` a cent is none, with `days: 2` two days are none. `amount` is
    in the field's own unit (the document's currency, a rate, a quantity), `percent` is of billing's value, and where
    both are given the greater counts. `case: ignore` compares lower case, `space: trim` without outer spaces,
    `space: collapse` with one space for any run of white space besides, `empty: absent` takes an empty text for none,
    and `unicode: NFC` takes letters that are composed and decomposed for the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    amount: (
        Annotated[
            Decimal,
            BeforeValidator(_exact),
            Field(ge=0, max_digits=28, decimal_places=10, allow_inf_nan=False),
        ]
        | None
    ) = None
    percent: (
        Annotated[
            Decimal, BeforeValidator(_exact), Field(ge=0, le=100, decimal_places=4, allow_inf_nan=False)
        ]
        | None
    ) = None
    days: StrictInt | None = Field(default=None, ge=0, le=366)
    case: Literal["keep", "ignore"] | None = None
    space: Literal["keep", "trim", "collapse"] | None = None
    empty: Literal["keep", "absent"] | None = None
    unicode: Literal["keep", "NFC"] | None = None


class RecordComparison(BaseModel):
    """How one record type's header fields, and the fields of its lines, are compared; by NetSuite's field names.

    `total` among the header's fields is what the lines do not explain of a document's total.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fields: dict[str, FieldComparison] = {}
    lines: dict[str, FieldComparison] = {}
