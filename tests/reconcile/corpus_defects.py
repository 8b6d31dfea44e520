"""What can be wrong with a record in NetSuite: one small class a kind of defect.

Here: how NetSuite's side is changed. Not here: what a reconciliation must say of it (`corpus_truth.py`).

Defects that touch the same thing are never planted together; others are, in any combination. In dollars, euros, yen and
Kuwaiti dinars, of two, none and three places, from the last place to 10^12 of them.

| what is wrong | defects by their names in `DEFECTS` |
|:--|:--|
| NetSuite lacks it; it cannot be mapped | missing; held back |
| NetSuite alone has it | unknown to billing; voided in billing; somebody's journal (none of billing's) |
| NetSuite has it twice | second by its number, second that is alike, second in another month |
| a field of the header, or a text written otherwise | `<field> off`, of each mapped field of each record type |
| customer, subsidiary, currency, month | another customer, subsidiary off, another currency, another month, of another month |
| a line: lacking, more, twice, or a field of it | line missing, unknown line, line extra (each with and without ids), line `<field> off` |
| the total | total off, payment off |
| journals | all of the header and of lines; known from before |
| payments and what they settle | applied otherwise, not applied, applied elsewhere, of an unlinked invoice |
| the external id was lost, or never given | known from before, known by its number, known by rules, known by name, merged |
| several that may be it: ambiguous | two that fit, one for two, two of a name |
| groups | split, split in three, put together, three put together, cut otherwise |
| who has changed it since both agreed | memo, name, lines or applications changed by billing since, by netsuite since, by billing and netsuite since (a conflict) |
| open on one side, or open by another amount | `corpus_drift.py` |
"""

from __future__ import annotations

import copy
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, ClassVar

from corpus_books import CUSTOMERS, PREFIX, Besides, Books, Line, Pair, Record, amount, new_record
from corpus_tenant import CURRENCY_ID, KIND_OF, PRECISION, names_of, rules

PEOPLE = ("Ada Example", "Ben Öztürk", "-System-")
#: Which record types have which lines and totals.
INVOICING = ("invoice", "creditMemo")
DOCUMENTS = (*INVOICING, "customerPayment", "journalEntry")


@dataclass(frozen=True)
class Defect:
    """Something that is wrong with a record. `touches` are the parts of the record that it needs for itself."""

    name: str
    records: Sequence[str]
    touches: frozenset[str]
    whole: ClassVar[bool] = False

    def goes_with(self, other: Defect) -> bool:
        """Whether both can be planted in one record."""
        return not (self.touches & other.touches or self.whole or other.whole)

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        """Change NetSuite's side; False where there is nothing to change."""
        raise NotImplementedError


# Fields


@dataclass(frozen=True)
class FieldOff(Defect):
    """A field of the header has another value, or one that a tolerance may take for the same."""

    field: str = ""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        value = other_value(rng, self.field, expected.values.get(self.field), str(expected.currency))
        actual.values[self.field] = value
        if self.field == "payment":
            actual.total = value
        note_it(rng, books, actual, self.field)
        return True


@dataclass(frozen=True)
class CustomerOff(Defect):
    """It is booked to another customer."""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        name = "customer" if expected.kind == "customerPayment" else "entity"
        others = [one for one in [*CUSTOMERS, "internal:999"] if one != expected.values[name]]
        actual.values[name] = rng.choice(others)
        actual.name = CUSTOMERS.get(actual.values[name], "Somebody Else")
        note_it(rng, books, actual, name)
        return True


@dataclass(frozen=True)
class CurrencyOff(Defect):
    """It is booked in another currency."""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        actual.currency = rng.choice([one for one in PRECISION if one != expected.currency])
        actual.values["currency_id"] = CURRENCY_ID[actual.currency]
        note_it(rng, books, actual, "currency")
        return True


@dataclass(frozen=True)
class MonthOff(Defect):
    """It is dated in another month."""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        _, actual = pair.both
        days = [date(2026, 9, 30), date(2026, 11, 1)]
        nearest = min(days, key=lambda one: abs(one - actual.values["tranDate"]))
        actual.values["tranDate"] = rng.choice([nearest, nearest, date(2025, 10, 15)])
        note_it(rng, books, actual, "tranDate")
        return True


