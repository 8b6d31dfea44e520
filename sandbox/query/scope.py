"""Names and types while a query is translated: what each source offers, and what each expression is."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.query.dialect import search_error


@dataclass(frozen=True, slots=True)
class Value:
    """A translated expression."""

    sql: str
    kind: str
    """id, int, number, text, date, bool, null or any (a bound parameter)."""
    ref: str | None = None
    """Whose display name `BUILTIN.DF` shows, for a column that holds a reference."""
    literal: str | None = None
    """The text of a string literal."""
    source: Source | None = None
    column: str = ""
    nullable: bool = True
    aggregate: bool = False
    amount: bool = False
    """Whether it is whole in the smallest unit of a currency."""
    digits: bool = False
    """Whether it is a text of digits alone."""

    @property
    def numeric(self) -> bool:
        return self.kind in ("id", "int", "number")


@dataclass(slots=True, eq=False)
class Source:
    """One table or sub-query of a FROM clause."""

    alias: str
    shown: str
    """The table's name in NetSuite's error text."""
    columns: dict[str, Value]
    """By lower-case name; each value's sql is qualified by the alias."""
    key: str | None = None
    unique: list[tuple[str, ...]] | None = None
    """Sets of columns that no two rows share, the key among them; None for a sub-query, of which nothing is known."""
    outer: bool = False
    """Joined from the left: its columns may be missing."""
    hidden: frozenset[str] = frozenset()
    """Columns that the caller's role does not see."""


@dataclass(slots=True)
class Scope:
    sources: dict[str, Source] = field(default_factory=dict)
    parent: Scope | None = None

    def add(self, source: Source) -> None:
        if source.alias in self.sources:
            raise search_error("Invalid or unsupported search.")
        self.sources[source.alias] = source

    def find(self, name: str, qualifier: str | None) -> Value | None:
        """A column by name, looked up outwards; None when it is nowhere."""
        scope: Scope | None = self
        while scope is not None:
            if qualifier is not None:
                source = scope.sources.get(qualifier)
                if source is not None:
                    return source.columns.get(name)
            else:
                found = [s.columns[name] for s in scope.sources.values() if name in s.columns]
                if len(found) > 1:
                    raise search_error("Invalid or unsupported search.")
                if found:
                    return found[0]
            scope = scope.parent
        return None

    def unknown(self, name: str) -> Exception:
        owner = next((source for source in self.sources.values() if name.lower() in source.hidden), None)
        if owner is not None:
            return search_error(f"Field '{name}' for record '{owner.shown}' was not found.")
        identifiers = ", ".join(f"{source.alias}={source.shown}" for source in self.sources.values())
        return search_error(f"Unknown identifier '{name}'. Available identifiers are: {{{identifiers}}}.")
