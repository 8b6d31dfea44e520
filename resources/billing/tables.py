"""The tables of a billing database, found by the names that the tenant's YAML gives.

Here: which real table and column stands for which canonical one, checked against the database's own catalogue, with
the nearest right name for each mistake. Not here: reading rows (`sql.py`), nor the YAML's parsing (`tenants.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Protocol

import sqlalchemy as sa

from resources.billing.canonical import TABLES, CanonicalTable
from resources.billing.errors import BillingError


class TableSettings(Protocol):
    """How one canonical table is named in the tenant's database.

    `columns` maps canonical names to theirs; a canonical column that is not listed is read under its own name where
    the table has it. `metadata` lists columns gathered into the canonical `metadata`. `where` keeps only the rows
    whose column (their name) holds one of the values; None in the list stands for NULL.
    """

    @property
    def table(self) -> str: ...
    @property
    def columns(self) -> Mapping[str, str]: ...
    @property
    def metadata(self) -> Sequence[str]: ...
    @property
    def where(self) -> Mapping[str, Sequence[Any]]: ...


class SqlSettings(Protocol):
    """The part of a tenant's billing settings that names its tables: canonical name to `TableSettings`."""

    @property
    def tables(self) -> Mapping[str, TableSettings]: ...


@dataclass(frozen=True)
class Table:
    """Table names as a plain value, for callers that have no YAML."""

    table: str
    columns: Mapping[str, str] = field(default_factory=dict)
    metadata: Sequence[str] = ()
    where: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class FoundTable:
    """A canonical table and the real one that stands for it.

    `columns` maps each canonical column that the database has to its real column; `kinds` gives the declared type
    and `nullable` the declared nullability of every real column, by name.
    """

    canonical: CanonicalTable
    source: sa.TableClause
    columns: Mapping[str, str]
    metadata: tuple[str, ...]
    where: Mapping[str, Sequence[Any]]
    kinds: Mapping[str, sa.types.TypeEngine[Any]]
    nullable: Mapping[str, bool]

    def column(self, canonical: str) -> sa.ColumnClause[Any]:
        """The real column of a canonical one, without a type, so that the driver's own value comes back."""
        return self.source.c[self.columns[canonical]]

    def kind(self, canonical: str) -> sa.types.TypeEngine[Any]:
        return self.kinds[self.columns[canonical]]


def suggestion(wanted: str, existing: Iterable[str]) -> str:
    """The nearest existing name as a question, then all names, so that the reader sees both at once."""
    names = sorted(existing)
    if not names:
        return "There are none."
    near = get_close_matches(wanted.lower(), [name.lower() for name in names], n=1, cutoff=0.6)
    guess = next((name for name in names if near and name.lower() == near[0]), None)
    question = f"Did you mean '{guess}'? " if guess else ""
    return f"{question}There are: {', '.join(names)}."


def unknown_names(settings: SqlSettings) -> None:
    """Refuse canonical table and column names that do not exist, whatever the database holds."""
    attempted = "Reading the tenant's billing settings"
    for name, given in settings.tables.items():
        if name not in TABLES:
            raise BillingError(
                attempted,
                f"there is no canonical table '{name}'. {suggestion(name, TABLES)}",
                f"Rename the key billing.tables.{name} in the tenant's YAML.",
                table=name,
                yaml_key=f"billing.tables.{name}",
            )
        for column in given.columns:
            if column not in TABLES[name].schema.names:
                raise BillingError(
                    attempted,
                    f"the canonical table '{name}' has no column '{column}'. "
                    f"{suggestion(column, TABLES[name].schema.names)}",
                    f"Rename the key billing.tables.{name}.columns.{column} in the tenant's YAML.",
                    table=name,
                    column=column,
                    yaml_key=f"billing.tables.{name}.columns.{column}",
                )
        parent = TABLES[name].parent
        if parent is not None and parent not in settings.tables:
            raise BillingError(
                attempted,
                f"'{name}' is given without '{parent}', whose rows say in which month its rows belong.",
                f"Add billing.tables.{parent} to the tenant's YAML.",
                table=name,
                yaml_key=f"billing.tables.{parent}",
            )


def find_table(inspector: sa.Inspector, name: str, given: TableSettings) -> FoundTable:
    """The real table of the canonical table `name`; a `BillingError` names what is missing and the YAML key."""
    canonical = TABLES[name]
    attempted = f"Finding the table for {name.replace('_', ' ')} in the billing database"
    key = f"billing.tables.{name}"
    schema, _, table = given.table.rpartition(".")
    try:
        described = inspector.get_columns(table, schema=schema or None)
    except sa.exc.NoSuchTableError:
        described = []
    if not described:
        place = f" in the schema '{schema}'" if schema else ""
        raise BillingError(
            attempted,
            f"there is no table or view '{table}'{place}. {suggestion(table, _relations(inspector, schema))}",
            f"Correct {key}.table in the tenant's YAML, or create the table.",
            table=given.table,
            yaml_key=f"{key}.table",
        )
    existing = {str(column["name"]): column for column in described}

    def missing(column: str, why: str, yaml_key: str) -> BillingError:
        return BillingError(
            attempted,
            f"the table '{given.table}' has no column '{column}'{why}. {suggestion(column, existing)}",
            f"Correct {yaml_key} in the tenant's YAML.",
            table=given.table,
            column=column,
            yaml_key=yaml_key,
        )

    columns: dict[str, str] = {}
    for column in canonical.schema:
        theirs = given.columns.get(column.name, column.name)
        if theirs in existing:
            columns[column.name] = theirs
        elif column.name in given.columns:
            raise missing(theirs, f" for {column.name}", f"{key}.columns.{column.name}")
        elif not column.nullable:
            raise missing(theirs, ", which every row must have", f"{key}.columns.{column.name}")
    for theirs in given.metadata:
        if theirs not in existing:
            raise missing(theirs, " for metadata", f"{key}.metadata")
    if given.metadata and "metadata" in given.columns:
        raise BillingError(
            attempted,
            f"metadata is given twice: as the column '{given.columns['metadata']}' and as a list of columns.",
            f"Keep one of {key}.columns.metadata and {key}.metadata in the tenant's YAML.",
            table=given.table,
            column="metadata",
            yaml_key=f"{key}.metadata",
        )
    if given.metadata:
        columns.pop("metadata", None)
    for theirs in given.where:
        if theirs not in existing:
            raise missing(theirs, " to select rows by", f"{key}.where.{theirs}")
    return FoundTable(
        canonical=canonical,
        source=sa.table(table, *(sa.column(column) for column in existing), schema=schema or None),
        columns=columns,
        metadata=tuple(given.metadata),
        where=given.where,
        kinds={column: details["type"] for column, details in existing.items()},
        nullable={column: bool(details.get("nullable", True)) for column, details in existing.items()},
    )


def _relations(inspector: sa.Inspector, schema: str) -> list[str]:
    names = inspector.get_table_names(schema or None) + inspector.get_view_names(schema or None)
    return [f"{schema}.{name}" if schema else name for name in names]
