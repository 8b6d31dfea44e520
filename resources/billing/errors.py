"""What a billing source says when it cannot be read, or does not take what flows back to it.

Here: the exceptions of every billing platform module, built from their parts in one place.
Not here: how a source is read, nor what is done about a failure.
"""

from __future__ import annotations


class BillingError(Exception):
    """A billing source that cannot be read or written, said for a person.

    `attempted` is what was being done, `problem` what stood in the way (the other system's own words
    included), `next_step` the mend. The rest says where: the canonical or real table, the column, the
    row's key and the key in the tenant's YAML, each where it applies. No part ever holds a password.
    """

    def __init__(
        self,
        attempted: str,
        problem: str,
        next_step: str,
        *,
        table: str | None = None,
        column: str | None = None,
        row: str | None = None,
        yaml_key: str | None = None,
    ) -> None:
        self.attempted = attempted
        self.problem = problem
        self.next_step = next_step
        self.table = table
        self.column = column
        self.row = row
        self.yaml_key = yaml_key
        super().__init__(f"{attempted}: {problem} {next_step}")


class ReturnInDoubt(BillingError):
    """It is not known whether billing took what was returned to it."""
