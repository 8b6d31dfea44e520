"""What is wrong in a demo tenant's books: seeded defects, each listed, so that findings can be held against the list.

Here: choosing the documents and customers to spoil, and how; pure, at the level of billing documents. Not here: how
a document looks in NetSuite (`bodies.py`), nor writing it (`books.py`).

A document or customer has at most one defect, so that every finding has one cause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from demo.documents import Billing, Document, Line, rounded
from demo.planted import Booking, Books, Kind, Planted, Record, customer_eid, document_eid
from demo.usage import PLANS, month_days


def plant(billing: Billing, month: str, random: Random, counts: Mapping[Kind, int]) -> Books:
    """The books of a tenant: all that can be booked, less and other than billed by `counts` defects in `month`.

    Where the month has no document or customer left that a defect fits, as in a small file of somebody's own, it has
    fewer of them. Documents of other months are booked as billed. Documents without a customer cannot be booked at all, so the books
    lack them without a defect being planted.
    """
    return _Planter(billing, month, random).plant(counts)


class _NothingFits(Exception):
    """The month has nothing left that a defect of this kind can be made of."""


class _Planter:
    def __init__(self, billing: Billing, month: str, random: Random) -> None:
        self._random = random
        self._month = month
        self._customers = {customer.id: customer for customer in billing.customers}
        self._booked: dict[str, Booking] = {}
        for record, documents in (("invoice", billing.invoices), ("creditMemo", billing.credit_notes)):
            for document in documents:
                if document.customer_id is not None:
                    external_id = document_eid(record, document)  # type: ignore[arg-type]
                    self._booked[external_id] = Booking(record, external_id, document)  # type: ignore[arg-type]
        # NetSuite refuses some changes to what is paid or credited: none of that has a defect.
        settled = {f"inv-{invoice}" for payment in billing.payments for invoice, _ in payment.applications}
        for note in billing.credit_notes:
            if note.invoice_id is not None:
                settled |= {f"inv-{note.invoice_id}", document_eid("creditMemo", note)}
        self._free = [
            external_id
            for external_id, booking in self._booked.items()
            if booking.document.in_month(month) and booking.document.total > 0 and external_id not in settled
        ]
        random.shuffle(self._free)
        self._added: list[Booking] = []
        self._planted: list[Planted] = []

    def plant(self, counts: Mapping[Kind, int]) -> Books:
        ways: Mapping[Kind, Callable[[int], None]] = {
            # Customers first: without one, its documents cannot be in the books either.
            "missing_customer": self._missing_customer,
            "missing": self._missing,
            "changed_amount": self._changed_amount,
            "changed_date": self._changed_date,
            "moved_to_another_month": self._moved,
            "changed_memo": self._changed_memo,
            "changed_number": self._changed_number,
            "wrong_customer": self._wrong_customer,
            "custom_field": self._custom_field,
            "line_missing": self._line_missing,
            "extra_line": self._extra_line,
            "duplicate": self._duplicate,
            "only_in_netsuite": self._only_in_netsuite,
            "customer_email": self._customer_email,
        }
        for kind, way in ways.items():
            for serial in range(counts.get(kind, 0)):
                try:
                    way(serial)
                except _NothingFits:
                    continue  # a later one may be of another record type
        return Books(
            customers=tuple(self._customers.values()),
            bookings=(*self._booked.values(), *self._added),
            planted=tuple(self._planted),
        )

    # Choosing

    def _take(
        self, fits: Callable[[Document], bool] = lambda document: True, record: Record = "invoice"
    ) -> Booking:
        """A document of the month that has no defect yet; it is not taken again."""
        for external_id in self._free:
            booking = self._booked[external_id]
            if booking.record == record and fits(booking.document):
                self._free.remove(external_id)
                return booking
        raise _NothingFits

    def _change(
        self, kind: Kind, booking: Booking, field: str, billed: object, booked: object, now: Document
    ) -> None:
        """Book `now` in the place of what was billed."""
        external_id = booking.external_id or ""
        self._booked[external_id] = replace(booking, document=now)
        self._planted.append(
            Planted(
                kind=kind,
                record=booking.record,
                external_id=external_id,
                field=field,
                what=f"{field} of {booking.document.number} is {booked}, billed was {billed}",
                number=booking.document.number,
                billed=str(billed),
                booked=str(booked),
            )
        )

    def _drop(self, booking: Booking, why: str) -> None:
        del self._booked[booking.external_id or ""]
        self._planted.append(
            Planted("missing", booking.record, booking.external_id, None, why, booking.document.number)
        )

    # Defects

    def _missing_customer(self, serial: int) -> None:
        owned: dict[str, list[Booking]] = {}
        for booking in self._booked.values():
            owned.setdefault(booking.document.customer_id or "", []).append(booking)
        candidates = sorted(
            customer_id
            for customer_id, bookings in owned.items()
            if len(bookings) <= 3 and all(booking.external_id in self._free for booking in bookings)
        )
        if not candidates:
            raise _NothingFits
        customer_id = self._random.choice(candidates)
        customer = self._customers.pop(customer_id)
        self._planted.append(
            Planted(
                kind="missing_customer",
                record="customer",
                external_id=customer_eid(customer_id),
                field=None,
                what=f"{customer.name} was never made in NetSuite",
                number=customer.name,
            )
        )
        for booking in owned[customer_id]:
            self._free.remove(booking.external_id or "")
            self._drop(
                booking, f"{booking.document.number} is not booked: {customer.name} is not in NetSuite"
            )

    def _missing(self, serial: int) -> None:
        booking = self._take(record="creditMemo" if serial % 8 == 7 else "invoice")
        self._drop(booking, f"{booking.document.number} was never booked")

    def _changed_amount(self, serial: int) -> None:
        booking = self._take(
            lambda document: any(line.amount > 1 for line in document.lines),
            record="creditMemo" if serial % 3 == 2 else "invoice",
        )
        document = booking.document
        line = next(line for line in document.lines if line.amount > 1)
        rate = line.unit_amount * Decimal("1.1")
        wrong = replace(line, unit_amount=rate, amount=rounded(line.quantity * rate))
        lines = tuple(wrong if one is line else one for one in document.lines)
        self._change(
            "changed_amount",
            booking,
            "rate",
            f"{line.unit_amount:f}",
            f"{rate:f}",
            replace(document, lines=lines),
        )

    def _changed_date(self, serial: int) -> None:
        booking = self._take()
        _, last = month_days(self._month)
        day = booking.document.issued_on
        moved = day + timedelta(days=2) if day + timedelta(days=2) <= last else day - timedelta(days=2)
        self._date("changed_date", booking, moved)

    def _moved(self, serial: int) -> None:
        first, last = month_days(self._month)
        moved = last + timedelta(days=2) if serial % 2 == 0 else first - timedelta(days=2)
        self._date("moved_to_another_month", self._take(), moved)

    def _date(self, kind: Kind, booking: Booking, moved: date) -> None:
        document = booking.document
        self._change(kind, booking, "tranDate", document.issued_on, moved, replace(document, issued_on=moved))

    def _changed_memo(self, serial: int) -> None:
        booking = self._take(lambda document: document.memo is not None)
        document = booking.document
        memo = f"{document.memo}, see e-mail"
        self._change("changed_memo", booking, "memo", document.memo, memo, replace(document, memo=memo))

    def _changed_number(self, serial: int) -> None:
        booking = self._take()
        document = booking.document
        number = f"{document.number}-OLD"
        self._change(
            "changed_number",
            booking,
            "otherRefNum",
            document.number,
            number,
            replace(document, number=number),
        )

    def _wrong_customer(self, serial: int) -> None:
        def others(document: Document) -> list[str]:
            owner = self._customers[document.customer_id or ""]
            return sorted(
                other.id
                for other in self._customers.values()
                if other.id != owner.id
                and (other.currency, other.legal_entity) == (owner.currency, owner.legal_entity)
            )

        booking = self._take(lambda document: bool(others(document)))
        document = booking.document
        wrong = self._random.choice(others(document))
        billed = customer_eid(document.customer_id or "")
        self._change(
            "wrong_customer",
            booking,
            "entity",
            billed,
            customer_eid(wrong),
            replace(document, customer_id=wrong),
        )

    def _custom_field(self, serial: int) -> None:
        booking = self._take(lambda document: bool(document.metadata))
        document = booking.document
        if "plan" in document.metadata:
            name, field = "plan", "custbody_plan"
            value = next(plan for plan in PLANS if plan != document.metadata["plan"])
        else:
            name, field = "subscription_id", "custbody_subscription_ref"
            value = f"sub_{self._random.randrange(16**10):010x}"
        metadata = {**document.metadata, name: value}
        self._change(
            "custom_field",
            booking,
            field,
            document.metadata[name],
            value,
            replace(document, metadata=metadata),
        )

    def _line_missing(self, serial: int) -> None:
        booking = self._take(lambda document: len(document.lines) > 1 and document.lines[-1].amount != 0)
        document = booking.document
        gone = (
            document.lines[0]
            if document.lines[-1].amount < 0 and len(document.lines) > 2
            else document.lines[-1]
        )
        self._change(
            "line_missing",
            booking,
            "item",
            f"{len(document.lines)} lines",
            f"{len(document.lines) - 1} lines, without '{gone.description}' of {gone.amount}",
            replace(document, lines=tuple(line for line in document.lines if line is not gone)),
        )

    def _extra_line(self, serial: int) -> None:
        booking = self._take()
        document = booking.document
        price = Decimal(self._random.randint(500, 9000)).scaleb(-2)
        extra = replace(
            document.lines[0],
            id=f"{document.id}-extra",
            line_no=len(document.lines) + 1,
            description="Handling",
            quantity=Decimal(1),
            unit_amount=price,
            amount=price,
        )
        self._change(
            "extra_line",
            booking,
            "item",
            f"{len(document.lines)} lines",
            f"{len(document.lines) + 1} lines, with 'Handling' of {price}",
            replace(document, lines=(*document.lines, extra)),
        )

    def _duplicate(self, serial: int) -> None:
        booking = self._take()
        other = None if serial % 2 == 0 else f"{booking.external_id}-copy"
        self._added.append(replace(booking, external_id=other))
        again = f"with the external id {other}" if other else "without an external id"
        self._planted.append(
            Planted(
                kind="duplicate",
                record=booking.record,
                external_id=other,
                field=None,
                what=f"{booking.document.number} ({booking.external_id}) is booked a second time, {again}",
                number=booking.document.number,
            )
        )

    def _only_in_netsuite(self, serial: int) -> None:
        like = self._take()
        self._free.append(like.external_id or "")  # it lends its customer and product, and stays as it is
        price = Decimal(self._random.randint(2_000, 90_000)).scaleb(-2)
        line = Line(
            id=f"manual-{serial + 1}-1",
            line_no=1,
            product_id=like.document.lines[0].product_id,
            description="Entered by hand",
            quantity=Decimal(1),
            unit_amount=price,
            amount=price,
        )
        number = f"MANUAL-{serial + 1:03d}"
        other = None if serial % 2 == 0 else f"manual-{serial + 1}"
        self._added.append(
            Booking(
                "invoice",
                other,
                replace(like.document, id=number, number=number, memo="Entered by hand", lines=(line,)),
            )
        )
        self._planted.append(
            Planted(
                kind="only_in_netsuite",
                record="invoice",
                external_id=other,
                field=None,
                what=f"{number} over {price} was entered by hand and never billed",
                number=number,
            )
        )

    def _customer_email(self, serial: int) -> None:
        spoilt = {planted.external_id for planted in self._planted if planted.record == "customer"}
        candidates = [
            customer
            for customer in self._customers.values()
            if customer.email and customer_eid(customer.id) not in spoilt
        ]
        if not candidates:
            raise _NothingFits
        customer = self._random.choice(candidates)
        email = f"old.{customer.email}"
        self._customers[customer.id] = replace(customer, email=email)
        self._planted.append(
            Planted(
                kind="customer_email",
                record="customer",
                external_id=customer_eid(customer.id),
                field="email",
                what=f"email of {customer.name} is {email}, billing has {customer.email}",
                number=customer.name,
                billed=customer.email,
                booked=email,
            )
        )