@dataclass(frozen=True)
class TotalOff(Defect):
    """Its total is another than the lines say."""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        _, actual = pair.both
        actual.move(step(rng, str(actual.currency), actual.total or Decimal(0)))
        return True


# Lines


@dataclass(frozen=True)
class LineFieldOff(Defect):
    """A field of a line has another value; the total follows an amount."""

    field: str = ""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        line = a_line(
            rng, pair, lambda one: self.field not in ("debit", "credit") or one.values[self.field] is not None
        )
        if line is None:
            return False
        before = line.values[self.field]
        line.values[self.field] = after = other_value(rng, self.field, before, str(expected.currency))
        if self.field in ("amount", "debit"):
            actual.move(after - before)
        note_it(rng, books, actual, self.field)
        return True


@dataclass(frozen=True)
class LineMissing(Defect):
    """A line is not there."""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        _, actual = pair.both
        line = a_line(rng, pair)
        if line is None or len(actual.lines) == 1:
            return False
        actual.lines.remove(line)
        _follow(actual, line, -1)
        return True


@dataclass(frozen=True)
class LineExtra(Defect):
    """A line is there twice, or one that billing does not know."""

    again: bool = True

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        _, actual = pair.both
        like = a_line(rng, pair)
        if like is None:
            return False
        number = max(one.number for one in actual.lines) + rng.randint(1, 5)
        more = Line(number, dict(like.values), f"{like.key}+{number}")
        if not self.again:
            name = "description" if "description" in more.values else "memo"
            more.values[name] = f"Setup fee {number}"
        if "custcol_billing_line" in more.values:  # a copy of it would be the line itself
            more.values["custcol_billing_line"] = f"by hand {number}"
        actual.lines.append(more)
        _follow(actual, more, 1)
        return True


def _follow(record: Record, line: Line, sign: int) -> None:
    record.move(sign * (line.values.get("amount") or line.values.get("debit") or Decimal(0)))


# Whole records


@dataclass(frozen=True)
class Missing(Defect):
    """NetSuite does not have it."""

    whole: ClassVar[bool] = True

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        pair.actual = None
        return True


@dataclass(frozen=True)
class HeldBack(Defect):
    """Billing's side cannot be mapped, whether NetSuite has it or not."""

    whole: ClassVar[bool] = True

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        pair.agreed.problem = "it names no customer."
        if rng.random() < 0.5:
            pair.actual = None
        elif rng.random() < 0.3:
            pair.both[1].values["tranDate"] = date(2026, 11, 1)
        return True


@dataclass(frozen=True)
class Second(Defect):
    """NetSuite holds it once more without its external id: by its number, or alike in all that counts."""

    by_number: bool = True

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        more = besides(books, actual, expected)
        if self.by_number:
            more.total = amount(rng, str(expected.currency))
            more.values["tranDate"] = date(2026, 10, rng.randint(1, 31))
        else:
            more.values["otherRefNum"] = rng.choice([None, "", " "])
        pair.besides.append(Besides(more, "duplicate", f"once, as {expected.external_id}"))
        return True


@dataclass(frozen=True)
class SecondElsewhere(Defect):
    """NetSuite holds it once more in another month, which is that month's to tell."""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        more = besides(books, actual, expected)
        more.values["tranDate"] = date(2026, 11, 2)
        pair.besides.append(Besides(more, "nothing"))
        return True


@dataclass(frozen=True)
class Unknown(Defect):
    """NetSuite holds a document like it that billing does not know."""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        more = besides(books, actual, expected)
        more.total = (expected.total or Decimal(0)) + amount(rng, str(expected.currency), positive=True) + 100
        if "payment" in more.values:
            more.values["payment"] = more.total
        if "otherRefNum" in more.values:
            more.values["otherRefNum"] = f"PO {more.internal_id}"
        if expected.kind == "journalEntry" or rng.random() < 0.5:
            more.external_id = f"{PREFIX[expected.kind]}-unknown{more.internal_id}"
        pair.besides.append(Besides(more, "only_in_netsuite"))
        return True


