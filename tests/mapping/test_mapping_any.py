"""Whatever rules are put together: they are a clear mistake, or they run, and every document is accounted for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mapping_tools import CUSTOMER, ENTITY, Account, tenant
from test_mapping_records import ACCRUAL, JOURNAL, PAYMENT

from netsuite_assets.mapping.compiler import compile_mapping
from resources.tenants import Problem, TenantError

_PATHS = st.sampled_from(
    ["id", "number", "issued_on", "total", "memo", "metadata.n", "metadata.a.b", "customer.terms", "customer.metadata.x",
     "document.status", "invoice.currency", "invoice.total", "line_no", "amount", "quantity", "unit_amount", "description",
     "product_id", "service_start", "period", "period_end", "rest", "legal_entity", "updated_at", "invoice.legal_entity",
     "invoice.customer_id", "metadata.kind", "nothing", "metadata"]
)  # fmt: skip
_TEXTS = st.sampled_from(["1", "us", "API calls", "Net 30", "2026-10-05", "12.5", "true", "Tax", "x" * 20])
_FIELDS = st.sampled_from(
    ["memo", "tranDate", "dueDate", "terms", "exchangeRate", "subsidiary", "department", "postingPeriod", "custbody_a",
     "custbody_r", "cseg_x", "toBeEmailed", "otherRefNum", "currency", "Memo", "createdFrom"]
)  # fmt: skip
_LINE_FIELDS = st.sampled_from(
    ["item", "amount", "quantity", "rate", "description", "custcol_a", "department", "class", "taxCode"]
)
_LISTS = st.sampled_from(
    ["term", "item", "department", "customlist_x", "cseg_x", "customer", "invoice", "accountingPeriod", "currency", "journalEntry"]
)  # fmt: skip
_TEST = st.one_of(
    _TEXTS,
    st.lists(_TEXTS, min_size=1, max_size=2),
    st.fixed_dictionaries(
        {},
        optional={
            "not": _TEXTS, "empty": st.booleans(), "above": st.sampled_from(["0", "2026-10-01"]), "at_most": st.just("100"),
        },
    ).filter(bool),
)  # fmt: skip
_WHEN = st.one_of(
    st.dictionaries(_PATHS, _TEST, min_size=1, max_size=2),
    st.lists(st.dictionaries(_PATHS, _TEST, min_size=1, max_size=2), min_size=1, max_size=2),
)
_OPERATIONS: dict[str, Any] = {
    "map": st.dictionaries(_TEXTS, _TEXTS, min_size=1, max_size=2),
    "sign": st.sampled_from(["negate", "absolute", "positive_part", "negative_part"]),
    "shift": st.sampled_from([{"days": 3}, [{"months": 1}, {"end_of_month": True}]]),
    "round": st.sampled_from(["currency", 0, 2]),
    "lookup": _LISTS,
    "by": st.sampled_from(["name", ["external_id", "name"], "date"]),
    "when": _WHEN,
}
_SOURCE = st.one_of(
    _PATHS.map(lambda path: {"from": path}),
    _TEXTS.map(lambda text: {"value": text}),
    _PATHS.map(lambda path: {"template": f"a {{{path}}}"}),
    st.lists(_PATHS, min_size=1, max_size=3).map(lambda paths: {"join": paths}),
)


def _some(optional: dict[str, Any], most: int) -> st.SearchStrategy[dict[str, Any]]:
    """A few of these keys, so that most rules are of the size that people write."""
    keys = st.lists(st.sampled_from(sorted(optional)), max_size=most, unique=True)
    return keys.flatmap(lambda chosen: st.fixed_dictionaries({key: optional[key] for key in chosen}))


_WAY = st.builds(lambda source, more: source | more, _SOURCE, _some(_OPERATIONS, 1))
_RULE = st.builds(
    lambda source, more: source | more,
    st.one_of(
        _SOURCE,
        _SOURCE,
        st.lists(st.one_of(_PATHS, _WAY), min_size=1, max_size=3).map(lambda ways: {"first_of": ways}),
        st.just({"empty": True}),
    ),
    _some(
        _OPERATIONS
        | {
            "default": _TEXTS, "max_length": st.just(30), "max_decimals": st.just(2), "cut": st.booleans(),
            "type": st.sampled_from(["date", "amount", "integer", "reference", "boolean", "datetime"]),
            "write": st.just("if_empty"),
        },
        2,
    ),
)  # fmt: skip
_GROUP = st.builds(
    lambda by, more: {"by": by, **more},
    st.lists(_PATHS, min_size=1, max_size=2),
    _some(
        {key: st.lists(_PATHS, min_size=1, max_size=2) for key in ("sum", "min", "max", "first")}
        | {"when": _WHEN},
        2,
    ),
)
_SPLIT = st.just({"parts": {"a": {"share": 0.3}, "b": {"share": "rest"}}})
_LINE_RULE = _some(
    {
        "each": st.sampled_from(["line", "document", "rest"]), "when": _WHEN, "group": _GROUP, "split": _SPLIT,
        "fields": st.dictionaries(_LINE_FIELDS, _RULE, max_size=2),
    },
    3,
)  # fmt: skip
_MORE = _some(
    {
        "when": _WHEN, "lines_when": _WHEN, "line_rules": st.dictionaries(st.sampled_from(["a", "b", "lines"]), _LINE_RULE, min_size=1, max_size=3),
        "by_subsidiary": st.dictionaries(
            st.sampled_from(["us", "eu"]), _some({"fields": st.dictionaries(_FIELDS, _RULE, max_size=2), "lines": st.dictionaries(_LINE_FIELDS, _RULE, max_size=1)}, 2), min_size=1, max_size=2),
        "legal_entity": _PATHS,
    },
    3,
)  # fmt: skip


@pytest.fixture(scope="module")
def held() -> Iterator[Account]:
    """Documents of every kind, some of them strange."""
    made = Account()
    for name in ("term", "department", "customlist_x", "cseg_x", "currency", "account"):
        for internal_id, text, subsidiary in (
            ("1", "Net 30", None),
            ("2", "us", "1"),
            ("3", "us", "3"),
            ("4", "USD", None),
        ):
            made.listed(name, internal_id, name=text, subsidiary=subsidiary, is_inactive=False)
    made.insert(
        "netsuite.periods",
        {"internal_id": "10", "start_date": date(2026, 10, 1), "end_date": date(2026, 10, 31)},
    )
    made.invoice("1", status="paid", memo="October usage, all of it", metadata='{"n": "12.345", "a": {"b": "us"}, "kind": "Tax"}',
                 legal_entity="us", terms="Net 30", lines=[{"quantity": Decimal(3), "metadata": '{"kind": "x", "n": 1.5}'}, {"product_id": None}])  # fmt: skip
    made.invoice(
        "2",
        customer_id=None,
        legal_entity="eu",
        currency="XXX",
        metadata="{broken",
        lines=[{"metadata": "{broken"}],
    )
    made.invoice("3", total=Decimal("-99999999999999.9999"), metadata='{"n": 1e300, "a": [1]}', lines=[])
    made.invoice(
        "4/x", number="", lines=[{"amount": Decimal(0)}, {"amount": Decimal("99999999999999.9999")}] * 2
    )
    made.payment("p1", "10.50", {"1": "10.50", "9": "1"})
    yield made
    made.con.close()


def _runs_or_complains(tmp_path: Path, held: Account, records: dict[str, Any]) -> bool:
    problems: Sequence[Problem] = ()
    try:
        mapped = compile_mapping(tenant(tmp_path, records))
    except TenantError as error:
        problems = error.problems or [Problem("no mistake is told", 0, 0, "")]
    for problem in problems:
        assert problem.file == "tenants/acme.yaml"
        assert 0 < len(problem.message) < 400
    if problems:
        return False
    held.con.execute("DROP SCHEMA expected CASCADE; CREATE SCHEMA expected")
    held.fill(mapped)
    for record, rules in mapped.records.items():
        rows = held.con.execute(
            f"SELECT external_id, problem, next_step FROM expected.{rules.tables.name}"
        ).fetchall()
        assert all((problem is None) == (step is None) for _, problem, step in rows)
        wanted = held.con.execute(rules.count_sql("2026-10", lines=False)).fetchall()[0][0]
        assert len(rows) == wanted
        if rules.tables.lines is not None:
            lines = held.con.execute(
                f"SELECT external_id, line_no FROM expected.{rules.tables.lines}"
            ).fetchall()
            assert len(lines) == held.con.execute(rules.count_sql("2026-10", lines=True)).fetchall()[0][0]
            assert len({line for line in lines if line[0]}) == len([line for line in lines if line[0]])
        for external_id, _, _ in rows[:2]:
            mapped.explain(held.con, record, external_id or "")
    return True


_ANY = settings(deadline=None, suppress_health_check=list(HealthCheck))


def _invoices(fields: dict[str, Any], lines: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    item = {"item": {"from": "product_id", "lookup": "item"}, "amount": {"from": "amount"}}
    invoice = {"external_id": "inv-{id}", "fields": {**ENTITY, **fields}, "lines": {**item, **lines}, **more}
    return {"customer": CUSTOMER, "invoice": invoice}


@settings(_ANY, max_examples=60)
@given(
    fields=st.dictionaries(_FIELDS, _RULE, max_size=2),
    lines=st.dictionaries(_LINE_FIELDS, _RULE, max_size=2),
    more=_MORE,
)
def test_any_rules_of_invoices(
    tmp_path: Path, held: Account, fields: dict[str, Any], lines: dict[str, Any], more: dict[str, Any]
) -> None:
    _runs_or_complains(tmp_path, held, _invoices(fields, lines, more))


@settings(_ANY, max_examples=60)
@given(field=_FIELDS, rule=_RULE)
def test_any_rule_alone(tmp_path: Path, held: Account, field: str, rule: dict[str, Any]) -> None:
    _runs_or_complains(tmp_path, held, _invoices({field: rule}, {}, {}))


@settings(_ANY, max_examples=40)
@given(
    base=st.sampled_from([JOURNAL, ACCRUAL, {**ACCRUAL, "line_rules": {}, "lines": JOURNAL["lines"]}]),
    fields=st.dictionaries(
        st.sampled_from(["memo", "tranDate", "custbody_a", "subsidiary"]), _RULE, max_size=1
    ),
    line_rule=_LINE_RULE,
    payment=st.dictionaries(
        st.sampled_from(["memo", "checkNumber", "payment", "custbody_a"]), _RULE, max_size=1
    ),
)
def test_any_rules_of_payments_and_journals(
    tmp_path: Path,
    held: Account,
    base: dict[str, Any],
    fields: dict[str, Any],
    line_rule: dict[str, Any],
    payment: dict[str, Any],
) -> None:
    journal = {**base, "fields": {**base["fields"], **fields}}
    if line_rule:
        journal["line_rules"] = {**base.get("line_rules", {}), "more": line_rule}
    records = {
        **_invoices({}, {}, {}),
        "journalEntry": journal,
        "customerPayment": {**PAYMENT, "fields": {**PAYMENT["fields"], **payment}},
    }
    _runs_or_complains(tmp_path, held, records)


@pytest.mark.soak
@settings(_ANY, max_examples=3000)
@given(
    fields=st.dictionaries(_FIELDS, _RULE, max_size=3),
    lines=st.dictionaries(_LINE_FIELDS, _RULE, max_size=3),
    more=_MORE,
)
def test_any_rules_of_invoices_for_long(
    tmp_path: Path, held: Account, fields: dict[str, Any], lines: dict[str, Any], more: dict[str, Any]
) -> None:
    _runs_or_complains(tmp_path, held, _invoices(fields, lines, more))
