"""Fills an account from a seed: customers, invoices with lines, credit memos, payments and deposits for some, journals.

Records go through the record service's own rules, so that what is filled could have been written over HTTP.
"""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sandbox.profile import Role
from sandbox.record.context import Context
from sandbox.record.customers import Customers
from sandbox.record.deposit_applications import DepositApplications
from sandbox.record.deposits import Deposits
from sandbox.record.documents import Documents
from sandbox.record.journals import Journals
from sandbox.record.kinds import CREDIT_MEMO, INVOICE
from sandbox.record.payments import Payments
from sandbox.record.values import Body, Values

_STEP = 5_000
"""Records in one database transaction."""
_FUNDS = ("Bank", "OthCurrAsset")
_NEEDING_MORE = ("AcctRec", "AcctPay", "NonPosting", "Stat")
_FILLER = Role(id="0", name="Filler", administrator=True)
_NAMES = (
    "Amber",
    "Birch",
    "Cobalt",
    "Delta",
    "Ember",
    "Fjord",
    "Granite",
    "Harbor",
    "Indigo",
    "Juniper",
    "Kestrel",
)
_KINDS = (
    "Analytics",
    "Energy",
    "Foods",
    "Labs",
    "Logistics",
    "Media",
    "Mobility",
    "Robotics",
    "Systems",
    "Telecom",
)


class Order(BaseModel):
    """How much of what; the same order and seed give the same records."""

    model_config = ConfigDict(extra="forbid")

    customers: int = Field(100, ge=1)
    invoices: int = Field(1_000, ge=0)
    lines: int = Field(3, ge=1)
    credit_memos: int = Field(0, ge=0)
    payments: int = Field(0, ge=0)
    journals: int = Field(0, ge=0)
    deposits: int = Field(0, ge=0)
    """Every second one is applied to an invoice of its customer, where one is open."""
    first: date = date(2026, 9, 1)
    last: date = date(2026, 10, 31)
    seed: int = 1


def fill(context: Context, order: Order) -> dict[str, int]:
    """Make the records; returns how many of each. External ids are `fill-<seed>-<kind>-<number>`."""
    return _Filler(context, order).run()


class _Filler:
    def __init__(self, context: Context, order: Order) -> None:
        self._context, self._order = context, order
        self._random = random.Random(order.seed)
        self._customers = Customers(context)
        self._invoices = Documents(context, INVOICE)
        self._memos = Documents(context, CREDIT_MEMO)
        self._payments = Payments(context)
        self._journals = Journals(context)
        self._deposits, self._applications = Deposits(context), DepositApplications(context)

    def run(self) -> dict[str, int]:
        order = self._order
        customers = self._each(order.customers, self._customer)
        targets: list[tuple[int, str, Decimal]] = []
        self._each(order.invoices, lambda n: targets.append(self._invoice(n, customers)))
        self._each(order.credit_memos, lambda n: self._memo(n, customers, targets))
        self._each(order.payments, lambda n: self._payment(n, customers, targets))
        self._each(order.journals, self._journal)
        self._each(order.deposits, lambda n: self._deposit(n, customers, targets))
        names = ("customers", "invoices", "credit_memos", "payments", "journals", "deposits")
        return {name: getattr(order, name) for name in names}

    def _each(self, count: int, make: Any) -> list[Any]:
        made: list[Any] = []
        for start in range(0, count, _STEP):
            with self._context.database.transaction():
                made += [make(number) for number in range(start, min(start + _STEP, count))]
        return made

    def _external(self, kind: str, number: int) -> str:
        return f"fill-{self._order.seed}-{kind}-{number}"

    def _day(self) -> str:
        span = (self._order.last - self._order.first).days
        return (self._order.first + timedelta(days=self._random.randint(0, span))).isoformat()

    def _customer(self, number: int) -> str:
        name = f"{self._random.choice(_NAMES)} {self._random.choice(_KINDS)} {number}"
        values: Values = {"companyName": name, "externalId": self._external("customer", number)}
        if self._context.profile.oneworld:
            values["subsidiary"] = self._random.choice(self._context.profile.subsidiaries).id
        return str(self._customers.create(Body(values), _FILLER))

    def _lines(self, subsidiary: str | None, count: int) -> list[Values]:
        masters = self._context.masters
        usable = [
            item.id
            for item in masters.items.values()
            if not item.inactive
            and item.type != "discountItem"
            and masters.valid_for("item", item.id, subsidiary)
        ]
        return [
            {
                "item": self._random.choice(usable),
                "quantity": Decimal(self._random.randint(1, 5_000)),
                "rate": Decimal(self._random.randint(1, 400)) / 100,
            }
            for _ in range(count)
        ]

    def _subsidiary(self, customer: str) -> str | None:
        found = self._context.database.get("entity", int(customer))
        return found[1].get("subsidiary") if found is not None else None

    def _invoice(self, number: int, customers: list[str]) -> tuple[int, str, Decimal]:
        customer = self._random.choice(customers)
        values: Values = {
            "entity": customer,
            "tranDate": self._day(),
            "externalId": self._external("invoice", number),
            "memo": f"Usage {number}",
        }
        if self._context.profile.features.invoice_approvals:
            values["approvalStatus"] = "2"
        lines = self._lines(self._subsidiary(customer), self._order.lines)
        identifier = self._invoices.create(Body(values, {"item": lines}), _FILLER)
        return identifier, customer, sum((line["quantity"] * line["rate"] for line in lines), Decimal(0))

    def _memo(self, number: int, customers: list[str], invoices: list[tuple[int, str, Decimal]]) -> None:
        values: Values = {"tranDate": self._day(), "externalId": self._external("creditmemo", number)}
        sublists: dict[str, list[Values] | None] = {}
        if invoices:
            target, customer, total = invoices.pop(self._random.randrange(len(invoices)))
            amount = (total / self._random.randint(2, 10)).quantize(Decimal("0.01"))
            sublists["apply"] = [{"doc": str(target), "apply": True, "amount": amount}]
        else:
            customer, amount = self._random.choice(customers), Decimal(self._random.randint(1, 10_000)) / 100
        lines = self._lines(self._subsidiary(customer), 1)
        sublists["item"] = [{"item": lines[0]["item"], "amount": max(amount, Decimal("0.01"))}]
        values["entity"] = customer
        self._memos.create(Body(values, sublists), _FILLER)

    def _payment(self, number: int, customers: list[str], invoices: list[tuple[int, str, Decimal]]) -> None:
        """Most payments pay an invoice in full, some in part; one without an invoice stays unapplied."""
        values: Values = {"tranDate": self._day(), "externalId": self._external("customerpayment", number)}
        sublists: dict[str, list[Values] | None] = {}
        if invoices:
            target, customer, total = invoices.pop(self._random.randrange(len(invoices)))
            part = self._random.choice((1, 1, 1, 2, 4))
            amount = max((total / part).quantize(Decimal("0.01"), ROUND_DOWN), Decimal("0.01"))
            sublists["apply"] = [{"doc": str(target), "apply": True, "amount": amount}]
        else:
            customer, amount = self._random.choice(customers), Decimal(self._random.randint(1, 10_000)) / 100
        values |= {"customer": customer, "payment": amount, **self._funds(customer)}
        self._payments.create(Body(values, sublists), _FILLER)

    def _funds(self, customer: str) -> Values:
        """The account for money received, where there are no undeposited funds."""
        if self._context.profile.undeposited_funds_account is not None:
            return {}
        return {"account": self._accounts(self._subsidiary(customer), _FUNDS)[0]}

    def _deposit(self, number: int, customers: list[str], invoices: list[tuple[int, str, Decimal]]) -> None:
        """Every second deposit is applied to an invoice, for half of what it is worth at most."""
        day = self._day()
        values: Values = {"tranDate": day, "externalId": self._external("customerdeposit", number)}
        amount = Decimal(self._random.randint(100, 100_000)) / 100
        target: tuple[int, str, Decimal] | None = None
        if number % 2 and invoices:
            target = invoices.pop(self._random.randrange(len(invoices)))
        customer = target[1] if target is not None else self._random.choice(customers)
        values |= {"customer": customer, "payment": amount, **self._funds(customer)}
        identifier = self._deposits.create(Body(values), _FILLER)
        if target is None:
            return
        used = min(target[2], amount / 2).quantize(Decimal("0.01"), ROUND_DOWN)
        applied: Values = {"deposit": str(identifier), "tranDate": day}
        applied["externalId"] = self._external("depositapplication", number)
        lines: list[Values] = [{"doc": str(target[0]), "apply": True, "amount": used}]
        self._applications.create(Body(applied, {"apply": lines}), _FILLER)

    def _journal(self, number: int) -> None:
        values: Values = {"tranDate": self._day(), "externalId": self._external("journalentry", number)}
        subsidiary: str | None = None
        if self._context.profile.oneworld:
            subsidiary = values["subsidiary"] = self._random.choice(self._context.profile.subsidiaries).id
        debit, credit = self._random.sample(self._accounts(subsidiary, None), 2)
        amount = Decimal(self._random.randint(1, 1_000_000)) / 100
        lines: list[Values] = [{"account": debit, "debit": amount}, {"account": credit, "credit": amount}]
        self._journals.create(Body(values, {"line": lines}), _FILLER)

    def _accounts(self, subsidiary: str | None, types: tuple[str, ...] | None) -> list[str]:
        """Accounts of some types, or every one that a journal may use without naming a customer.

        Customers' deposits are left to deposits and their applications.
        """
        masters = self._context.masters
        return [
            account.id
            for account in masters.accounts.values()
            if (account.type in types if types else account.type not in _NEEDING_MORE)
            and account.id != self._context.profile.customer_deposits_account
            and masters.valid_for("account", account.id, subsidiary)
        ]
