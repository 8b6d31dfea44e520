"""Data tests declared in YAML as dbt's are, compiled to Dagster asset checks.

`claims.py` is what can be tested, `declared.py` reads the YAML, `questions.py` asks it of a tenant's working file,
`checks.py` shows it in Dagster. Importing the package imports none of them.
"""
