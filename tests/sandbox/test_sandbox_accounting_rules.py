"""Whatever is invoiced, credited, paid, journaled, unapplied and deleted: books balance and receivables are what is open."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sandbox_tools import Api

CENT = Decimal("0.01")
ZERO = Decimal(0)
money = st.decimals(Decimal("0.01"), Decimal(500), places=2)
shares = st.sampled_from([Decimal(1), Decimal("0.5"), Decimal("0.33")])
over = st.sampled_from([ZERO] * 7 + [CENT])
spares = st.sampled_from([ZERO, ZERO, Decimal(7), -CENT])


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def lines_of(pairs: list[tuple[str, Decimal]]) -> dict[str, Any]:
    return {"items": [{"doc": {"id": doc}, "apply": True, "amount": float(amount)} for doc, amount in pairs]}


class Accounts(RuleBasedStateMachine):
    """A model of what one customer owes, beside the sandbox's books."""

    api: Api

    def __init__(self) -> None:
        super().__init__()
        self.customer = self.api.customer()
        self.kind: dict[str, str] = {}
        self.total: dict[str, Decimal] = {}
        self.applied: dict[tuple[str, str], Decimal] = {}
        self.journals: dict[str, Decimal] = {}

    def of(self, *kinds: str) -> list[str]:
        return [document for document, kind in self.kind.items() if kind in kinds]

    def used(self, document: str) -> Decimal:
        return sum((v for pair, v in self.applied.items() if document in pair), ZERO)

    def left(self, document: str) -> Decimal:
        return self.total[document] - self.used(document)

    def add(self, document: str, kind: str, total: Decimal) -> None:
        self.kind[document], self.total[document] = kind, total

    # Documents

    @initialize(
        invoices=st.lists(money, min_size=2, max_size=3), memos=st.lists(money, min_size=1, max_size=2)
    )
    def open_items(self, invoices: list[Decimal], memos: list[Decimal]) -> None:
        for kind, amounts in (("invoice", invoices), ("creditMemo", memos)):
            for amount in amounts:
                self.document(kind, [amount], None, None)

    @rule(
        kind=st.sampled_from(["invoice", "creditMemo", "salesOrder"]),
        amounts=st.lists(money, min_size=1, max_size=3),
        discount=st.sampled_from([None, "-10%", "-0.5%"]),
        tax=st.sampled_from([None, Decimal(19), Decimal("7.25")]),
    )
    def document(self, kind: str, amounts: list[Decimal], discount: str | None, tax: Decimal | None) -> None:
        items = [
            {"item": "417", "amount": float(a), "taxDetailsReference": f"L{n}"} for n, a in enumerate(amounts)
        ]
        body: dict[str, Any] = {"entity": self.customer, "tranDate": "2026-10-15", "item": {"items": items}}
        subtotal = total = sum(amounts, ZERO)
        if discount is not None:
            body |= {"discountItem": "418", "discountRate": discount}
            total += cents(subtotal * Decimal(discount.removesuffix("%")) / 100)
        if tax is not None:
            row = {"taxDetailsReference": "L0", "taxType": "2", "taxCode": "21", "taxRate": float(tax)}
            body |= {"taxDetailsOverride": True, "taxDetails": {"items": [row]}}
            total += cents(amounts[0] * tax / 100)
        document = self.api.write("POST", kind, body)
        found = self.api.get(f"{kind}/{document}")
        assert (found["subtotal"], found["total"]) == (subtotal, total)
        self.add(document, kind, total)

    @precondition(lambda self: self.of("invoice", "salesOrder"))
    @rule(data=st.data())
    def transform(self, data: st.DataObject) -> None:
        source = data.draw(st.sampled_from(self.of("invoice", "salesOrder")))
        target = "creditMemo" if self.kind[source] == "invoice" else "invoice"
        same_day = {"tranDate": "2026-10-15"}
        answer = self.api.send("POST", f"{self.kind[source]}/{source}/!transform/{target}", same_day)
        if answer.status_code == 400:
            assert self.kind[source] == "salesOrder"
            assert self.api.get(f"salesOrder/{source}")["status"]["id"] == "G"
            return
        assert answer.status_code == 204, answer.text
        self.add(answer.headers["location"].rpartition("/")[2], target, self.total[source])

    # Payments

    @precondition(lambda self: self.of("invoice"))
    @rule(data=st.data(), spare=spares)
    def pay(self, data: st.DataObject, spare: Decimal) -> None:
        self.pay_with(self.drawn(data, "invoice"), [], spare)

    @precondition(lambda self: self.of("invoice") and self.of("creditMemo"))
    @rule(data=st.data(), spare=spares, cap=st.booleans())
    def pay_with_credit(self, data: st.DataObject, spare: Decimal, cap: bool) -> None:
        apply, credit = self.drawn(data, "invoice"), self.drawn(data, "creditMemo")
        if cap and credit:
            most = sum((v for _, v in apply), ZERO) / len(credit)
            credit = [(m, min(v, most.quantize(CENT, ROUND_DOWN))) for m, v in credit]
        self.pay_with(apply, [pair for pair in credit if pair[1]], spare)

    def drawn(self, data: st.DataObject, kind: str) -> list[tuple[str, Decimal]]:
        """Some documents with what to apply of each: no more than is left, but now and then a cent."""
        documents = data.draw(st.lists(st.sampled_from(self.of(kind)), min_size=1, max_size=3, unique=True))
        pairs = [(d, cents(self.left(d) * data.draw(shares)) + data.draw(over)) for d in documents]
        return [pair for pair in pairs if pair[1]]

    def pay_with(
        self, apply: list[tuple[str, Decimal]], credit: list[tuple[str, Decimal]], spare: Decimal
    ) -> None:
        asked, given = sum((v for _, v in apply), ZERO), sum((v for _, v in credit), ZERO)
        amount = max(asked - given + spare, ZERO)
        body: dict[str, Any] = {"customer": self.customer, "payment": float(amount), "tranDate": "2026-10-20"}
        body |= {"apply": lines_of(apply), "credit": lines_of(credit)}
        answer = self.api.send("POST", "customerPayment", body)
        fits = all(v <= self.left(d) for d, v in [*apply, *credit]) and given <= asked <= amount + given
        assert (answer.status_code == 204) == fits, answer.text
        if not fits:
            return
        payment = answer.headers["location"].rpartition("/")[2]
        self.add(payment, "customerPayment", amount)
        parts = dict(apply)
        for memo, worth in credit:
            for invoice, _ in apply:
                part = min(worth, parts[invoice])
                if part:
                    self.applied[memo, invoice] = self.applied.get((memo, invoice), ZERO) + part
                    parts[invoice] -= part
                    worth -= part
        self.applied |= {(payment, invoice): part for invoice, part in parts.items() if part}

    @precondition(lambda self: self.of("customerPayment", "creditMemo"))
    @rule(data=st.data())
    def apply_itself(self, data: st.DataObject) -> None:
        document = data.draw(st.sampled_from(self.of("customerPayment", "creditMemo")))
        self.api.write("PATCH", f"{self.kind[document]}/{document}", {"autoApply": True})
        # All invoices are due the same day: the oldest id goes first.
        for invoice in sorted(self.of("invoice"), key=int):
            part = min(self.left(document), self.left(invoice))
            if part:
                self.applied[document, invoice] = self.applied.get((document, invoice), ZERO) + part

    @precondition(lambda self: self.applied)
    @rule(data=st.data())
    def unapply(self, data: st.DataObject) -> None:
        document, invoice = data.draw(st.sampled_from(sorted(self.applied)))
        body = {"apply": {"items": [{"doc": invoice, "apply": False}]}}
        self.api.write("PATCH", f"{self.kind[document]}/{document}", body)
        del self.applied[document, invoice]

    @precondition(lambda self: self.of("customerPayment"))
    @rule(data=st.data(), amount=money)
    def change_a_payment(self, data: st.DataObject, amount: Decimal) -> None:
        payment = data.draw(st.sampled_from(self.of("customerPayment")))
        answer = self.api.send("PATCH", f"customerPayment/{payment}", {"payment": float(amount)})
        assert (answer.status_code == 204) == (amount >= self.used(payment)), answer.text
        if answer.status_code == 204:
            self.total[payment] = amount

    @precondition(lambda self: self.kind)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        document = data.draw(st.sampled_from(sorted(self.kind)))
        kind = self.kind[document]
        answer = self.api.send("DELETE", f"{kind}/{document}")
        if kind == "invoice" and self.used(document):
            assert answer.status_code == 400
            return
        if answer.status_code == 400 and kind == "salesOrder":
            assert self.api.get(f"salesOrder/{document}")["status"]["id"] == "G"
            return
        assert answer.status_code == 204, answer.text
        del self.kind[document], self.total[document]
        self.applied = {pair: v for pair, v in self.applied.items() if document not in pair}

    # Journals

    @rule(amount=money, side=st.sampled_from(["debit", "credit"]), reverse=st.booleans())
    def journal(self, amount: Decimal, side: str, reverse: bool) -> None:
        other = "credit" if side == "debit" else "debit"
        items = [
            {"account": "119", side: float(amount), "entity": self.customer},
            {"account": "598", other: float(amount)},
        ]
        body: dict[str, Any] = {"subsidiary": "1", "tranDate": "2026-10-31", "line": {"items": items}}
        if reverse:
            body["reversalDate"] = "2026-11-01"
        journal = self.api.write("POST", "journalEntry", body)
        self.journals[journal] = ZERO if reverse else (amount if side == "debit" else -amount)

    @precondition(lambda self: self.journals)
    @rule(data=st.data())
    def delete_a_journal(self, data: st.DataObject) -> None:
        journal = data.draw(st.sampled_from(sorted(self.journals)))
        self.api.write("DELETE", f"journalEntry/{journal}")
        del self.journals[journal]

    # What must hold

    @invariant()
    def every_view_agrees(self) -> None:
        query = (
            "SELECT id, type, status, foreignamountpaid AS paid, foreignamountunpaid AS unpaid, "
            "foreignpaymentamountused AS used, foreignpaymentamountunused AS unused FROM transaction WHERE entity = ?"
        )
        rows = {row["id"]: row for row in self.api.rows(query, self.customer)}
        assert rows.keys() == self.kind.keys()
        for document, kind in self.kind.items():
            row, used, left = rows[document], self.used(document), self.left(document)
            if kind == "invoice":
                assert (Decimal(row["paid"]), Decimal(row["unpaid"])) == (used, left)
            elif kind != "salesOrder":
                assert (Decimal(row["used"]), Decimal(row["unused"])) == (used, left)
            if kind in ("invoice", "creditMemo"):
                assert row["status"] == ("A" if left else "B")

    @invariant()
    def the_links_are_the_applications(self) -> None:
        query = (
            "SELECT l.nextdoc, l.previousdoc, l.foreignamount FROM NextTransactionLineLink l "
            "JOIN transaction t ON t.id = l.nextdoc WHERE t.entity = ?"
        )
        rows = self.api.rows(query, self.customer)
        assert {(r["nextdoc"], r["previousdoc"]): Decimal(r["foreignamount"]) for r in rows} == self.applied

    @invariant()
    def the_books_balance(self) -> None:
        query = (
            "SELECT transaction FROM transactionaccountingline GROUP BY transaction "
            "HAVING SUM(NVL(debit, 0)) <> SUM(NVL(credit, 0))"
        )
        assert self.api.rows(query) == []
        query = "SELECT transaction FROM transactionline GROUP BY transaction HAVING SUM(foreignamount) <> 0"
        assert self.api.rows(query) == []

    @invariant()
    def receivables_are_what_is_open(self) -> None:
        query = (
            "SELECT NVL(SUM(l.amount), 0) AS control FROM transactionaccountingline l JOIN transactionline tl "
            "ON tl.transaction = l.transaction AND tl.id = l.transactionline WHERE tl.entity = ? "
            "AND l.account = 119 AND l.posting = 'T'"
        )
        control = Decimal(self.api.rows(query, self.customer)[0]["control"])
        owed = sum((self.left(d) for d in self.of("invoice")), ZERO)
        owed -= sum((self.left(d) for d in self.of("creditMemo", "customerPayment")), ZERO)
        assert control == owed + sum(self.journals.values(), ZERO)
        assert self.api.get(f"customer/{self.customer}")["balance"] == owed


def run(api: Api, examples: int, steps: int) -> None:
    Accounts.api = api
    # Every step is many requests: a failure is shown as it was found, not made small.
    phases = [Phase.explicit, Phase.reuse, Phase.generate]
    wanted = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Accounts, settings=wanted)


def test_the_accounts(oneworld: Api) -> None:
    run(oneworld, 10, 15)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_accounts_at_length(oneworld: Api) -> None:
    run(oneworld, 150, 40)
