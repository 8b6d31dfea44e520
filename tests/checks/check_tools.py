"""Names that the tests of the checks share."""

from __future__ import annotations

from collections.abc import Callable

from dbt_like_checks.questions import Answer

MONTH = "2026-10"

Asks = Callable[[str], Answer]
