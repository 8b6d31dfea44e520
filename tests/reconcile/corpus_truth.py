"""What a reconciliation must say of a corpus month: exactly these differences, tolerated values and exceptions.

It is known which record, and which line, is which; so there is nothing to be matched here. Values are compared as the
documentation for engineers says, one by one, in Python. Not here: planting the defects (`corpus_defects.py`).
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from corpus_books import PERIOD, ZONE, Besides, Books, Line, Pair, Record
from corpus_tenant import KIND_OF, Policy, Rule, names_of, rules
from month import Found

_SPECIAL = {"entity": "wrong_customer", "customer": "wrong_customer", "subsidiary": "wrong_subsidiary", "currency": "wrong_currency"}  # fmt: skip
_WHOLE_LIST = {"missing_in_netsuite", "wrong_customer", "wrong_subsidiary", "wrong_currency", "wrong_period", "not_comparable"}  # fmt: skip
_LINES = {"line_missing", "line_extra", "line_changed"}
_DECIMALS = {"amount", "rate", "quantity"}
_ZERO = Decimal(0)


class Difference(NamedTuple):
    """One row of the list. `rule` is the line of the tenant's file."""

    record: str
    external_id: str | None
    internal_id: str | None
    number: str | None
    name: str | None
    kind: str
    line: int | None
    field: str | None
    expected: str | None
    actual: str | None
    amount: Decimal
    delta: Decimal
    currency: str | None
    owner: str
    matched_by: str | None
    rule: int | None
    changed_by: str | None
    changed_at: datetime | None
    base: str | None = None
    changed_side: str | None = None


class Use(NamedTuple):
    """What one rule took for the same in one field."""

    record: str
    part: str
    field: str
    rule: str
    currency: str | None
    uses: int
    delta: Decimal | None
    greatest: Decimal | None


class Raised(NamedTuple):
    """Something for a person."""

    stage: str
    code: str
    record: str
    external_id: str | None
    internal_id: str | None


