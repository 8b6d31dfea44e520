"""Tables that the database itself protects. Here: the triggers of SQLite and PostgreSQL, for migrations to make."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import Connection


def only_add_to(
    connection: Connection, table: str, but: Sequence[str] = (), fixed: Sequence[str] = ()
) -> None:
    """Have the database refuse to delete a row of a table or to change it.

    Where some columns may change, `fixed` are those that may not; `but` names the others for the message.
    """
    may = f" but for {', '.join(but)}" if but else ""
    said = f"{table} is only ever added to{may}"
    of = f" OF {', '.join(fixed)}" if fixed else ""
    if connection.dialect.name == "sqlite":
        for change, columns in (("UPDATE", of), ("DELETE", "")):
            connection.exec_driver_sql(
                f"CREATE TRIGGER {table}_{change.lower()} BEFORE {change}{columns} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{said}'); END"
            )
        return
    connection.exec_driver_sql(
        f"CREATE FUNCTION {table}_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" RAISE EXCEPTION '{said}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    connection.exec_driver_sql(
        f"CREATE TRIGGER {table}_kept BEFORE UPDATE{of} OR DELETE ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION {table}_kept()"
    )
