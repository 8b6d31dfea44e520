"""What a role does not see although it may read the type: records of other subsidiaries, and rows hidden in mid-life."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from sandbox_tools import PROFILES, TRANSIENT, Api, Integration, Refused, start, unique
from test_sandbox_jobs import ASYNC, result

LABELS = {"nonexistent": "1234567-sb1", "permission": "7654321-sb2"}
"""Account by what it answers for a record that is out of sight."""
ROLES = {"us": 2001, "de": 2003, "everyone": 1042, "administrator": 3}
US, DE = "1", "3"

# Each table, its columns that tell a row, and how a row's subsidiaries are found without any restriction.
OF_TRANSACTION = "(SELECT t.subsidiary FROM transaction t WHERE t.id = x.{0})"
OF_CUSTOMER = "(SELECT MAX(r.subsidiary) FROM customersubsidiaryrelationship r WHERE r.entity = x.{0})"
TABLES = {
    "transaction": ("id", "x.subsidiary"),
    "transactionline": ("uniquekey", "x.subsidiary"),
    "transactionaccountingline": ("transaction, transactionline", OF_TRANSACTION.format("transaction")),
    "nexttransactionlinelink": ("previousdoc, nextdoc", OF_TRANSACTION.format("nextdoc")),
    "previoustransactionlinelink": ("previousdoc, nextdoc", OF_TRANSACTION.format("nextdoc")),
    "transactionhistory": ("transaction, type", OF_TRANSACTION.format("transaction")),
    "customer": ("id", OF_CUSTOMER.format("id")),
    "entity": ("id", OF_CUSTOMER.format("id")),
    "customersubsidiaryrelationship": ("id", "x.subsidiary"),
    "customercurrencies": ("customer, currency", OF_CUSTOMER.format("customer")),
    "revenueelement": ("id", OF_TRANSACTION.format("source")),
    "revenueplan": (
        "id",
        "(SELECT t.subsidiary FROM transaction t JOIN revenueelement e ON e.source = t.id WHERE e.id = x.createdfrom)",
    ),
    "revenueplanplannedrevenue": (
        "id",
        "(SELECT t.subsidiary FROM transaction t JOIN revenueelement e ON e.source = t.id "
        "JOIN revenueplan p ON p.createdfrom = e.id WHERE p.id = x.revenueplan)",
    ),
}


@pytest.fixture(scope="module")
def callers(
    public_pem: Path, private_key: ec.EllipticCurvePrivateKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, dict[str, Api]]]:
    """Callers by role, of two filled accounts that differ in how they refuse."""
    folder = tmp_path_factory.mktemp("sight")
    arguments: list[str] = []
    for refusal, label in LABELS.items():
        profile: dict[str, Any] = yaml.safe_load((PROFILES / "oneworld.yaml").read_text())
        account = label.upper().replace("-", "_")
        profile |= {"account": account, "switches": {"restricted_record": refusal}}
        billing = profile["roles"][0]
        billing["permissions"] |= {"Revenue Element": "view", "Revenue Recognition Plan": "view"}
        for name, subsidiary in (("us", US), ("de", DE)):
            profile["roles"].append(billing | {"id": ROLES[name], "name": name, "subsidiaries": [subsidiary]})
        profile["integrations"] = [
            {"client_id": name, "name": name, "role": role, "entity": 317} for name, role in ROLES.items()
        ]
        path = folder / f"{label}.yaml"
        path.write_text(yaml.safe_dump(profile))
        arguments += ["--profile", str(path)]
        for name in ROLES:
            arguments += ["--certificate", f"{account}:{name}:c:{public_pem}"]
    server = start(*arguments)
    try:
        found = {
            refusal: {name: Api(server.url, label, Integration(name, "c", private_key)) for name in ROLES}
            for refusal, label in LABELS.items()
        }
        for apis in found.values():
            fill_with_both(apis["administrator"])
        yield found
    finally:
        assert server.stop() == 0


def fill_with_both(administrator: Api) -> None:
    """Records of both subsidiaries, of every kind that a role may be kept from; some of them with notes."""
    order = {"customers": 30, "invoices": 200, "lines": 2, "credit_memos": 20, "payments": 40, "journals": 12}
    order["deposits"] = 20
    administrator.admin("POST", "fill", order)
    administrator.admin("POST", "revenue", {"invoices": 20})
    for subsidiary in (US, DE):
        administrator.invoice(administrator.customer(subsidiary={"id": subsidiary}), "10.00")


@pytest.fixture
def seeing(callers: dict[str, dict[str, Api]]) -> Iterator[dict[str, Api]]:
    """The callers of the account where what is out of sight does not exist."""
    yield callers["nonexistent"]
    callers["nonexistent"]["administrator"].admin("DELETE", "faults")


@pytest.fixture(params=LABELS)
def either(request: pytest.FixtureRequest, callers: dict[str, dict[str, Api]]) -> tuple[str, dict[str, Api]]:
    return request.param, callers[request.param]


def read(api: Api, query: str) -> list[dict[str, str]]:
    """Every row, over all pages; the total that each page tells must be the rows that there are."""
    rows: list[dict[str, str]] = []
    totals = set()
    while True:
        page = api.ask(query, limit=100, offset=len(rows))
        rows += page["items"]
        totals.add(page["totalResults"])
        if not page["hasMore"]:
            assert totals == {len(rows)}
            return rows


def one_of(api: Api, subsidiary: str, kind: str = "CustInvc") -> str:
    query = f"SELECT MAX(id) AS id FROM transaction WHERE type = '{kind}' AND subsidiary = {subsidiary}"
    return api.rows(query)[0]["id"]


# Subsidiary restrictions, in queries


@pytest.mark.parametrize("table", TABLES)
def test_a_restricted_role_sees_its_subsidiaries_rows_and_their_count(
    seeing: dict[str, Api], table: str
) -> None:
    key, subsidiary = TABLES[table]
    names = key.split(", ")
    everything = read(
        seeing["administrator"], f"SELECT {key}, {subsidiary} AS sub FROM {table} x ORDER BY {key}"
    )
    assert {row["sub"] for row in everything} == {US, DE}
    assert read(seeing["everyone"], f"SELECT {key} FROM {table} ORDER BY {key}") == [
        {name: text for name, text in row.items() if name != "sub"} for row in everything
    ]
    for who, own in (("us", US), ("de", DE)):
        found = read(seeing[who], f"SELECT {key} FROM {table} ORDER BY {key}")
        wanted = [[row[name] for name in names] for row in everything if row["sub"] == own]
        assert [[row[name] for name in names] for row in found] == wanted
        assert seeing[who].rows(f"SELECT COUNT(*) AS n FROM {table}") == [{"n": str(len(wanted))}]


def test_system_notes_are_seen_with_their_records(seeing: dict[str, Api]) -> None:
    query = "SELECT recordtypeid, recordid, field FROM systemnote ORDER BY recordid, field"
    everything = read(seeing["administrator"], query)
    visible = {
        who: {
            row["id"]
            for table in ("transaction", "customer")
            for row in read(seeing[who], f"SELECT id FROM {table} ORDER BY id")
        }
        for who in ("us", "de")
    }
    for who, ids in visible.items():
        found = read(seeing[who], query)
        assert found == [row for row in everything if row["recordid"] in ids]
        assert found


def test_what_is_out_of_sight_is_no_partner_of_a_join(seeing: dict[str, Api]) -> None:
    """However the join is written, in sub-queries, groups and windows by key too."""
    own, other = one_of(seeing["administrator"], US), one_of(seeing["administrator"], DE)
    us, everyone = seeing["us"], seeing["everyone"]
    left = (
        "SELECT p.id, t.id AS tid FROM accountingperiod p LEFT JOIN transaction t "
        f"ON t.postingperiod = p.id AND t.id IN ({own}, {other}) WHERE t.id IS NOT NULL OR p.id = 101 ORDER BY t.id"
    )
    assert [row.get("tid") for row in everyone.rows(left)] == [*sorted([own, other], key=int), None]
    assert [row.get("tid") for row in us.rows(left)] == [own, None]
    marked = (
        "SELECT c.id, t.id AS tid FROM currency c, transaction t WHERE c.id = t.currency(+) "
        f"AND t.id(+) = {other} ORDER BY c.id"
    )
    assert [row.get("tid") for row in everyone.rows(marked)] == [None, other, None]
    assert [row.get("tid") for row in us.rows(marked)] == [None, None, None]
    comma = f"SELECT c.id FROM currency c, transaction t WHERE c.id = t.currency AND t.id = {other}"
    assert (len(everyone.rows(comma)), us.rows(comma)) == (1, [])
    inside = f"SELECT id FROM currency WHERE id IN (SELECT currency FROM transaction WHERE id = {other})"
    assert (len(everyone.rows(inside)), us.rows(inside)) == (1, [])
    derived = (
        f"SELECT transaction.n FROM (SELECT COUNT(*) AS n FROM transaction WHERE id = {other}) transaction"
    )
    assert (everyone.rows(derived), us.rows(derived)) == ([{"n": "1"}], [{"n": "0"}])
    numbered = f"SELECT id FROM transaction WHERE id = {other} AND ROWNUM <= 5"
    assert (len(everyone.rows(numbered)), us.rows(numbered)) == (1, [])
    window = (
        "SELECT tl.uniquekey FROM transaction t JOIN transactionline tl ON tl.transaction = t.id "
        "WHERE t.type = 'CustInvc' AND tl.uniquekey > 0 ORDER BY tl.uniquekey"
    )
    assert [row["uniquekey"] for row in read(us, window)] == [
        row["uniquekey"] for row in read(everyone, window.replace("WHERE", "WHERE tl.subsidiary = 1 AND"))
    ]


def test_sums_are_of_what_is_seen(seeing: dict[str, Api]) -> None:
    query = (
        "SELECT FLOOR(t.id / 1000) AS bucket, COUNT(*) AS n, SUM(t.foreigntotal) AS total FROM transaction t"
    )
    group = "GROUP BY FLOOR(t.id / 1000) ORDER BY FLOOR(t.id / 1000)"
    for who, own in (("us", US), ("de", DE)):
        wanted = seeing["administrator"].rows(f"{query} WHERE t.subsidiary = {own} {group}")
        assert seeing[who].rows(f"{query} {group}") == wanted
        assert wanted


# Subsidiary restrictions, in records


def test_a_record_out_of_sight_is_refused(either: tuple[str, dict[str, Api]]) -> None:
    refusal, apis = either
    expected = (404, "NONEXISTENT_ID") if refusal == "nonexistent" else (403, "INSUFFICIENT_PERMISSION")
    administrator, us = apis["administrator"], apis["us"]
    invoice, payment = one_of(administrator, DE), one_of(administrator, DE, "CustPymt")
    customer = administrator.rows("SELECT MAX(id) AS id FROM customer WHERE subsidiary = 3")[0]["id"]
    external = administrator.get(f"customerPayment/{payment}")["externalId"]
    before = administrator.get(f"invoice/{invoice}")
    requests: list[tuple[str, str, Any]] = [
        ("GET", f"invoice/{invoice}", None),
        ("GET", f"invoice/{invoice}/item", None),
        ("PATCH", f"invoice/{invoice}", {"memo": "x"}),
        ("DELETE", f"invoice/{invoice}", None),
        ("POST", f"invoice/{invoice}/!transform/creditMemo", {}),
        ("GET", f"customerPayment/eid:{external}", None),
        ("GET", f"customer/{customer}", None),
        ("PATCH", f"customer/{customer}", {"comments": "x"}),
    ]
    for method, path, body in requests:
        refused = us.refused(method, path, body)
        assert (refused.status, refused.code) == expected, (method, path)
        assert str(invoice) not in refused.detail
    # Another type's endpoint tells no more about it.
    assert us.refused("GET", f"creditMemo/{invoice}").code == expected[1]
    upsert = us.refused("PUT", f"customerPayment/eid:{external}", {"memo": "x", "customer": {"id": customer}})
    assert upsert.status == (400 if refusal == "nonexistent" else 403)
    assert administrator.get(f"invoice/{invoice}") == before


def test_an_upsert_does_not_double_what_is_out_of_sight(either: tuple[str, dict[str, Api]]) -> None:
    """The external id is taken, by a record that the caller cannot see."""
    refusal, apis = either
    external = unique("hidden")
    customer = apis["administrator"].customer(externalId=external, subsidiary={"id": DE})
    body = {"companyName": unique("Again"), "subsidiary": {"id": US}}
    refused = apis["us"].refused("PUT", f"customer/eid:{external}", body)
    assert refused.status == (400 if refusal == "nonexistent" else 403)
    if refusal == "nonexistent":
        assert refused.detail.endswith("This entity already exists.")
    query = f"SELECT id FROM customer WHERE externalid = '{external}'"
    assert apis["administrator"].rows(query) == [{"id": customer}]


def test_collections_hold_what_is_seen(seeing: dict[str, Api]) -> None:
    for kind, table, which in (
        ("invoice", "transaction", "type = 'CustInvc' AND "),
        ("journalEntry", "transaction", "type = 'Journal' AND "),
        ("customer", "customer", ""),
    ):
        wanted = {
            row["id"]
            for row in seeing["administrator"].rows(f"SELECT id FROM {table} WHERE {which}subsidiary = 3")
        }
        page = seeing["de"].get(kind)
        assert page["totalResults"] == len(wanted)
        assert {item["id"] for item in page["items"]} == wanted
    own, other = one_of(seeing["administrator"], DE), one_of(seeing["administrator"], US)
    assert len(seeing["de"].get("invoice", ids=own, expandRecords="true")["items"]) == 1
    assert seeing["de"].refused("GET", f"invoice?ids={own},{other}").code == "NONEXISTENT_ID"
    assert seeing["de"].get("invoice", q=f"id EQUAL {own}")["totalResults"] == 1
    assert seeing["de"].get("invoice", q=f"id EQUAL {other}")["totalResults"] == 0


def test_nothing_is_written_in_another_subsidiary(seeing: dict[str, Api]) -> None:
    us, administrator = seeing["us"], seeing["administrator"]
    before = administrator.rows("SELECT COUNT(*) AS n, MAX(id) AS id FROM transaction")
    refused = us.refused("POST", "customer", {"companyName": unique("DE"), "subsidiary": {"id": DE}})
    assert (refused.status, refused.error["o:errorPath"]) == (400, "subsidiary")
    own = us.customer()
    refused = us.refused("PATCH", f"customer/{own}", {"subsidiary": {"id": DE}})
    assert refused.error["o:errorPath"] == "subsidiary"
    lines = [{"account": {"id": "598"}, "debit": 5}, {"account": {"id": "599"}, "credit": 5}]
    journal = {"subsidiary": {"id": DE}, "tranDate": "2026-10-15", "line": {"items": lines}}
    assert us.refused("POST", "journalEntry", journal).error["o:errorPath"] == "subsidiary"
    theirs = administrator.customer(subsidiary={"id": DE})
    line = {"item": {"id": "417"}, "amount": 5}
    refused = us.refused("POST", "invoice", {"entity": {"id": theirs}, "item": {"items": [line]}})
    assert (refused.code, refused.error["o:errorPath"]) == ("INVALID_CONTENT", "entity")
    hidden = administrator.invoice(theirs, "9.00")
    apply = {"items": [{"doc": {"id": hidden}, "apply": True, "amount": 1}]}
    refused = us.refused("POST", "customerPayment", {"customer": {"id": own}, "payment": 5, "apply": apply})
    assert refused.error["o:errorPath"] == "apply.items[0].doc"
    administrator.write("DELETE", f"invoice/{hidden}")
    after = administrator.rows("SELECT COUNT(*) AS n, MAX(id) AS id FROM transaction")
    assert after == before
    assert us.rows(f"SELECT id FROM customer WHERE id = {own}") == [{"id": own}]
    us.invoice(own, "5.00")


def test_a_customer_of_several_subsidiaries_is_seen_by_each_of_their_roles(seeing: dict[str, Api]) -> None:
    customer = seeing["administrator"].customer()
    query = f"SELECT id FROM customer WHERE id = {customer}"
    assert seeing["de"].rows(query) == []
    relation = {"entity": {"id": customer}, "subsidiary": {"id": DE}}
    seeing["administrator"].write("POST", "customerSubsidiaryRelationship", relation)
    assert seeing["de"].rows(query) == [{"id": customer}]
    assert seeing["de"].get(f"customer/{customer}")["id"] == customer
    theirs = seeing["administrator"].invoice(customer, "7.00")
    assert seeing["de"].refused("GET", f"invoice/{theirs}").status == 404
    lines = [{"item": {"id": "417"}, "amount": 7}]
    body = {
        "entity": {"id": customer},
        "subsidiary": {"id": DE},
        "tranDate": "2026-10-15",
        "item": {"items": lines},
    }
    own = seeing["de"].write("POST", "invoice", body)
    assert seeing["us"].refused("GET", f"invoice/{own}").status == 404
    assert {
        row["id"] for row in seeing["everyone"].rows(f"SELECT id FROM transaction WHERE entity = {customer}")
    } == {
        own,
        theirs,
    }


def test_choices_of_a_field_are_what_is_seen(seeing: dict[str, Api]) -> None:
    headers = {"Accept": "application/vnd.oracle.resource+json; type=select-options"}
    answer = seeing["de"].send("POST", "invoice?fields=entity", {}, headers=headers)
    wanted = {row["id"] for row in seeing["de"].rows("SELECT id FROM customer")}
    assert {one["id"] for one in answer.json()["entity"]["_selectOptions"]["items"]} == wanted


# Rows that are hidden in mid-life


def ids(api: Api, where: str = "1 = 1") -> list[str]:
    return [row["id"] for row in read(api, f"SELECT id FROM transaction WHERE {where} ORDER BY id")]


def hide(api: Api, **more: Any) -> None:
    api.admin("POST", "faults", {"kind": "rows_hidden", **more})


def test_a_subsidiarys_transactions_are_hidden_from_the_next_page_on(seeing: dict[str, Api]) -> None:
    everyone, administrator = seeing["everyone"], seeing["administrator"]
    everything = ids(everyone)
    hide(administrator, subsidiary=DE, role="1042", after=1, body="ORDER BY id")
    query = "SELECT id FROM transaction ORDER BY id"
    first = everyone.ask(query, limit=50, offset=0)
    second = everyone.ask(query, limit=50, offset=50)
    left = ids(administrator, "subsidiary = 1")
    assert ([row["id"] for row in first["items"]], first["totalResults"]) == (
        everything[:50],
        len(everything),
    )
    assert ([row["id"] for row in second["items"]], second["totalResults"]) == (left[50:100], len(left))
    assert ids(administrator) == everything
    assert ids(seeing["de"]) == ids(administrator, "subsidiary = 3")
    # Customers are not transactions.
    assert everyone.rows("SELECT COUNT(*) AS n FROM customer") == administrator.rows(
        "SELECT COUNT(*) AS n FROM customer"
    )
    administrator.admin("DELETE", "faults")
    assert ids(everyone) == everything


def test_a_share_of_the_transactions_is_hidden_the_same_everywhere(seeing: dict[str, Api]) -> None:
    everyone, administrator = seeing["everyone"], seeing["administrator"]
    everything = ids(everyone)

    def left(seed: int) -> list[str]:
        administrator.admin("DELETE", "faults")
        hide(administrator, share=0.25, seed=seed)
        return ids(everyone)

    first = left(7)
    assert 0.55 < len(first) / len(everything) < 0.92
    assert set(first) < set(everything)
    assert left(7) == first
    assert left(8) != first
    left(7)
    for table, column in (
        ("transactionline", "transaction"),
        ("transactionaccountingline", "transaction"),
        ("nexttransactionlinelink", "previousdoc"),
        ("nexttransactionlinelink", "nextdoc"),
    ):
        seen = {
            row["id"] for row in read(everyone, f"SELECT DISTINCT {column} AS id FROM {table} ORDER BY 1")
        }
        every = {
            row["id"]
            for row in read(administrator, f"SELECT DISTINCT {column} AS id FROM {table} ORDER BY 1")
        }
        assert seen <= set(first)
        assert every - set(first)
    hidden = next(one for one in ids(administrator, "type = 'CustInvc'") if one not in first)
    assert everyone.refused("GET", f"invoice/{hidden}").status == 404
    assert everyone.refused("PATCH", f"invoice/{hidden}", {"memo": "x"}).status == 404
    assert administrator.get(f"invoice/{hidden}")["id"] == hidden
    customer = everyone.customer()
    made = [everyone.invoice(customer, "5.00") for _ in range(40)]
    assert 0 < len(set(made) & set(ids(everyone))) < 40


def test_a_payment_does_not_name_an_invoice_out_of_sight(seeing: dict[str, Api]) -> None:
    everyone, administrator = seeing["everyone"], seeing["administrator"]
    customer = administrator.customer()
    invoices = [administrator.invoice(customer, "3.00") for _ in range(12)]
    apply = {"items": [{"doc": {"id": one}, "apply": True, "amount": 3} for one in invoices]}
    payment = {"customer": {"id": customer}, "payment": 36, "tranDate": "2026-10-20", "apply": apply}
    seed = 0
    paid = administrator.write("POST", "customerPayment", payment)
    while paid not in ids(everyone, f"entity = {customer}") or seed == 0:
        seed += 1
        administrator.admin("DELETE", "faults")
        hide(administrator, share=0.5, seed=seed)
    shown = [line["doc"]["id"] for line in everyone.full(f"customerPayment/{paid}")["apply"]["items"]]
    assert shown == [one for one in invoices if one in ids(everyone, f"entity = {customer}")]
    assert len(shown) < 12
    assert len(administrator.full(f"customerPayment/{paid}")["apply"]["items"]) == 12


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ({}, "share"),
        ({"share": 0.5, "subsidiary": "1"}, "subsidiary"),
        ({"share": 1.5}, "share"),
        ({"subsidiary": "9"}, "subsidiary"),
        ({"share": 0.5, "role": "9"}, "role"),
    ],
)
def test_a_rule_of_hidden_rows_that_says_too_little(
    seeing: dict[str, Api], rule: dict[str, Any], word: str
) -> None:
    answer = seeing["us"].http.post("sandbox/faults", json={"kind": "rows_hidden", **rule})
    assert answer.status_code == 400
    assert word in answer.json()["error"]


def test_a_job_writes_no_more_than_its_role_sees(seeing: dict[str, Api]) -> None:
    invoice = one_of(seeing["administrator"], DE)
    answer = seeing["us"].send("PATCH", f"invoice/{invoice}", {"memo": "x"}, headers=ASYNC)
    assert answer.status_code == 202
    refused = Refused.of(
        result(seeing["us"], answer.headers["location"].removeprefix(f"{seeing['us'].rest}/"))
    )
    assert refused.code == "NONEXISTENT_ID"


def test_one_roles_answer_is_not_anothers(seeing: dict[str, Api]) -> None:
    """The same query, at the same time, by roles that see different rows."""
    content = {"q": "SELECT COUNT(*) AS n FROM transaction"}
    counts = {
        who: seeing[who]
        .request("POST", "query/v1/suiteql", json=content, headers=TRANSIENT)
        .json()["items"][0]["n"]
        for who in ("us", "de", "everyone", "administrator", "us", "de")
    }
    assert int(counts["us"]) + int(counts["de"]) == int(counts["everyone"]) == int(counts["administrator"])


def test_a_single_company_can_have_rows_hidden_too(single: Api) -> None:
    invoice = single.invoice(single.customer())
    single.admin("POST", "faults", {"kind": "rows_hidden", "share": 1})
    try:
        assert single.rows(f"SELECT id FROM transaction WHERE id = {invoice}") == []
        assert single.rows(f"SELECT transaction FROM transactionline WHERE transaction = {invoice}") == []
        assert single.refused("GET", f"invoice/{invoice}").status == 404
    finally:
        single.admin("DELETE", "faults")
    assert single.get(f"invoice/{invoice}")["id"] == invoice


Fresh = Callable[..., tuple[Any, Api]]


def test_a_reset_shows_everything_again(fresh: Fresh) -> None:
    _, api = fresh()
    api.admin("POST", "faults", {"kind": "rows_hidden", "share": 1})
    api.invoice(api.customer())
    assert ids(api) == []
    api.admin("POST", "reset")
    api.invoice(api.customer())
    assert len(ids(api)) == 1
