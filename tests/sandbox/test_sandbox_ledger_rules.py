"""Whatever is written, in whatever order: books balance, amounts are exact, and every view of a document agrees."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sandbox_tools import Api

# Every step is many requests: a failure is shown as it was found, not made small.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
CENT = Decimal("0.01")
money = st.decimals(Decimal("0.01"), Decimal("99999.99"), places=2)
quantities = st.decimals(Decimal("0.001"), Decimal(5000), places=3)
rates = st.decimals(Decimal("0.0001"), Decimal(900), places=4)
lines = st.one_of(
    st.fixed_dictionaries({"amount": money}),
    st.fixed_dictionaries({"quantity": quantities, "rate": rates}),
    st.fixed_dictionaries({"quantity": quantities, "amount": money}),
)


def amount_of(line: dict[str, Decimal]) -> Decimal:
    return (
        line["amount"]
        if "amount" in line
        else (line["quantity"] * line["rate"]).quantize(CENT, ROUND_HALF_UP)
    )


def sent(given: list[dict[str, Decimal]]) -> dict[str, Any]:
    return {
        "items": [{"item": "417"} | {name: float(value) for name, value in line.items()} for line in given]
    }


class Books(RuleBasedStateMachine):
    """A model of one customer's documents beside the sandbox's."""

    api: Api

    def __init__(self) -> None:
        super().__init__()
        self.customer = self.api.customer(currencyList={"items": [{"currency": {"id": "2"}}]})
        self.lines: dict[str, list[Decimal]] = {}
        self.kind: dict[str, str] = {}
        self.applied: dict[tuple[str, str], Decimal] = {}

    def total(self, document: str) -> Decimal:
        return sum(self.lines[document], Decimal(0))

    def used(self, document: str) -> Decimal:
        return sum((v for pair, v in self.applied.items() if document in pair), Decimal(0))

    def of(self, kind: str) -> list[str]:
        return [d for d, k in self.kind.items() if k == kind]

    @rule(
        kind=st.sampled_from(["invoice", "creditMemo"]),
        given=st.lists(lines, min_size=1, max_size=4),
        currency=st.sampled_from(["1", "2"]),
    )
    def create(self, kind: str, given: list[dict[str, Decimal]], currency: str) -> None:
        body = {"entity": self.customer, "tranDate": "2026-10-15", "currency": currency, "item": sent(given)}
        document = self.api.write("POST", kind, body)
        self.kind[document] = kind
        self.lines[document] = [amount_of(line) for line in given]

    @precondition(lambda self: self.kind)
    @rule(data=st.data(), line=lines)
    def change_a_line(self, data: st.DataObject, line: dict[str, Decimal]) -> None:
        document = data.draw(st.sampled_from(sorted(self.kind)))
        path = f"{self.kind[document]}/{document}"
        number = data.draw(st.integers(0, len(self.lines[document]) - 1))
        keys = [item["line"] for item in self.api.full(path)["item"]["items"]]
        change = {"line": keys[number], "quantity": None, "rate": None} | {
            k: float(v) for k, v in line.items()
        }
        amounts = [*self.lines[document]]
        amounts[number] = amount_of(line)
        answer = self.api.send("PATCH", path, {"item": {"items": [change]}})
        if sum(amounts, Decimal(0)) < self.used(document):
            assert answer.status_code == 400
        else:
            assert answer.status_code == 204, answer.text
            self.lines[document] = amounts

    @precondition(lambda self: self.of("invoice") and self.of("creditMemo"))
    @rule(data=st.data(), amount=money)
    def apply(self, data: st.DataObject, amount: Decimal) -> None:
        invoice = data.draw(st.sampled_from(self.of("invoice")))
        memo = data.draw(st.sampled_from(self.of("creditMemo")))
        before = self.applied.get((memo, invoice), Decimal(0))
        room = min(
            self.total(invoice) - self.used(invoice) + before, self.total(memo) - self.used(memo) + before
        )
        body = {"apply": {"items": [{"doc": {"id": invoice}, "apply": True, "amount": float(amount)}]}}
        answer = self.api.send("PATCH", f"creditMemo/{memo}", body)
        same = (
            self.api.get(f"invoice/{invoice}")["currency"] == self.api.get(f"creditMemo/{memo}")["currency"]
        )
        if same and amount <= room:
            assert answer.status_code == 204, answer.text
            self.applied[memo, invoice] = amount
        else:
            assert answer.status_code == 400

    @precondition(lambda self: self.applied)
    @rule(data=st.data())
    def unapply(self, data: st.DataObject) -> None:
        memo, invoice = data.draw(st.sampled_from(sorted(self.applied)))
        self.api.write(
            "PATCH", f"creditMemo/{memo}", {"apply": {"items": [{"doc": invoice, "apply": False}]}}
        )
        del self.applied[memo, invoice]

    @precondition(lambda self: self.kind)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        document = data.draw(st.sampled_from(sorted(self.kind)))
        answer = self.api.send("DELETE", f"{self.kind[document]}/{document}")
        if self.kind[document] == "invoice" and self.used(document):
            assert answer.status_code == 400
            return
        assert answer.status_code == 204
        del self.kind[document], self.lines[document]
        self.applied = {pair: v for pair, v in self.applied.items() if document not in pair}

    @invariant()
    def every_view_agrees(self) -> None:
        heads = self.api.rows(
            "SELECT id, type, foreigntotal, foreignamountunpaid, foreignpaymentamountunused, status FROM transaction "
            "WHERE entity = ? ORDER BY id",
            self.customer,
        )
        assert [row["id"] for row in heads] == sorted(self.kind, key=int)
        sums = {
            row["t"]: row
            for row in self.api.rows(
                "SELECT tl.transaction AS t, SUM(CASE WHEN tl.mainline = 'F' THEN tl.foreignamount END) AS lines, "
                "SUM(tl.foreignamount) AS nothing FROM transactionline tl WHERE tl.entity = ? GROUP BY tl.transaction",
                self.customer,
            )
        }
        for row in heads:
            document, memo = row["id"], row["type"] == "CustCred"
            total, left = self.total(document), self.total(document) - self.used(document)
            record = self.api.get(f"{self.kind[document]}/{document}")
            assert (record["total"], record["amountRemaining"]) == (total, left)
            assert Decimal(row["foreigntotal"]) == (-total if memo else total)
            assert Decimal(row["foreignpaymentamountunused" if memo else "foreignamountunpaid"]) == left
            assert row["status"] == record["status"]["id"] == ("A" if left else "B")
            assert Decimal(sums[document]["lines"]) == (total if memo else -total)
            assert sums[document]["nothing"] == "0"

    @invariant()
    def the_books_balance(self) -> None:
        unbalanced = self.api.rows(
            "SELECT l.transaction FROM transactionaccountingline l JOIN transaction t ON t.id = l.transaction "
            "WHERE t.entity = ? GROUP BY l.transaction HAVING SUM(NVL(l.debit, 0)) <> SUM(NVL(l.credit, 0))",
            self.customer,
        )
        assert unbalanced == []

    @invariant()
    def the_links_are_the_applications(self) -> None:
        rows = self.api.rows(
            "SELECT l.nextdoc, l.previousdoc, l.foreignamount FROM NextTransactionLineLink l "
            "JOIN transaction t ON t.id = l.nextdoc WHERE t.entity = ?",
            self.customer,
        )
        assert {(r["nextdoc"], r["previousdoc"]): Decimal(r["foreignamount"]) for r in rows} == self.applied


def test_the_books(oneworld: Api) -> None:
    Books.api = oneworld
    run_state_machine_as_test(
        Books,
        settings=settings(
            max_examples=15,
            stateful_step_count=12,
            deadline=None,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )
