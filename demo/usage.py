"""A made-up month of usage billing for the two demo tenants that bill by usage.

Here: the generators, pure and seeded (`random.Random` is passed in). Not here: where the documents go.

`acme` sells through two companies (us and eu, dollars and euros); `globex` through one, in dollars, with bills named
otherwise in its database. Both bill a few documents in the months beside, which must not show in the month itself,
and a few without a customer, which a reconciliation must raise rather than drop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import product
from random import Random

from demo.documents import Billing, Customer, Document, Line, Payment, Usage, rounded

TERM_DAYS: Mapping[str, int] = {"Due on receipt": 0, "Net 14": 14, "Net 15": 15, "Net 30": 30, "Net 60": 60}
PRODUCT_LINES = ("Metering", "Storage", "Compute", "Platform")
PLANS = ("Free", "Team", "Business")

_DISCOUNT = "Discount"

#: How many customers are new.
NEWEST = 5

#: By how much a payment is applied beyond its invoice.
TOO_MUCH = Decimal("5.00")

_FIRST = (
    "Northwind",
    "Blue Harbor",
    "Cedar Ridge",
    "Summit",
    "Ironwood",
    "Lakeshore",
    "Redstone",
    "Silver Fern",
    "Granite",
    "Maple & Finch",
    "Copperfield",
    "Prairie",
    "Evergreen",
    "Bright Path",
)
_SECOND = ("Logistics", "Analytics", "Health", "Robotics", "Media")
_EU_FIRST = ("Müller", "Ålesund", "Léger & Fils", "Kowalski", "Núñez", "Öresund", "van Dijk")
_EU_SECOND = ("Systeme GmbH", "Marine AS", "Conseil SARL", "Dane Sp. z o.o.")

#: What differs from tenant to tenant in a document: its product line and its metadata.
_Details = tuple[str | None, dict[str, str]]


@dataclass(frozen=True, slots=True)
class _Product:
    """A priced product: quantities and unit prices are whole numbers of their smallest step."""

    id: str
    quantity: tuple[int, int]
    quantity_step: Decimal
    price: tuple[int, int]
    price_step: Decimal
    meter: str = ""

    def line(self, random: Random) -> tuple[Decimal, Decimal]:
        quantity = random.randint(*self.quantity) * self.quantity_step
        return quantity, random.randint(*self.price) * self.price_step


_ACME_PRODUCTS = (
    _Product("API Calls", (10_000, 4_000_000), Decimal(1), (80, 950), Decimal("0.000001")),
    _Product("Storage GB", (500_000, 90_000_000), Decimal("0.001"), (180, 260), Decimal("0.0001")),
    _Product("Compute Hours", (1_000, 900_000), Decimal("0.01"), (385, 1_250), Decimal("0.0001")),
    _Product("Seats", (3, 180), Decimal(1), (900, 4_900), Decimal("0.01")),
    _Product("Support", (1, 1), Decimal(1), (25_000, 250_000), Decimal("0.01")),
)
_GLOBEX_PRODUCTS = (
    _Product("api-calls", (50_000, 9_000_000), Decimal(1), (1_100, 4_800), Decimal("0.0000001"), "calls"),
    _Product("storage", (90_000, 7_000_000), Decimal("0.001"), (21, 34), Decimal("0.001"), "gb-month"),
    _Product("compute", (3_600, 5_000_000), Decimal(1), (11, 99), Decimal("0.00001"), "cpu-seconds"),
    _Product("seats", (1, 60), Decimal(1), (800, 2_900), Decimal("0.01"), "seats"),
)


def month_days(month: str) -> tuple[date, date]:
    """The first and the last day of 'YYYY-MM'."""
    first = date.fromisoformat(f"{month}-01")
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def neighbours(month: str) -> tuple[str, str]:
    """The months before and after 'YYYY-MM'."""
    first, last = month_days(month)
    return f"{first - timedelta(days=1):%Y-%m}", f"{last + timedelta(days=1):%Y-%m}"


def acme(random: Random, month: str = "2026-10") -> Billing:
    """About 60 customers and 150 invoices of a company with two subsidiaries."""
    customers = _acme_customers(random)
    subscriptions = {
        customer.id: (
            f"sub_{random.randrange(16**10):010x}",
            date(2024, 1, 1) + timedelta(days=random.randrange(800)),
        )
        for customer in customers
    }

    def details(customer: Customer | None, serial: int) -> _Details:
        found = subscriptions.get(customer.id) if customer else None
        metadata = {"subscription_id": found[0], "contract_start": found[1].isoformat()} if found else {}
        return random.choice(PRODUCT_LINES), metadata

    maker = _Maker(
        random,
        month,
        prefix="INV",
        first_id=500_000,
        products=_ACME_PRODUCTS,
        details=details,
        home_entity="us",
    )
    invoices = maker.invoices(customers, count=150, orphans=3, neighbours_each=5)
    credit_notes = maker.credit_notes(invoices, customers, count=12, prefix="CN", first_id=70_000)
    payments = maker.payments(invoices, credit_notes, customers, share=0.55, first_id=90_000, too_much=1)
    return Billing(customers, invoices, credit_notes, payments)


def globex(random: Random, month: str = "2026-10") -> Billing:
    """About 25 customers and 70 bills of a single company, in dollars."""
    names = random.sample([f"{first} {second} LLC" for first, second in product(_FIRST, _SECOND)], 25)
    customers = tuple(
        Customer(
            id=f"G{index:03d}",
            name=name,
            email=_email(name),
            currency="USD",
            terms=random.choice(("Net 14", "Net 30")),
            metadata={"crm_id": f"crm-{random.randrange(10**6):06d}"},
        )
        for index, name in enumerate(names, start=1)
    )
    plans = {customer.id: random.choice(PLANS) for customer in customers}

    def details(customer: Customer | None, serial: int) -> _Details:
        plan = plans[customer.id] if customer else random.choice(PLANS)
        return None, {"plan": plan, "usage_run": f"run-{month}-{serial % 4 + 1:02d}"}

    maker = _Maker(random, month, prefix="GB", first_id=8_000, products=_GLOBEX_PRODUCTS, details=details)
    bills = maker.invoices(customers, count=70, orphans=2, neighbours_each=3)
    credits = maker.credit_notes(bills, customers, count=5, prefix="GC", first_id=3_000)
    payments = maker.payments(bills, credits, customers, share=0.4, first_id=6_000)
    return Billing(customers, bills, credits, payments, _metered(random, month, bills, customers))


def _metered(
    random: Random, month: str, bills: Sequence[Document], customers: Sequence[Customer]
) -> tuple[Usage, ...]:
    """What the bills are for, used in the month before each; and what some customers used in the month, which no bill has
    yet.
    """
    billed = [
        Usage(f"U{line.id}", bill.customer_id, line.product_id, line.service_end, bill.currency, line.amount, bill.issued_on)
        for bill in bills
        for line in bill.lines
        if line.product_id != _DISCOUNT and line.service_end is not None
    ]  # fmt: skip
    _, last = month_days(month)
    since = []
    for number, customer in enumerate(random.sample(customers, 8), start=1):
        sold = random.choice(_GLOBEX_PRODUCTS)
        quantity, price = sold.line(random)
        used_on = last - timedelta(days=random.randrange(10))
        since.append(Usage(f"UX{number}", customer.id, sold.id, used_on, "USD", rounded(quantity * price)))
    return (*billed, *since)


def _acme_customers(random: Random) -> tuple[Customer, ...]:
    american = random.sample([f"{first} {second} Inc" for first, second in product(_FIRST, _SECOND)], 40)
    european = random.sample([f"{first} {second}" for first, second in product(_EU_FIRST, _EU_SECOND)], 20)
    people = [(name, "us", "USD", "US") for name in american]
    people += [
        (name, "eu", "USD" if index % 7 == 0 else "EUR", random.choice(("DE", "NO", "FR", "PL", "ES")))
        for index, name in enumerate(european)
    ]
    return tuple(
        Customer(
            id=str(1000 + index),
            name=name,
            email=_email(name),
            currency=currency,
            legal_entity=entity,
            terms=random.choice(("Due on receipt", "Net 15", "Net 30", "Net 60")),
            country=country,
            metadata={"crm_id": f"crm-{random.randrange(10**6):06d}"},
        )
        for index, (name, entity, currency, country) in enumerate(people, start=1)
    )


def _email(name: str) -> str:
    plain = "".join(letter for letter in name.lower() if letter.isascii() and letter.isalnum())
    return f"ap@{plain}.example"


@dataclass
class _Maker:
    """Documents of one tenant, numbered in order."""

    random: Random
    month: str
    prefix: str
    first_id: int
    products: Sequence[_Product]
    details: Callable[[Customer | None, int], _Details]
    home_entity: str | None = None  # of a document without a customer

    def invoices(
        self, customers: Sequence[Customer], count: int, orphans: int, neighbours_each: int
    ) -> tuple[Document, ...]:
        """`count` invoices of the month, `orphans` of them without a customer, and some of the months beside."""
        first, last = month_days(self.month)
        before, after = neighbours(self.month)
        days = sorted(
            [first, last]
            + [first + timedelta(days=self.random.randrange(last.day)) for _ in range(count - 2)]
        )
        earlier = [month_days(before)[1] - timedelta(days=index * 3) for index in range(neighbours_each)]
        later = [month_days(after)[0] + timedelta(days=index * 3) for index in range(neighbours_each)]
        owners: list[Customer | None] = [
            *customers,
            *self.random.choices(customers, k=count - len(customers)),
        ]
        self.random.shuffle(owners)
        for index in self.random.sample(range(count), orphans):
            owners[index] = None
        owners = [
            *self.random.choices(customers, k=len(earlier)),
            *owners,
            *self.random.choices(customers, k=len(later)),
        ]
        return tuple(
            self._invoice(serial, owner, day)
            for serial, (owner, day) in enumerate(
                zip(owners, [*sorted(earlier), *days, *later], strict=True), 1
            )
        )

    def _invoice(self, serial: int, customer: Customer | None, issued_on: date) -> Document:
        document_id = str(self.first_id + serial)
        entity = customer.legal_entity if customer else self.home_entity
        terms = customer.terms if customer else None
        product_line, metadata = self.details(customer, serial)
        used_first, used_last = month_days(neighbours(f"{issued_on:%Y-%m}")[0])
        return Document(
            id=document_id,
            number=f"{self.prefix}-{issued_on:%Y%m}-{serial:04d}",
            customer_id=customer.id if customer else None,
            issued_on=issued_on,
            due_on=issued_on + timedelta(days=TERM_DAYS.get(terms or "", 30)),
            currency=(customer.currency if customer else None) or "USD",
            status="finalized",
            memo=f"Usage {used_first:%B %Y}",
            po_number=f"PO-{self.random.randrange(1000, 99999)}" if self.random.random() < 0.7 else None,
            legal_entity=entity,
            terms=terms,
            lines=self._lines(document_id, used_first, used_last),
            product_line=product_line,
            metadata=metadata,
        )

    def _lines(self, document_id: str, start: date, end: date) -> tuple[Line, ...]:
        lines: list[Line] = []
        for line_no in range(1, self.random.choice((1, 1, 2, 2, 3, 4, 5, 7)) + 1):
            sold = self.random.choice(self.products)
            quantity, price = sold.line(self.random)
            lines.append(self._line(document_id, line_no, sold, quantity, price, start, end))
        gross = sum((line.amount for line in lines), Decimal(0))
        if gross > 100 and self.random.random() < 0.25:
            given = -rounded(gross * self.random.randint(3, 15) / 100)
            discount = _Product(_DISCOUNT, (1, 1), Decimal(1), (1, 1), Decimal(1))
            lines.append(self._line(document_id, len(lines) + 1, discount, Decimal(1), given, start, end))
        return tuple(lines)

    def _line(
        self,
        document_id: str,
        line_no: int,
        sold: _Product,
        quantity: Decimal,
        price: Decimal,
        start: date,
        end: date,
    ) -> Line:
        return Line(
            id=f"{document_id}-{line_no}",
            line_no=line_no,
            product_id=sold.id,
            description=f"{sold.id}, {start:%b %Y}",
            quantity=quantity,
            unit_amount=price,
            amount=rounded(quantity * price),
            service_start=start,
            service_end=end,
            metadata={"meter": sold.meter} if sold.meter else {},
        )

    def credit_notes(
        self,
        invoices: Sequence[Document],
        customers: Sequence[Customer],
        count: int,
        prefix: str,
        first_id: int,
    ) -> tuple[Document, ...]:
        """Credit notes that give back part of one line of an invoice of the month, later in the month.

        Every other one settles that invoice, unless it is more than that; the rest are the customer's to use.
        """
        _, last = month_days(self.month)
        settled = _settled_ones(customers)
        credited = self.random.sample(
            [
                invoice
                for invoice in invoices
                if invoice.in_month(self.month)
                and invoice.customer_id in settled
                and invoice.lines[0].amount > 1
            ],
            count,
        )
        notes = []
        for serial, invoice in enumerate(sorted(credited, key=lambda invoice: invoice.issued_on), 1):
            note_id = str(first_id + serial)
            billed = invoice.lines[0]
            quantity = max(
                (billed.quantity * self.random.randint(5, 60) / 100).quantize(_step(billed.quantity)),
                _step(billed.quantity),
            )
            number = f"{prefix}-{invoice.issued_on:%Y%m}-{serial:04d}"
            amount = rounded(quantity * billed.unit_amount)
            settles = serial % 2 == 1 and amount <= invoice.total
            notes.append(
                Document(
                    id=note_id,
                    number=number,
                    customer_id=invoice.customer_id,
                    issued_on=min(invoice.issued_on + timedelta(days=self.random.randrange(6)), last),
                    currency=invoice.currency,
                    status="issued",
                    memo=f"Overcharge on {invoice.number}",
                    po_number=invoice.po_number,
                    legal_entity=invoice.legal_entity,
                    product_line=invoice.product_line,
                    invoice_id=invoice.id if settles else None,
                    reason="usage_correction" if settles else "goodwill",
                    metadata=invoice.metadata,
                    lines=(
                        Line(
                            id=f"{note_id}-1",
                            line_no=1,
                            product_id=billed.product_id,
                            description=f"Correction: {billed.description}",
                            quantity=quantity,
                            unit_amount=billed.unit_amount,
                            amount=amount,
                            service_start=billed.service_start,
                            service_end=billed.service_end,
                            metadata=billed.metadata,
                        ),
                    ),
                )
            )
        return tuple(notes)

    def payments(
        self,
        invoices: Sequence[Document],
        credit_notes: Sequence[Document],
        customers: Sequence[Customer],
        share: float,
        first_id: int,
        too_much: int = 0,
    ) -> tuple[Payment, ...]:
        """Payments of a share of the invoices, one in eight in part, a few for two invoices of one customer.

        What a credit note settles is not paid. `too_much` of those that pay one invoice in full in the month are
        applied to it with more than it is.
        """
        settled = _settled_ones(customers)
        owed = {invoice.id: invoice.total for invoice in invoices}
        for note in credit_notes:
            if note.invoice_id is not None:
                owed[note.invoice_id] -= note.total
        payable = [
            invoice
            for invoice in invoices
            if invoice.customer_id in settled and owed[invoice.id] > 0 and self.random.random() < share
        ]
        payments: list[Payment] = []
        waiting: dict[str, tuple[str, Decimal]] = {}
        for invoice in payable:
            customer_id = invoice.customer_id or ""
            paid = owed[invoice.id]
            if self.random.random() < 0.125:
                paid = rounded(paid / 2)
            if paid <= 0:
                continue
            applied = [(invoice.id, paid)]
            if customer_id in waiting:
                applied.insert(0, waiting.pop(customer_id))
            elif self.random.random() < 0.1:
                waiting[customer_id] = applied[0]
                continue
            serial = len(payments) + 1
            payments.append(
                Payment(
                    id=str(first_id + serial),
                    customer_id=customer_id,
                    paid_on=invoice.issued_on + timedelta(days=self.random.randrange(20)),
                    currency=invoice.currency,
                    amount=sum((amount for _, amount in applied), Decimal(0)),
                    method=self.random.choice(("ach", "card", "wire")),
                    reference=f"{self.random.randrange(10**8):08d}",
                    applications=tuple(applied),
                )
            )
        totals = {invoice.id: invoice.total for invoice in invoices if invoice.in_month(self.month)}
        whole = [
            place
            for place, payment in enumerate(payments)
            if len(payment.applications) == 1
            and f"{payment.paid_on:%Y-%m}" == self.month
            and totals.get(payment.applications[0][0]) == payment.amount
        ]
        for place in whole[:too_much]:
            payment = payments[place]
            more = payment.amount + TOO_MUCH
            payments[place] = replace(
                payment, amount=more, applications=((payment.applications[0][0], more),)
            )
        return tuple(payments)


def _settled_ones(customers: Sequence[Customer]) -> set[str]:
    """All but the newest customers, who have paid nothing yet and were credited nothing."""
    return {customer.id for customer in customers[:-NEWEST]}


def _step(quantity: Decimal) -> Decimal:
    """The smallest step of a quantity: 1 for a whole one, else its last decimal."""
    exponent = quantity.as_tuple().exponent
    return Decimal(1).scaleb(exponent) if isinstance(exponent, int) and exponent < 0 else Decimal(1)
