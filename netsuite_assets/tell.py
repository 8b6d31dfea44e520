"""How numbers and tables are shown to people: in asset metadata, on the printed page, in messages.

Here: formatting only. Not here: what is worth showing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

#: Decimal places by ISO 4217 currency, where it is not two.
_PLACES = {
    "BHD": 3, "CLP": 0, "IQD": 3, "ISK": 0, "JOD": 3, "JPY": 0, "KRW": 0, "KWD": 3, "LYD": 3, "OMR": 3,
    "PYG": 0, "TND": 3, "UGX": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
}  # fmt: skip


def money(amount: Decimal, currency: str | None) -> str:
    """An amount with its currency's places and thousands separators: `EUR 1,234.50`.

    An amount that has more places is shown with all of them: nothing is rounded for show.
    """
    exponent = amount.normalize().as_tuple().exponent
    own = -exponent if isinstance(exponent, int) else 0
    places = max(_PLACES.get(currency or "", 2), own)
    return f"{currency} {amount:,.{places}f}" if currency else f"{amount:,.{places}f}"


def moneys(amounts: Mapping[str, Decimal]) -> str:
    """Amounts of several currencies: `EUR 10.00; USD 1,299.50`, or a dash when there are none."""
    return "; ".join(money(amount, currency) for currency, amount in sorted(amounts.items())) or "–"


#: Rows of a table that people are shown, unless said otherwise.
SHOWN = 50


def markdown(
    headings: Sequence[str], rows: Sequence[Sequence[object]], *, limit: int = SHOWN, more: int = 0
) -> str:
    """A Markdown table. Headings that begin with `>` are right-aligned.

    Says how many rows were left out; `more` are those that were not even given.
    """
    titles = [heading.removeprefix(">") for heading in headings]
    lines = [
        "| " + " | ".join(titles) + " |",
        "| " + " | ".join("--:" if heading.startswith(">") else ":--" for heading in headings) + " |",
    ]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows[:limit]]
    if not rows:
        return "Nothing."
    left_out = max(len(rows) - limit, 0) + more
    if left_out:
        lines.append(f"\n… and {left_out:,} more.")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None or str(value) == "<NA>":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def count(number: int, singular: str, more: str | None = None) -> str:
    """`1 invoice`, `1,204 invoices`, `3 journal entries`."""
    return f"{number:,} {singular if number == 1 else more or plural(singular)}"


def plural(singular: str) -> str:
    """`invoices`, `journal entries`: the regular plural of a word."""
    is_y = singular.endswith("y") and singular[-2:-1] not in "aeiou"
    return f"{singular[:-1]}ies" if is_y else f"{singular}s"
