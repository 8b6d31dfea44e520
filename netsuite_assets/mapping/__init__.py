"""The tenant's mapping, compiled: billing records become the records that NetSuite should hold.

`compile_mapping(tenant)` checks the rules and gives the SQL that fills the `expected` tables, the REST bodies to
send and the explanation of each value. Plain modules; nothing here imports Dagster.
"""

from netsuite_assets.mapping.compiler import Explained, MappedField, Mapping, RecordMapping, compile_mapping

__all__ = ["Explained", "MappedField", "Mapping", "RecordMapping", "compile_mapping"]