@dataclass(frozen=True)
class OfAnotherMonth(Defect):
    """NetSuite dates a document of another month in this one."""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        more = besides(books, actual, expected)
        source = f"old{more.internal_id}"
        more.external_id = f"{PREFIX[expected.kind]}-{source}"
        if "otherRefNum" in more.values:
            more.values["otherRefNum"] = f"N-{source}"
        issued = rng.choice([date(2026, 9, 30), date(2026, 11, 1), date(2024, 2, 29)])
        books.issued_elsewhere[source] = issued
        pair.besides.append(Besides(more, "wrong_period", f"{issued:%Y-%m}"))
        return True


@dataclass(frozen=True)
class Voided(Defect):
    """Billing has voided a document that NetSuite holds still."""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        more = besides(books, actual, expected)
        source = f"void{more.internal_id}"
        more.external_id = f"{PREFIX[expected.kind]}-{source}"
        more.values["otherRefNum"] = f"N-{source}"
        books.issued_elsewhere[source] = more.values["tranDate"]
        books.voided.append((expected.kind, source))
        pair.besides.append(Besides(more, "only_in_netsuite", "voided"))
        return True


@dataclass(frozen=True)
class SomebodysJournal(Defect):
    """A journal that somebody else booked: none of billing's concern."""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        more = besides(books, actual, expected)
        more.external_id = f"payroll-{more.internal_id}"
        if rng.random() < 0.5:
            more.external_id, more.total = None, (expected.total or Decimal(0)) + 7
        pair.besides.append(Besides(more, "nothing"))
        return True


# Since both sides agreed


@dataclass(frozen=True)
class ChangedSince(Defect):
    """Both sides had the same when they were compared before; billing, NetSuite or both have changed a field since."""

    field: str = ""
    by: tuple[str, ...] = ()

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        pair.former_id, pair.agreed_then = actual.internal_id, copy.deepcopy(expected)
        if "billing" in self.by:
            expected.values[self.field] = f"Corrected in billing {expected.number}"
        if "netsuite" in self.by:
            actual.values[self.field] = f"By hand in NetSuite {expected.number}"
            note_it(rng, books, actual, self.field)
        if self.field == "companyName":
            expected.name, actual.name = expected.values[self.field], actual.values[self.field]
        return True


@dataclass(frozen=True)
class LinesChangedSince(Defect):
    """The same of lines, which are one value: each side may have changed another line."""

    whole: ClassVar[bool] = True
    by: tuple[str, ...] = ()

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        name = "memo" if expected.kind == "journalEntry" else "description"
        pair.former_id, pair.agreed_then = actual.internal_id, copy.deepcopy(expected)
        first = expected.lines[0]
        if "billing" in self.by:
            first.values[name] = f"Corrected in billing {expected.number}"
        if "netsuite" in self.by:
            line = pair.same_line[first.number]
            line.values[name] = f"By hand in NetSuite {expected.number}"
            note_it(rng, books, actual, name)
        return True


# Records that their external id does not join


@dataclass(frozen=True)
class KnownFromBefore(Defect):
    """Its external id was wiped or overwritten after it had been compared once."""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        pair.matched_by, pair.former_id = "internal_id", actual.internal_id
        actual.external_id = (
            None if expected.kind == "journalEntry" else rng.choice([None, f"by hand {actual.internal_id}"])
        )
        note_it(rng, books, actual, "externalId")
        return True


@dataclass(frozen=True)
class KnownByNumber(Defect):
    """It never had an external id, or another one, but bears billing's number and is the same customer's."""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        _, actual = pair.both
        pair.matched_by = "number"
        actual.external_id = rng.choice([None, f"by hand {actual.internal_id}"])
        return True


@dataclass(frozen=True)
class KnownByRules(Defect):
    """It has neither external id nor number, but nothing else is like it in customer, amount, date and memo."""

    whole: ClassVar[bool] = True

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        if abs(expected.total or Decimal(0)) < 1000:
            return False
        pair.matched_by, actual.external_id = "rules", None
        if rng.random() < 0.5:
            actual.values["tranDate"] = other_value(rng, "tranDate", expected.values["tranDate"], "")
        actual.move(rng.choice([Decimal(0), Decimal(0), Decimal("0.01"), Decimal("-0.01")]))
        if "payment" in actual.values:
            actual.values["payment"] = actual.total
        else:
            actual.values["otherRefNum"] = None
        return True


