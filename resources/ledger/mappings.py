"""Mapping versions: what each tenant's effective file was, from when on it counted, and which plans it made.

Here: keeping them, one after the other. Not here: what differs between two of them (`netsuite_assets/mapping`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from resources.ledger.approvals import Plan
from resources.ledger.database import Database
from resources.ledger.schema import mapping_uses, mapping_versions, plans


@dataclass(frozen=True)
class MappingUse:
    """From `used_from` on, until the next one, runs used the version `hash`; `effective` is the file as it counted."""

    hash: str
    used_from: datetime
    effective: Mapping[str, Any]


class Mappings(Database):
    """The part of the ledger that knows mapping versions."""

    def record_mapping(
        self, tenant: str, mapping_hash: str, effective: Mapping[str, Any], now: datetime
    ) -> None:
        """Keep the effective tenant file of a version that runs, and that it is the one in use, if it was another."""
        version = sa.select(mapping_versions.c.hash).where(
            mapping_versions.c.tenant == tenant, mapping_versions.c.hash == mapping_hash
        )
        try:
            with self._transaction() as connection:
                if connection.execute(version).first() is None:
                    connection.execute(
                        mapping_versions.insert().values(
                            tenant=tenant,
                            hash=mapping_hash,
                            first_used_at=now,
                            effective=json.dumps(effective, sort_keys=True, default=str),
                        )
                    )
        except IntegrityError:
            pass  # Another run of the tenant has kept it at the same moment.
        latest = (
            sa.select(mapping_uses.c.hash)
            .where(mapping_uses.c.tenant == tenant)
            .order_by(mapping_uses.c.id.desc())
            .limit(1)
        )
        with self._transaction() as connection:
            if connection.execute(latest).scalar() != mapping_hash:
                connection.execute(
                    mapping_uses.insert().values(tenant=tenant, hash=mapping_hash, used_from=now)
                )

    def mapping_history(self, tenant: str) -> list[MappingUse]:
        """The versions in the order in which they were in use; one that came back is there again."""
        query = sa.select(
            mapping_versions.c.hash, mapping_versions.c.first_used_at, mapping_versions.c.effective
        ).where(mapping_versions.c.tenant == tenant)
        uses = (
            sa.select(mapping_uses.c.used_from, mapping_uses.c.hash)
            .where(mapping_uses.c.tenant == tenant)
            .order_by(mapping_uses.c.id)
        )
        with self._transaction() as connection:
            kept = {row.hash: row for row in connection.execute(query)}
            noted = [(row.used_from, row.hash) for row in connection.execute(uses)]
        # Versions that were kept before uses were noted count from their first use on.
        known = {one for _, one in noted}
        noted += [(row.first_used_at, row.hash) for row in kept.values() if row.hash not in known]
        history: list[MappingUse] = []
        for used_from, version in sorted(noted, key=lambda use: use[0]):
            if not history or history[-1].hash != version:
                history.append(MappingUse(version, used_from, json.loads(kept[version].effective)))
        return history

    def plans_of_tenant(self, tenant: str) -> list[Plan]:
        """Every plan of a tenant, in the order in which they were last made."""
        query = (
            sa.select(*[plans.c[name] for name in Plan.__dataclass_fields__])
            .where(plans.c.tenant == tenant)
            .order_by(plans.c.made_at, plans.c.plan_id)
        )
        with self._transaction() as connection:
            return [Plan(**row) for row in connection.execute(query).mappings()]
