"""What a caller does not see although its role's permissions allow it: records of other subsidiaries, rows that were hidden.

A role's Subsidiary Restrictions leave it the transactions and customers of its subsidiaries. Hidden transactions are
out of its sight without a word, as when a restriction is set while an integration is at work. Here is only which rows
those are, as conditions in SQLite's language; asking is the services'.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_PARENTS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "transactionaccountingline": (("transaction", "transaction", "id"),),
    "nexttransactionlinelink": (("previousdoc", "transaction", "id"), ("nextdoc", "transaction", "id")),
    "previoustransactionlinelink": (("previousdoc", "transaction", "id"), ("nextdoc", "transaction", "id")),
    "transactionhistory": (("transaction", "transaction", "id"),),
    "revenueelement": (("source", "transaction", "id"),),
    "revenueplan": (("createdfrom", "revenueelement", "id"),),
    "revenueplanplannedrevenue": (("revenueplan", "revenueplan", "id"),),
    "customer": (("id", "customersubsidiaryrelationship", "entity"),),
    "entity": (("id", "customersubsidiaryrelationship", "entity"),),
    "customercurrencies": (("customer", "customersubsidiaryrelationship", "entity"),),
    "customeraddressbook": (("entity", "customersubsidiaryrelationship", "entity"),),
}
"""A table's rows are seen with those of another one: column, the other table, its column."""
_TRANSACTIONS = {"transaction": "id", "transactionline": "transaction"}
"""Tables with the transaction's subsidiary, and their column of its id."""
_TABLE_OF_SPACE = {
    "entity": "customer",
    "transaction": "transaction",
    "customerSubsidiaryRelationship": "customersubsidiaryrelationship",
}
_NUMBERS = {-30: "transaction", -9: "customer"}
"""Tables of the record types that a system note names by number."""
_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class Hidden:
    """Transactions that are out of sight: those of a subsidiary, or a share of all that there are and will be."""

    subsidiary: str = ""
    share: float = 0
    """From 0 to 1."""
    seed: int = 0
    """Chooses which."""


@dataclass(frozen=True, slots=True)
class Sight:
    subsidiaries: tuple[str, ...] = ()
    """What a role is restricted to; empty: nothing."""
    hidden: tuple[Hidden, ...] = ()

    @property
    def whole(self) -> bool:
        return not self.subsidiaries and not self.hidden

    def condition(self, table: str, alias: str) -> str:
        """What a row of one of SuiteQL's tables must meet to be seen; empty for one that every caller sees."""
        if self.whole:
            return ""
        if table in _TRANSACTIONS:
            return " AND ".join(
                self._transaction(f'"{alias}"."{_TRANSACTIONS[table]}"', f'"{alias}"."subsidiary"')
            )
        if table == "customersubsidiaryrelationship":
            return f'"{alias}"."subsidiary" IN {_listed(self.subsidiaries)}' if self.subsidiaries else ""
        if table == "systemnote":
            return self._note(alias)
        parts = (
            self._with(parent, column, f'"{alias}"."{own}"')
            for own, parent, column in _PARENTS.get(table, ())
        )
        return " AND ".join(part for part in parts if part)

    def record(self, space: str, identifier: str) -> str:
        """What a record of a space must meet to be seen; `identifier` is the SQL of its id. Empty: nothing."""
        table = _TABLE_OF_SPACE.get(space)
        return self._with(table, "id", identifier) if table is not None else ""

    def may_have(self, subsidiary: str | None) -> bool:
        """Whether a record of this subsidiary can be written."""
        return not self.subsidiaries or subsidiary is None or subsidiary in self.subsidiaries

    def _with(self, table: str, column: str, value: str) -> str:
        """Whether the row of another table that has this value is seen."""
        alias = f"{table} in sight"
        condition = self.condition(table, alias)
        if not condition:
            return ""
        return f'EXISTS (SELECT 1 FROM "q_{table}" AS "{alias}" WHERE "{alias}"."{column}" = {value} AND {condition})'

    def _transaction(self, identifier: str, subsidiary: str) -> Iterator[str]:
        if self.subsidiaries:
            yield f"{subsidiary} IN {_listed(self.subsidiaries)}"
        for hidden in self.hidden:
            if hidden.subsidiary:
                yield f"{subsidiary} <> {int(hidden.subsidiary)}"
            else:
                # A number that has nothing to do with neighbouring ids.
                lot = f"(({identifier} + {hidden.seed}) * 2654435761 % 4294967291) % {_PARTS}"
                yield f"{lot} >= {round(hidden.share * _PARTS)}"

    def _note(self, alias: str) -> str:
        of_record = {
            number: self._with(table, "id", f'"{alias}"."recordid"') for number, table in _NUMBERS.items()
        }
        branches = [f"WHEN {number} THEN {condition}" for number, condition in of_record.items() if condition]
        return f'(CASE "{alias}"."recordtypeid" {" ".join(branches)} ELSE 1 END)' if branches else ""


def _listed(subsidiaries: tuple[str, ...]) -> str:
    return f"({', '.join(str(int(one)) for one in subsidiaries)})"