@dataclass(frozen=True)
class KnownByName(Defect):
    """A customer without its external id, known by name and e-mail domain; its invoice is still its own."""

    whole: ClassVar[bool] = True

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        own_domain(pair)
        pair.matched_by, actual.external_id = "name", None
        bill = new_record(rng, "invoice", str(expected.currency), 1, f"of-{expected.number}")
        bill.values["entity"], bill.name = expected.external_id, expected.name
        added = books.add(bill)
        added.both[1].values["entity"] = f"internal:{actual.internal_id}"
        return True


@dataclass(frozen=True)
class Merged(Defect):
    """A customer was merged into one that billing does not know, who has its invoice now."""

    whole: ClassVar[bool] = True

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        pair.matched_by, pair.former_id = "merged", actual.internal_id
        actual.internal_id, actual.external_id = books.new_id(), None
        actual.name = actual.values["companyName"] = f"Holding of {expected.number}"
        bill = new_record(rng, "invoice", str(expected.currency), 1, f"of-{expected.number}")
        bill.values["entity"], bill.name = expected.external_id, expected.name
        added = books.add(bill)
        added.both[1].values["entity"] = f"internal:{actual.internal_id}"
        return True


@dataclass(frozen=True)
class TwoOfAName(Defect):
    """Two customers of NetSuite's could be the one: none is taken."""

    whole: ClassVar[bool] = True

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        own_domain(pair)
        for record in (pair.both[1], besides(books, *reversed(pair.both))):
            record.external_id = None
            pair.besides.append(Besides(record, "nothing"))
        pair.actual, pair.apart = None, "ambiguous"
        return True


@dataclass(frozen=True)
class TwoThatFit(Defect):
    """Two documents of NetSuite's could be the one, by number or by all else: none is taken."""

    whole: ClassVar[bool] = True

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        if abs(expected.total or Decimal(0)) < 1000:
            return False
        number = rng.choice([expected.values.get("otherRefNum"), None])
        for record in (actual, besides(books, actual, expected)):
            record.external_id = None
            if "otherRefNum" in record.values:
                record.values["otherRefNum"] = number
            pair.besides.append(Besides(record, "ambiguous"))
        pair.actual, pair.apart = None, "ambiguous"
        return True


@dataclass(frozen=True)
class OneForTwo(Defect):
    """Two of billing's documents could be the one that NetSuite holds: it is taken for none."""

    whole: ClassVar[bool] = True

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        if abs(expected.total or Decimal(0)) < 1000:
            return False
        expected.applied, actual.applied, actual.external_id = {}, {}, None
        again = copy.deepcopy(expected)
        again.external_id = f"{expected.external_id}-again"
        if "otherRefNum" in actual.values and rng.random() < 0.5:
            actual.values["otherRefNum"] = None
        books.pairs.append(Pair(again, None, apart="ambiguous"))
        pair.besides.append(Besides(actual, "ambiguous"))
        pair.actual, pair.apart = None, "ambiguous"
        return True


@dataclass(frozen=True)
class Regrouped(Defect):
    """Documents of billing's add up to others of NetSuite's, of a customer of whom nothing else is open: one that was
    split, several that were put together, or cut otherwise.
    """

    whole: ClassVar[bool] = True
    billed: int = 1
    held: int = 1

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        unit = Decimal(1).scaleb(-PRECISION[str(expected.currency)])
        key = f"group{actual.internal_id}"
        customer = books.add(new_record(rng, "customer", "USD", 0, key)).agreed
        expected.values["customer" if expected.kind == "customerPayment" else "entity"] = customer.external_id
        expected.name, expected.lines, expected.applied = customer.name, expected.lines[:1], {}
        whole = rng.randint(8_000_000, 20_000_000)
        sides = []
        for parts in (self.billed, self.held):
            cuts = sorted(rng.sample(range(100_000, 7_900_000), parts - 1))
            sides.append(
                [(end - start) * unit for start, end in zip([0, *cuts], [*cuts, whole], strict=True)]
            )
        for number, total in enumerate(sides[0]):
            record = expected if number == 0 else copy.deepcopy(expected)
            _hold(record, total)
            if number:
                record.external_id = f"{expected.external_id}-{number}"
                books.pairs.append(Pair(record, None, apart="grouped"))
        for total in sides[1]:
            record = besides(books, actual, expected)
            _hold(record, total)
            record.values["memo"] = "regrouped"
            if "otherRefNum" in record.values:
                record.values["otherRefNum"] = None
            pair.besides.append(Besides(record, "grouped", matched_by="groups"))
        pair.actual, pair.apart = None, "grouped"
        return True


