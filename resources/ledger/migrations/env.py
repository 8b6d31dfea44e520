"""What alembic runs to migrate: on the connection that it is given, within that one's transaction."""

from __future__ import annotations

from alembic import context

from resources.ledger.migrations import VERSION_TABLE
from resources.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
