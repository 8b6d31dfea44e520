"""The tax part of a profile: what an account's tax engine computes. Computing it is `record.taxes`."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from sandbox.profile_types import STRICT, Amount, Id


class TaxCode(BaseModel):
    """A tax type or a tax code, which the rows of `taxDetails` name."""

    model_config = STRICT

    id: Id
    name: str


class TaxRate(BaseModel):
    """One tax on the lines of invoices, credit memos and sales orders."""

    model_config = STRICT

    tax_type: Id
    tax_code: Id
    rate: Annotated[Amount, Field(ge=0)]
    """Percent of a line's amount."""
    subsidiaries: list[Id] = []
    """Empty: every one."""
    tax_schedules: list[Id] = []
    """Of the items that it is on; empty: every item."""

    def is_on(self, subsidiary: str | None, tax_schedule: str | None) -> bool:
        return (not self.subsidiaries or subsidiary in self.subsidiaries) and (
            not self.tax_schedules or tax_schedule in self.tax_schedules
        )


class TaxEngine(BaseModel):
    """What SuiteTax computes by itself; without rates it computes nothing."""

    model_config = STRICT

    rates: list[TaxRate] = []
    honours_override: bool = True
    """Whether the rows that a request gives with `taxDetailsOverride` stand. Some engines compute their own instead."""

    def rates_on(self, subsidiary: str | None, tax_schedule: str | None) -> list[TaxRate]:
        return [rate for rate in self.rates if rate.is_on(subsidiary, tax_schedule)]

    def combined(self, subsidiary: str | None, tax_schedule: str | None) -> Decimal:
        return sum((rate.rate for rate in self.rates_on(subsidiary, tax_schedule)), Decimal(0))

    def problems(self, subsidiaries: set[str], types: set[str], codes: set[str]) -> list[str]:
        """Ids that the account does not have."""
        found: list[str] = []
        for number, rate in enumerate(self.rates):
            named = [("tax_type", rate.tax_type, types), ("tax_code", rate.tax_code, codes)]
            named += [("subsidiary", one, subsidiaries) for one in rate.subsidiaries]
            where = f"tax_engine: rate {number}"
            found += [
                f"{where}: {what} {one} is not declared" for what, one, known in named if one not in known
            ]
        return found