def _hold(record: Record, total: Decimal) -> None:
    record.total = total
    if "payment" in record.values:
        record.values["payment"] = total


def own_domain(pair: Pair) -> None:
    """Give a customer an e-mail domain and a name like no other's."""
    for record in pair.both:
        record.name = record.values["companyName"] = (
            f"{record.values['custentity_billing_id']} unlike {pair.agreed.number}"
        )
        record.values["email"] = f"billing@c{pair.agreed.number}.example"


# What payments settle


@dataclass(frozen=True)
class AppliedOff(Defect):
    """A payment settles another amount of an invoice."""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        _, actual = pair.both
        doc = rng.choice(list(actual.applied))
        actual.applied[doc] += rng.choice([-1, 1]) * Decimal(1).scaleb(-PRECISION[str(pair.agreed.currency)])
        return True


@dataclass(frozen=True)
class NotApplied(Defect):
    """A payment does not settle an invoice that it should."""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        _, actual = pair.both
        del actual.applied[rng.choice(list(actual.applied))]
        return True


@dataclass(frozen=True)
class AppliedSince(Defect):
    """Both sides had agreed on what a payment settles; billing, or both, settle another amount of an invoice now."""

    by: tuple[str, ...] = ()

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        pair.former_id, pair.agreed_then = actual.internal_id, copy.deepcopy(expected)
        doc = rng.choice(list(expected.applied))
        unit = Decimal(1).scaleb(-PRECISION[str(expected.currency)])
        for by, record, units in (("billing", expected, 1), ("netsuite", actual, 2)):
            if by in self.by:
                record.applied[doc] += units * unit
        return True


@dataclass(frozen=True)
class OfAnUnlinkedInvoice(Defect):
    """A payment settles an invoice that NetSuite holds without its external id: as it should."""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        expected, actual = pair.both
        bill = new_record(rng, "invoice", str(expected.currency), 1, f"paid-{expected.number}")
        added = books.add(bill)
        added.matched_by, added.both[1].external_id = "number", None
        for record in (expected, actual):
            record.applied[str(bill.external_id)] = Decimal(1)
        return True


@dataclass(frozen=True)
class AppliedElsewhere(Defect):
    """A payment settles another invoice than it should."""

    def plant(self, rng: Random, books: Books, pair: Pair) -> bool:
        _, actual = pair.both
        doc = rng.choice(list(actual.applied))
        others = [
            one.external_id
            for one in books.billed()
            if one.kind == "invoice" and str(one.external_id).startswith("inv-base") and one.external_id not in actual.applied
        ]  # fmt: skip
        actual.applied[str(rng.choice(others))] = actual.applied.pop(doc)
        return True


# How values change


def step(rng: Random, currency: str, of: Decimal) -> Decimal:
    """A change of an amount: the currency's last place, a part of a cent, a little of it, or much."""
    unit = Decimal(1).scaleb(-PRECISION[currency])
    little = (of * Decimal("0.004")).quantize(Decimal("0.0001"))
    change = rng.choice(
        [unit, unit, Decimal("0.0001"), Decimal("0.01"), little or unit, amount(rng, currency)]
    )
    return rng.choice([-1, 1]) * change


def other_value(rng: Random, name: str, value: Any, currency: str) -> Any:
    """Another value for a field, or the same value written otherwise."""
    match KIND_OF.get(name, "text"):
        case "date":
            if value is None:
                return date(2026, 1, 31)
            days = [timedelta(one) for one in (-4, -3, -2, -1, 1, 2, 3, 4)]
            if name == "tranDate":
                return rng.choice([value + one for one in days if (value + one).month == value.month])
            by = rng.choice(days)
            return rng.choice([value + by, value + 30 * by, None])
        case "amount" if name == "custbody_credit_limit":
            return rng.choice(
                [one for one in (None, Decimal(0), Decimal("10.51"), Decimal(11)) if one != value]
            )
        case "amount":
            return value + step(rng, currency, value)
        case "rate" | "quantity":
            apart = rng.choice(
                [Decimal("0.0001"), Decimal("0.00010001"), value * Decimal("0.004"), Decimal(5)]
            )
            return rng.choice([value + apart.quantize(Decimal("1e-9")), None])
        case "integer":
            return rng.choice([None, 8]) if value is not None else 0
        case "boolean":
            return rng.choice([one for one in (True, False, None) if one is not value])
        case "reference":
            return rng.choice([one for one in [*names_of(name), None] if one != value])
    return other_text(rng, value)


