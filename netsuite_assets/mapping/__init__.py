"""The tenant's mapping, compiled: billing records become the records that NetSuite should hold.

`compiler.compile_mapping(tenant)` checks the rules and gives the SQL that fills the `expected` tables, the REST
bodies to send and the explanation of each value. `assets` is the stage's Dagster side; the other modules import
no Dagster, and nothing is imported here, so that definitions load fast.
"""
