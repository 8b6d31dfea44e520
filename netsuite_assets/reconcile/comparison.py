"""When two values of a field are the same, as SQL: the canonical form of a text, and what a tolerance allows.

Here: one `Comparison` a field, made of the tenant's settings. Not here: which rows are compared (`keyed.py`), or what
a difference means (`differences.py`).

Numbers are compared as DECIMAL and never rounded. A tolerance includes its bound. Two values that are not the same as
they stand but are taken for the same are a *use* of a rule, and every use is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from resources.netsuite.records import DECIMAL_KINDS, Kind
from resources.tenants import ToleranceSettings
from resources.tenants.comparison import FieldComparison

TEXT_KINDS: Final = frozenset({"text", "reference", "enum"})
NUMBER_KINDS: Final = frozenset({*DECIMAL_KINDS, "integer"})
DATE_KINDS: Final = frozenset({"date", "datetime"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the values of one field are compared. `amount` is in the field's own unit, `percent` of the left value.

    Unless a tenant's file says otherwise, outer spaces of a text do not count and an empty text is an absent one.
    """

    kind: Kind
    amount: Decimal = Decimal(0)
    percent: Decimal = Decimal(0)
    days: int = 0
    ignore_case: bool = False
    space: str = "trim"
    empty_is_absent: bool = True
    nfc: bool = False

    def canonical(self, value: str) -> str:
        """The form in which equal values are identical: what is hashed. Tolerances do not take part in it."""
        forms = [form for _, form in self._forms(value)]
        return forms[-1] if forms else value

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules by which values that differ as they stand may have the same canonical form."""
        return tuple(rule for rule, _ in self._forms(""))

    @property
    def normalises(self) -> bool:
        """Whether there is any such rule."""
        return bool(self.rules)

    def rule_used(self, left: str, right: str) -> str:
        """SQL for the rule by which two values that are not the same as they stand are; NULL where they differ.

        Where several rules together make them the same it is the one that is tried last, so that each pair of values
        counts once.
        """
        cases = []
        for (rule, one), (_, other) in zip(self._forms(left), self._forms(right), strict=True):
            cases.append(f"WHEN {one} IS NOT DISTINCT FROM {other} THEN '{rule}'")
        cases += [f"WHEN {condition} THEN '{rule}'" for rule, condition in self._tolerances(left, right)]
        return f"CASE {' '.join(cases)} END" if cases else "NULL::VARCHAR"

    def delta(self, left: str, right: str) -> str:
        """SQL for left less right: in the field's unit, an absent number being none; in days for dates; else NULL."""
        if self.kind in NUMBER_KINDS:
            one, other = (f"coalesce({_number(self.kind, value)}, 0)" for value in (left, right))
            return f"({one} - {other})::DECIMAL(38,12)"
        if self.kind in DATE_KINDS:
            return f"date_diff('day', {right}, {left})::DECIMAL(38,12)"
        return "NULL::DECIMAL(38,12)"

    def _forms(self, value: str) -> Iterator[tuple[str, str]]:
        """Each rule that normalises the value, with the value after it and those before."""
        if self.kind not in TEXT_KINDS:
            return
        if self.nfc:
            value = f"nfc_normalize({value})"
            yield "unicode", value
        if self.ignore_case:
            value = f"lower({value})"
            yield "case", value
        if self.space == "collapse":
            # \s is ASCII's white space alone; \p{Z} are Unicode's spaces, the no-break space among them. trim() takes
            # away the latter, and no tabs or line ends.
            value = f"trim(regexp_replace({value}, '[\\s\\p{{Z}}]+', ' ', 'g'))"
            yield "space", value
        elif self.space == "trim":
            value = f"trim({value})"
            yield "space", value
        if self.empty_is_absent:
            value = f"nullif({value}, '')"
            yield "empty", value

    def _tolerances(self, left: str, right: str) -> Iterator[tuple[str, str]]:
        """Each tolerance, with SQL that holds where two values are within it."""
        if self.kind in NUMBER_KINDS:
            one, other = _number(self.kind, left), _number(self.kind, right)
            if self.amount:
                yield "amount", f"abs({one} - {other}) <= {self.amount:f}"
            if self.percent:
                yield "percent", f"abs({one} - {other}) <= {self.percent / 100:f} * abs({one})"
        elif self.days and self.kind == "date":
            yield "days", f"abs({left} - {right}) <= {self.days}"
        elif self.days and self.kind == "datetime":
            yield "days", f"abs(epoch_us({left}) - epoch_us({right})) <= {self.days * 86_400_000_000}"


def comparison_of(kind: Kind, tolerance: ToleranceSettings, own: FieldComparison | None = None) -> Comparison:
    """How a field of this kind is compared: as the tenant says for the field, else as for all fields."""
    own = own or FieldComparison()
    amount = tolerance.amount if kind == "amount" else Decimal(0)
    days = tolerance.days if kind == "date" else 0
    return Comparison(
        kind,
        amount=amount if own.amount is None else own.amount,
        percent=own.percent or Decimal(0),
        days=days if own.days is None else own.days,
        ignore_case=own.case == "ignore",
        space=own.space or "trim",
        empty_is_absent=own.empty != "keep",
        nfc=own.unicode == "NFC",
    )


def _number(kind: str, value: str) -> str:
    # Integers as DECIMAL too: with percent they would become floats.
    return f"{value}::DECIMAL(20,0)" if kind == "integer" else value