def other_text(rng: Random, text: str | None) -> str | None:
    """Another text, or the same with other spaces, case or letters."""
    if not text:
        return rng.choice(["by hand", "", " "] if text is None else ["by hand"])
    inside = text.replace(" ", "\u00a0 ", 1) if " " in text else f"{text} "
    choices = [
        None, "", "by hand", f"{text}!", f" {text}", f"{text} ", text.upper(), inside,
        unicodedata.normalize("NFD", text), unicodedata.normalize("NFD", f" {inside.upper()}"),
    ]  # fmt: skip
    return rng.choice([one for one in choices if one != text])


def note_it(rng: Random, books: Books, record: Record, name: str) -> None:
    """NetSuite notes who changed it: it may, and may note more."""
    at = datetime(2026, 10, 28, 9, 0)  # noqa: DTZ001 - the account's local time
    if rng.random() < 0.5:
        for _ in range(rng.randint(1, 3)):
            at += timedelta(seconds=rng.choice([0, 1, 3600, 5 * 86400]))
            shown = name.upper() if name.startswith("cust") else name
            books.note(record, shown, rng.choice(PEOPLE), at)
    if rng.random() < 0.2:
        books.note(
            record, "lastmodifieddate", "Somebody", at + timedelta(seconds=rng.choice([-7200, 0, 7200]))
        )


def a_line(rng: Random, pair: Pair, fits: Callable[[Line], bool] = lambda _: True) -> Line | None:
    """One of NetSuite's lines that is as it should be, and of which there are as many as there should be."""
    expected, actual = pair.both
    there = {id(one) for one in actual.lines}
    same = [
        theirs
        for mine in expected.lines
        if (theirs := pair.same_line.get(mine.number)) is not None
        and id(theirs) in there
        and theirs.values == mine.values
        and _alike(expected, mine) == _alike(actual, mine)
        and fits(theirs)
    ]
    return rng.choice(same) if same else None


def _alike(record: Record, line: Line) -> int:
    return sum(one.values == line.values for one in record.lines)


def besides(books: Books, actual: Record, expected: Record) -> Record:
    """One record more in NetSuite, as billing's is but without an external id."""
    more = replace(copy.deepcopy(expected), internal_id=books.new_id(), external_id=None, problem=None)
    more.number, more.applied = f"T-{more.internal_id}", {}
    for one in more.lines:
        one.key = f"{more.internal_id}/{one.number}"
    return more


# All of them