@dataclass
class Truth:
    """All that is to be found in a month."""

    books: Books
    differences: list[Difference] = field(default_factory=list)
    exceptions: list[Raised] = field(default_factory=list)
    _tolerated: dict[tuple[str, str, str, str, str | None], list[Decimal | None]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def __post_init__(self) -> None:
        for pair in self.books.pairs:
            self._tell(pair)

    @property
    def tolerated(self) -> list[Use]:
        """The uses of rules, added up."""
        found = []
        for key, deltas in self._tolerated.items():
            numbers = [one for one in deltas if one is not None]
            total, greatest = (sum(numbers, _ZERO), max(map(abs, numbers))) if numbers else (None, None)
            found.append(Use(*key, len(deltas), total, greatest))
        return found

    def gaps(self) -> dict[tuple[str, str | None], Decimal]:
        """Billed, less held back, less held by NetSuite in the month: by record type and currency, where not zero."""
        found: dict[tuple[str, str | None], Decimal] = defaultdict(Decimal)
        for record in self.books.billed():
            if record.kind != "customer" and record.problem is None:
                found[record.kind, record.currency] += record.total or _ZERO
        held = [pair.actual for pair in self.books.pairs if pair.actual is not None]
        held += [one.record for pair in self.books.pairs for one in pair.besides if _is_billings(one.record)]
        for record in held:
            if record.kind != "customer" and record.dated_in == PERIOD:
                found[record.kind, record.currency] -= record.total or _ZERO
        return {key: gap for key, gap in found.items() if gap}

    def gaps_of_documents(self) -> dict[tuple[str, str | None, str | None], Decimal]:
        """The same of each document, by record type, currency, and external id or (of those without) internal id."""
        found: dict[tuple[str, str | None, str | None], Decimal] = defaultdict(Decimal)
        for pair in self.books.pairs:
            if pair.kind not in ("invoice", "creditMemo"):
                continue
            billed, held = pair.expected, pair.actual
            if billed is not None and billed.problem is None:
                found[pair.kind, billed.currency, billed.external_id] += billed.total or _ZERO
            own = [(pair.agreed.external_id, held)] if held is not None else []
            own += [(one.record.external_id or one.record.internal_id, one.record) for one in pair.besides]
            for key, record in own:
                if record.dated_in == PERIOD:
                    found[pair.kind, record.currency, key] -= record.total or _ZERO
        return {key: gap for key, gap in found.items() if gap}

    def totals(self) -> dict[tuple[str, str | None], dict[str, Any]]:
        """The figures that stand side by side, by record type and currency: of invoices and credit memos."""
        found: dict[tuple[str, str | None], dict[str, Any]] = defaultdict(
            lambda: {"billed_documents": 0, "billed_total": _ZERO, "held_back_documents": 0, "held_back_total": _ZERO,
                "netsuite_documents": 0, "netsuite_total": _ZERO}
        )  # fmt: skip
        sides = [("billed", one) for one in self.books.billed()]
        sides += [("held_back", one) for one in self.books.billed() if one.problem is not None]
        sides += [
            ("netsuite", one)
            for one in self.books.held()
            if one.kind != "customer" and one.dated_in == PERIOD
        ]
        for side, record in sides:
            if record.kind in ("invoice", "creditMemo"):
                row = found[record.kind, record.currency]
                row[f"{side}_documents"] += 1
                row[f"{side}_total"] += record.total or _ZERO
        for row in found.values():
            row["difference"] = row["billed_total"] - row["held_back_total"] - row["netsuite_total"]
        return dict(found)

    # One record

    def _tell(self, pair: Pair) -> None:
        expected, actual = pair.expected, pair.actual
        if expected is not None and expected.problem is not None:
            self.exceptions.append(
                Raised("mapping", "no_customer", expected.kind, expected.external_id, None)
            )
            if actual is not None:
                counted = actual.total or _ZERO if actual.dated_in == PERIOD else _ZERO
                self._add(pair, "not_comparable", amount=abs(actual.total or _ZERO), delta=-counted,
                    currency=expected.currency, owner="netsuite")  # fmt: skip
        elif expected is not None and actual is None:
            self._missing(expected, pair.apart)
        elif expected is not None:
            self._both(pair)
        for one in pair.besides:
            self._besides(one)

    def _missing(self, record: Record, apart: str | None) -> None:
        """NetSuite lacks it, or none of NetSuite's is taken for it."""
        total = record.total or _ZERO
        shown = _money(record.currency, total)
        if record.kind == "customer":
            shown = str(record.external_id if apart is None else record.name)
        rule = None if apart == "grouped" else rules()[record.kind]["record"]["external_id"].line
        currency = None if record.kind == "customer" and apart else record.currency
        self.differences.append(
            Difference(record.kind, record.external_id, None, record.number, record.name, apart or "missing_in_netsuite",
                None, None, shown, None, abs(total), total, currency, "netsuite" if apart == "grouped" else "billing",
                "groups" if apart == "grouped" else None, rule, None, None)
        )  # fmt: skip
        if apart is not None:
            self.exceptions.append(Raised("reconcile", apart, record.kind, record.external_id, None))

    def _besides(self, one: Besides) -> None:
        record = one.record
        if not _is_billings(record) or one.kind == "nothing":
            return
        total = record.total or _ZERO
        by = self._who(record, None)
        self.differences.append(
            Difference(record.kind, record.external_id, record.internal_id, record.number, record.name, one.kind, None,
                None, one.expected, _money(record.currency, total), abs(total), -total, record.currency,
                "netsuite" if one.kind == "grouped" else "billing", one.matched_by, None, *by)
        )  # fmt: skip
        if one.kind in ("only_in_netsuite", "duplicate"):
            self.exceptions.append(
                Raised("reconcile", one.kind, record.kind, record.external_id, record.internal_id)
            )

    def _not_linked(self, pair: Pair) -> None:
        """The same record without billing's external id."""
        expected, actual = pair.both
        held = actual.total or _ZERO
        self._add(pair, "not_linked", field="externalId", expected=expected.external_id, actual=actual.external_id,
            amount=abs(held), currency=actual.currency, rule=rules()[expected.kind]["record"]["external_id"].line)  # fmt: skip
        if expected.kind == "customer":
            self.differences[-1] = self.differences[-1]._replace(currency=None)
        self.exceptions.append(
            Raised("reconcile", "not_linked", expected.kind, expected.external_id, actual.internal_id)
        )

    def _both(self, pair: Pair) -> None:
        expected, actual = pair.both
        if pair.matched_by != "external_id":
            self._not_linked(pair)
        is_document = expected.kind != "customer"
        explained = self._lines(pair) if is_document else _ZERO
        held = actual.total or _ZERO
        counted = held if is_document and actual.dated_in == PERIOD else _ZERO
        residue = self._residue(pair, explained) if is_document else _ZERO
        for name, rule in rules()[expected.kind]["fields"].items():
            values = (expected.currency, actual.currency) if name == "currency" else (
                expected.values.get(name), actual.values.get(name))  # fmt: skip
            if name in ("entity", "customer"):
                values = values[0], self._same_customer(values[1])
            if not self._differs(expected, "header", name, *values):
                continue
            kind = _SPECIAL.get(name, "changed") if is_document else "changed"
            amount, delta = _ZERO, _ZERO
            if kind in _WHOLE_LIST:
                amount = abs(expected.total or _ZERO)
            if kind == "wrong_currency":
                delta = counted
            if name == "payment":
                amount, delta, residue = abs(residue), residue, _ZERO
            self._add(pair, kind, field=name, expected=self._shown(name, values[0]), actual=self._shown(name, values[1]),
                amount=amount, delta=delta, owner=_owner(rule, values[1]), rule=rule.line)  # fmt: skip
            if kind == "wrong_currency" and counted:
                self._add(pair, kind, field=name, actual=_money(actual.currency, held), amount=abs(held),
                    delta=-counted, currency=actual.currency, owner=_owner(rule, None), rule=rule.line)  # fmt: skip
        if residue:
            # What NetSuite computes is a person's to correct.
            computed = expected.kind in ("invoice", "creditMemo")
            self._add(pair, "total", field="total", expected=_money(expected.currency, expected.total or _ZERO),
                actual=_money(expected.currency, held), amount=abs(residue), delta=residue,
                owner="netsuite" if computed else "billing")  # fmt: skip
            if computed:
                self.exceptions.append(
                    Raised("reconcile", "total", expected.kind, expected.external_id, actual.internal_id)
                )
        if not is_document:
            return
        if actual.dated_in != PERIOD:
            self._add(
                pair, "wrong_period", expected=PERIOD, actual=actual.dated_in, amount=abs(held), delta=held
            )
        elif expected.kind == "customerPayment":
            self._applied(pair)

    def _same_customer(self, held: str | None) -> str | None:
        """By billing's external id, whatever NetSuite knows the customer by."""
        for pair in self.books.pairs:
            if (
                pair.kind == "customer"
                and pair.actual is not None
                and held == f"internal:{pair.actual.internal_id}"
            ):
                return pair.agreed.external_id
        return held

    def _residue(self, pair: Pair, explained: Decimal) -> Decimal:
        """What the lines do not explain of the total, where that is a difference."""
        expected, actual = pair.both
        billed, held = expected.total or _ZERO, (actual.total or _ZERO) + explained
        return billed - held if self._differs(expected, "header", "total", billed, held) else _ZERO

    def _lines(self, pair: Pair) -> Decimal:
        """Tell of the lines; what they explain of the difference of the totals."""
        expected, actual = pair.both
        explained = _ZERO
        there = {id(one) for one in actual.lines}
        known = {id(one) for one in pair.same_line.values()}
        for mine in expected.lines:
            theirs = pair.same_line.get(mine.number)
            if theirs is None or id(theirs) not in there:
                amount = _moves(mine)
                delta = amount if "amount" in mine.values else _ZERO
                self._add(pair, "line_missing", line=mine.number, expected=self._line(expected, mine),
                    amount=abs(amount), delta=delta)  # fmt: skip
                explained += delta
                continue
            for name, rule in rules()[expected.kind]["lines"].items():
                values = mine.values.get(name), theirs.values.get(name)
                if not self._differs(expected, "line", name, *values):
                    continue
                moved = (
                    (values[0] or _ZERO) - (values[1] or _ZERO)
                    if name in ("amount", "debit", "credit")
                    else _ZERO
                )
                delta = moved if name == "amount" else _ZERO
                self._add(pair, "line_changed", line=mine.number, field=name, expected=self._shown(name, values[0]),
                    actual=self._shown(name, values[1]), amount=abs(moved), delta=delta, owner=rule.owner,
                    rule=rule.line)  # fmt: skip
                explained += delta
        for theirs in actual.lines:
            if id(theirs) not in known:
                amount = _moves(theirs)
                delta = amount if "amount" in theirs.values else _ZERO
                self._add(pair, "line_extra", line=theirs.number, actual=self._line(expected, theirs),
                    amount=abs(amount), delta=-delta)  # fmt: skip
                explained -= delta
        return explained

    def _applied(self, pair: Pair) -> None:
        expected, actual = pair.both
        numbers = {one.external_id: one.number for one in self.books.billed() if one.kind == "invoice"}
        places = {doc: number for number, doc in enumerate(expected.applied, 1)}
        apart = []
        for doc in dict.fromkeys([*expected.applied, *actual.applied]):
            mine, theirs = expected.applied.get(doc), actual.applied.get(doc)
            if mine != theirs:
                base = None if pair.then is None else pair.then.settled_then.get(doc)
                sides = {"billing": mine, "netsuite": theirs} if pair.then is not None else {}
                apart.append((doc, mine, theirs, base, [by for by, now in sides.items() if now != base]))
        # All that a payment settles is written together.
        disputed = {by for *_, changed in apart for by in changed} == {"billing", "netsuite"}
        for doc, mine, theirs, base, changed in apart:
            kind = "line_missing" if theirs is None else "line_extra" if mine is None else "line_changed"
            shown = [
                None if one is None else f"{_money(expected.currency, one)} of {numbers[doc]}"
                for one in (mine, theirs, base)
            ]
            since = shown[2], "both" if len(changed) == 2 else changed[0] if changed else None
            self._add(pair, kind, line=places.get(doc), field="apply", expected=shown[0], actual=shown[1],
                amount=abs((mine or _ZERO) - (theirs or _ZERO)), rule=rules()[expected.kind]["lines"]["amount"].line,
                since=since, disputed=disputed)  # fmt: skip

    def _line(self, record: Record, line: Line) -> str:
        told = [
            self._shown(name, line.values.get(name)) for name in ("account", "item", "description", "memo")
        ]
        side = "" if "debit" not in line.values else " credit" if line.values["debit"] is None else " debit"
        return ", ".join([*(one for one in told if one), _money(record.currency, _moves(line)) + side])

    def _add(
        self,
        pair: Pair,
        kind: str,
        *,
        line: int | None = None,
        field: str | None = None,
        expected: str | None = None,
        actual: str | None = None,
        amount: Decimal = _ZERO,
        delta: Decimal = _ZERO,
        currency: str | None = None,
        owner: str = "billing",
        rule: int | None = None,
        since: tuple[str | None, str | None] | None = None,
        disputed: bool = False,
    ) -> None:
        mine, theirs = pair.both
        base, side = since or self._since(pair, kind, field)
        if side == "both" or disputed:
            owner = "person"
            conflict = Raised("reconcile", "conflict", mine.kind, mine.external_id, theirs.internal_id)
            if conflict not in self.exceptions:
                self.exceptions.append(conflict)
        self.differences.append(
            Difference(mine.kind, mine.external_id, theirs.internal_id, mine.number or theirs.number,
                mine.name or theirs.name, kind, line, field, expected, actual, amount, delta, currency or mine.currency,
                owner, pair.matched_by, rule, *self._who(theirs, field), base, side)
        )  # fmt: skip

    def _since(self, pair: Pair, kind: str, name: str | None) -> tuple[str | None, str | None]:
        """What both sides agreed on before, and who has changed it since."""
        expected, actual = pair.both
        then = pair.then
        if then is None or kind in ("not_linked", "not_comparable"):
            return None, None
        base: str | None = None
        if kind in _LINES:
            sides = [_contents(record) for record in (then, expected, actual)]
        elif kind == "total":
            base = _money(then.currency, then.total or _ZERO)
            sides = [record.total or _ZERO for record in (then, expected, actual)]
        elif name == "currency":
            base = then.currency
            sides = [record.currency for record in (then, expected, actual)]
        else:
            name = "tranDate" if kind == "wrong_period" else str(name)
            base = self._shown(name, then.values.get(name))
            sides = [record.values.get(name) for record in (then, expected, actual)]
        changed = [
            by for by, value in zip(("billing", "netsuite"), sides[1:], strict=True) if value != sides[0]
        ]
        return base, "both" if len(changed) == 2 else changed[0] if changed else None

    def _who(self, record: Record, name: str | None) -> tuple[str | None, datetime | None]:
        """Who last changed the field, or else the record."""
        notes = [
            one
            for one in self.books.notes
            if (one.record, one.internal_id) == (record.kind, record.internal_id)
        ]
        own = [one for one in notes if name is not None and one.field.lower() == name.lower()]
        if not notes:
            return None, None
        last = max(own or notes, key=lambda one: (one.changed_at, one.sequence))
        return last.changed_by, last.changed_at.replace(tzinfo=ZoneInfo(ZONE))

    # One value

    def _differs(self, record: Record, part: str, name: str, mine: Any, theirs: Any) -> bool:
        """Whether two values differ; where a rule takes them for the same, its use is noted."""
        if mine == theirs and type(mine) is type(theirs):
            return False
        rule = rule_of(self.books.policy, part, name, mine, theirs)
        if rule is None:
            return True
        kind = kind_of(name)
        delta, currency = None, None
        if kind in _DECIMALS or kind == "integer":
            delta, currency = Decimal(mine) - Decimal(theirs), record.currency
        elif kind == "date":
            delta = Decimal((mine - theirs).days)
        self._tolerated[record.kind, part, name, rule, currency].append(delta)
        return False

    def _shown(self, name: str, value: Any) -> str | None:
        match kind_of(name), value:
            case _, None:
                return None
            case "reference", _ if name in ("entity", "customer"):
                names = {one.external_id: one.name for one in self.books.billed() if one.kind == "customer"}
                return f"{names[value]} ({value})" if value in names else str(value)
            case "reference", _:
                return names_of(name).get(value, value)
            case "boolean", _:
                return str(value).lower()
            case kind, _ if kind in _DECIMALS:
                return _plain_number(value)
        return str(value)


def rule_of(policy: Policy, part: str, name: str, mine: Any, theirs: Any) -> str | None:
    """The rule by which two values that are not the same as they stand are taken for the same."""
    own = (policy.fields if part == "header" else policy.lines).get(name, {})
    kind = kind_of(name)
    if kind in ("text", "reference", "currency"):
        if kind != "text":
            return None
        forms = (_forms(mine, own), _forms(theirs, own))
        return next((rule for (rule, one), (_, other) in zip(*forms, strict=True) if one == other), None)
    if mine is None or theirs is None:
        return None
    if kind == "date":
        same_month = name != "tranDate" or f"{mine:%Y-%m}" == f"{theirs:%Y-%m}"
        near = abs((mine - theirs).days) <= own.get("days", policy.days)
        return "days" if near and same_month else None
    if kind == "boolean":
        return None
    apart = abs(Decimal(mine) - Decimal(theirs))
    if apart <= Decimal(own.get("amount", policy.amount if kind == "amount" else 0)):
        return "amount"
    if apart * 100 <= Decimal(own.get("percent", 0)) * abs(Decimal(mine)):
        return "percent"
    return None


def _forms(value: str | None, own: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """A text after each rule that applies to it, in the documented order."""
    text = value
    if own.get("unicode") == "NFC":
        text = None if text is None else unicodedata.normalize("NFC", text)
        yield "unicode", text
    if own.get("case") == "ignore":
        text = None if text is None else text.lower()
        yield "case", text
    if (space := own.get("space", "trim")) != "keep":
        if text is not None:
            text = (re.sub(r"\s+", " ", text) if space == "collapse" else text).strip()
        yield "space", text
    if own.get("empty", "absent") == "absent":
        yield "empty", text or None


def kind_of(name: str) -> str:
    """What a field holds."""
    return "amount" if name == "total" else KIND_OF.get(name, "text")


def _is_billings(record: Record) -> bool:
    """Whether the record is billing's at all: journals of another form are booked by others."""
    return record.kind != "journalEntry" or (record.external_id or "").startswith("je-")


def _owner(rule: Rule, theirs: Any) -> str:
    """Whose value counts."""
    if rule.write == "create_only" or (rule.write == "if_empty" and theirs not in (None, "")):
        return "netsuite"
    return rule.owner


def _moves(line: Line) -> Decimal:
    """What a line amounts to."""
    found = next(
        (line.values[name] for name in ("amount", "debit", "credit") if line.values.get(name)), _ZERO
    )
    assert isinstance(found, Decimal)
    return found


def _contents(record: Record) -> list[str]:
    """The lines in any order."""
    return sorted(repr(sorted(line.values.items())) for line in record.lines)


def _plain_number(value: Decimal) -> str:
    shown = f"{value:f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _money(currency: str | None, amount: Decimal) -> str:
    return f"{currency} {_plain_number(amount)}"


# What was found, in the same words


def differences_of(found: Found, books: Books) -> list[Difference]:
    """What a reconciliation found. Lines that are identical are told by the first of them, money without empty places."""
    rows = []
    twins = _twins(books)
    for row in found.differences:
        values = {name: row[name] for name in Difference._fields}
        side = "actual" if row["kind"] == "line_extra" else "expected"
        line = None if row["line"] is None else int(row["line"])
        values["line"] = twins.get((row["external_id"], side, line), line)
        values["rule"] = None if row["rule"] is None else int(row["rule"].rpartition(":")[2])
        for name in ("expected", "actual", "base"):
            values[name] = _same_money(row[name])
        rows.append(Difference(**values))
    return rows


def told_by_the_first(differences: list[Difference], books: Books) -> list[Difference]:
    """The same of what is to be found."""
    twins = _twins(books)
    found = []
    for row in differences:
        side = "actual" if row.kind == "line_extra" else "expected"
        found.append(row._replace(line=twins.get((row.external_id, side, row.line), row.line)))
    return found


def _twins(books: Books) -> dict[tuple[str | None, str, int | None], int]:
    """Document, side and number of a line to the number of the first line that is identical."""
    found: dict[tuple[str | None, str, int | None], int] = {}
    for pair in books.pairs:
        for side, record in (("expected", pair.expected), ("actual", pair.actual)):
            if record is None or record.kind != "creditMemo":
                continue
            document = pair.agreed.external_id
            first: dict[str, int] = {}
            for one in sorted(record.lines, key=lambda each: each.number):
                of_lines = first.setdefault(repr(sorted(one.values.items())), one.number)
                found[document, side, one.number] = of_lines
    return found


def _same_money(shown: str | None) -> str | None:
    return shown and re.sub(r"\b([A-Z]{3}) (-?\d+\.\d+)", lambda at: _money(at[1], Decimal(at[2])), shown)


def parts_of(found: Found, books: Books) -> dict[tuple[str, str | None, str | None], Decimal]:
    """What the parts of the totals' differences add up to, by document as in `Truth.gaps_of_documents`."""
    names = {
        pair.actual.internal_id: pair.agreed.external_id for pair in books.pairs if pair.actual is not None
    }
    added: dict[tuple[str, str | None, str | None], Decimal] = defaultdict(Decimal)
    for row in found.total_parts:
        if row["part"] != "exchange_rate":  # in the base currency
            document = names.get(row["internal_id"]) or row["external_id"] or row["internal_id"]
            added[row["record"], row["currency"], document] += row["amount"]
    return {key: total for key, total in added.items() if total}


def uses_of(found: Found) -> list[Use]:
    """The uses of rules that a reconciliation counted."""
    return [Use(*(row[name] for name in Use._fields)) for row in found.tolerated]


def exceptions_of(found: Found) -> list[Raised]:
    """The exceptions that a reconciliation raised."""
    return [Raised(*(row[name] for name in Raised._fields)) for row in found.exceptions]