def _all() -> Iterator[Defect]:
    fields: dict[str, list[str]] = {}
    lines: dict[str, list[str]] = {}
    for record, parts in rules().items():
        for name in parts["fields"]:
            fields.setdefault(name, []).append(record)
        for name in parts["lines"]:
            if record != "customerPayment":
                lines.setdefault(name, []).append(record)
    for name, records in fields.items():
        if name in ("entity", "customer", "currency"):
            continue
        touches = {name} | ({"total"} if name == "payment" else set())
        yield FieldOff(f"{name} off", records, frozenset(touches), name)
    yield CustomerOff("another customer", DOCUMENTS[:3], frozenset({"entity"}))
    yield CurrencyOff("another currency", (*DOCUMENTS, "customer"), frozenset({"currency"}))
    yield MonthOff("another month", DOCUMENTS, frozenset({"tranDate", "month"}))
    yield TotalOff("total off", INVOICING, frozenset({"total"}))
    for name, records in lines.items():
        if name == "custcol_billing_line":
            continue
        for record in records:
            # Without an id of its own a line is known by item and description, or (in journals) by its place alone.
            touches = {f"line {name}"}
            if record == "creditMemo" and name in ("item", "description"):
                touches |= {"which line"}
            if record == "journalEntry":
                touches |= {"place"}
            yield LineFieldOff(f"line {name} off ({record})", [record], frozenset(touches), name)
    yield LineMissing("line missing", ("invoice",), frozenset({"one less"}))
    yield LineMissing(
        "line missing, without ids", ("creditMemo", "journalEntry"), frozenset({"which line", "place"})
    )
    yield LineExtra("line extra", ("invoice",), frozenset({"one more"}))
    yield LineExtra("unknown line", ("invoice",), frozenset({"one more"}), again=False)
    yield LineExtra(
        "line extra, without ids", ("creditMemo", "journalEntry"), frozenset({"which line", "place"})
    )
    yield LineExtra(
        "unknown line, without ids",
        ("creditMemo", "journalEntry"),
        frozenset({"which line", "place"}),
        again=False,
    )
    yield Missing("missing", (*DOCUMENTS, "customer"), frozenset())
    yield HeldBack("held back", DOCUMENTS, frozenset())
    yield Second("second by its number", INVOICING, frozenset({"second"}))
    yield Second("second that is alike", INVOICING, frozenset({"alike"}), by_number=False)
    yield SecondElsewhere("second in another month", DOCUMENTS[:3], frozenset({"second elsewhere"}))
    yield Unknown("unknown to billing", DOCUMENTS, frozenset({"unknown"}))
    yield OfAnotherMonth("of another month", DOCUMENTS, frozenset({"of another month"}))
    yield Voided("voided in billing", INVOICING, frozenset({"voided"}))
    for by in (("billing",), ("netsuite",), ("billing", "netsuite")):
        said = f"changed by {' and '.join(by)} since"
        since = frozenset({"external id", "unlinked invoice"})
        yield ChangedSince(f"memo {said}", DOCUMENTS, since | {"memo"}, "memo", by)
        yield ChangedSince(f"name {said}", ("customer",), since | {"companyName"}, "companyName", by)
        yield AppliedSince(f"applications {said}", ("customerPayment",), since | {"applied"}, by)
        yield LinesChangedSince(f"lines {said}", (*INVOICING, "journalEntry"), frozenset(), by)
    external = frozenset({"external id", "month"})
    yield KnownFromBefore(
        "known from before", (*DOCUMENTS, "customer"), external | {"second", "alike", "unknown"}
    )
    yield KnownByNumber(
        "known by its number",
        INVOICING,
        # Another one with its number, in whatever month, would make it ambiguous.
        external | {"otherRefNum", "entity", "second", "alike", "second elsewhere", "currency"},
    )
    yield KnownByRules("known by rules", DOCUMENTS[:3], frozenset())
    yield KnownByName("known by name", ("customer",), frozenset())
    yield Merged("merged", ("customer",), frozenset())
    yield TwoOfAName("two of a name", ("customer",), frozenset())
    yield TwoThatFit("two that fit", DOCUMENTS[:3], frozenset())
    yield OneForTwo("one for two", DOCUMENTS[:3], frozenset())
    for name, billed, held in (
        ("split", 1, 2), ("split in three", 1, 3), ("put together", 2, 1), ("three put together", 3, 1), ("cut otherwise", 2, 2),
    ):  # fmt: skip
        yield Regrouped(name, DOCUMENTS[:3], frozenset(), billed, held)
    yield SomebodysJournal("somebody's journal", ("journalEntry",), frozenset({"somebody"}))
    yield AppliedOff("applied otherwise", ("customerPayment",), frozenset({"applied"}))
    yield OfAnUnlinkedInvoice("of an unlinked invoice", ("customerPayment",), frozenset({"unlinked invoice"}))
    yield NotApplied("not applied", ("customerPayment",), frozenset({"applied"}))
    yield AppliedElsewhere("applied elsewhere", ("customerPayment",), frozenset({"applied"}))


DEFECTS = {one.name: one for one in _all()}


def of_record(record: str) -> list[Defect]:
    """The defects that a record of this type can have."""
    return [one for one in DEFECTS.values() if record in one.records]


def compatible(names: Sequence[str]) -> list[Defect]:
    """Of these defects those that go with all that come before them."""
    kept: list[Defect] = []
    for one in (DEFECTS[name] for name in names):
        if all(one.goes_with(other) for other in kept):
            kept.append(one)
    return kept
