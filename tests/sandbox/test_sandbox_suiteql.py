"""SuiteQL: the call and its answer, the dialect, values, pages, errors, and what no query can reach."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sandbox_tools import TRANSIENT, Api, Refused, Server, unique


def one(api: Api, expression: str, *parameters: Any) -> str | None:
    """The value of an expression over DUAL."""
    return api.rows(f"SELECT {expression} AS x FROM dual", *parameters)[0].get("x")


# The call and its answer


def test_the_answer_has_netsuites_form(oneworld: Api) -> None:
    answer = oneworld.request(
        "POST",
        "query/v1/suiteql?limit=2&offset=2",
        json={"q": "SELECT id, Name AS TheName FROM term ORDER BY id"},
        headers=TRANSIENT,
    )
    assert answer.headers["preference-applied"] == "transient"
    assert (
        answer.headers["content-type"]
        == "application/vnd.oracle.resource+json; type=collection; charset=UTF-8"
    )
    here = f"{oneworld.rest}/query/v1/suiteql"
    assert json.loads(answer.text) == {
        "links": [
            {"rel": "previous", "href": f"{here}?limit=2&offset=0"},
            {"rel": "first", "href": f"{here}?limit=2&offset=0"},
            {"rel": "next", "href": f"{here}?limit=2&offset=4"},
            {"rel": "last", "href": f"{here}?limit=2&offset=4"},
            {"rel": "self", "href": f"{here}?limit=2&offset=2", "method": "POST"},
        ],
        "count": 2,
        "hasMore": True,
        "items": [
            {"links": [], "id": "3", "thename": "Net 60"},
            {"links": [], "id": "4", "thename": "Net 15"},
        ],
        "offset": 2,
        "totalResults": 5,
    }


def test_a_single_page_has_only_its_own_link(oneworld: Api) -> None:
    found = oneworld.ask("SELECT id FROM term WHERE id = 99")
    assert (found["items"], found["count"], found["totalResults"], found["hasMore"]) == ([], 0, 0, False)
    assert found["links"] == [{"rel": "self", "href": f"{oneworld.rest}/query/v1/suiteql", "method": "POST"}]


def test_the_last_link_can_be_as_wrong_as_in_collections(turned: Api) -> None:
    links = {
        link["rel"]: link["href"]
        for link in turned.ask("SELECT id FROM accountingperiod ORDER BY id", limit=10)["links"]
    }
    assert links["last"].endswith("limit=10&offset=20")


def test_prefer_transient_is_mandatory(oneworld: Api, turned: Api) -> None:
    for api, code in ((oneworld, "INVALID_HEADER"), (turned, "INVALID_REQUEST")):
        refused = Refused.of(api.request("POST", "query/v1/suiteql", json={"q": "SELECT id FROM term"}))
        assert (refused.status, refused.code, refused.error["o:errorHeader"]) == (400, code, "Prefer")


@pytest.mark.parametrize(
    "page", [{"limit": "1001"}, {"limit": "0"}, {"limit": "10", "offset": "5"}, {"limit": "x"}]
)
def test_pages_have_rules(oneworld: Api, page: dict[str, str]) -> None:
    answer = oneworld.request(
        "POST", "query/v1/suiteql", json={"q": "SELECT 1 FROM dual"}, headers=TRANSIENT, params=page
    )
    assert Refused.of(answer).code == "INVALID_PARAMETER"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"q": ""},
        {"q": 1},
        {"q": "SELECT 1 FROM dual", "params": "x"},
        {"q": "SELECT 1 FROM dual", "params": [[1]]},
    ],
)
def test_bodies_have_rules(oneworld: Api, body: dict[str, Any]) -> None:
    assert (
        Refused.of(oneworld.request("POST", "query/v1/suiteql", json=body, headers=TRANSIENT)).code
        == "INVALID_PARAMETER"
    )


def test_the_query_service_takes_posts_only(oneworld: Api) -> None:
    assert Refused.of(oneworld.request("GET", "query/v1/suiteql", headers=TRANSIENT)).status == 405


def test_values_are_strings_and_null_is_left_out(oneworld: Api) -> None:
    answer = oneworld.ask(
        "SELECT id, exchangerate, isbasecurrency, NULL AS nothing, name FROM currency WHERE id = 2"
    )
    assert answer["items"] == [
        {"links": [], "exchangerate": "1.08", "id": "2", "isbasecurrency": "F", "name": "Euro"}
    ]


def test_unnamed_expressions_are_numbered(oneworld: Api) -> None:
    assert oneworld.rows("SELECT COUNT(*), 'x' AS y, 1 + 1 FROM dual") == [
        {"expr1": "1", "expr2": "2", "y": "x"}
    ]


# The dialect, expression by expression


DUAL: list[tuple[str, str | None]] = [
    # numbers
    ("1 + 2 * 3", "7"),
    ("7 / 2", "3.5"),
    ("0.1 + 0.2", "0.3"),
    ("1.10 - 1", "0.1"),
    ("98765432109.92 - 98765432109.91", "0.01"),
    ("-0.29 * 3", "-0.87"),
    ("-5", "-5"),
    ("1320.00", "1320"),
    ("100 * 1.08", "108"),
    ("ABS(-3.5)", "3.5"),
    ("CEIL(1.2)", "2"),
    ("FLOOR(-1.2)", "-2"),
    ("MOD(10, 3)", "1"),
    ("MOD(-10, 3)", "-1"),
    ("POWER(2, 10)", "1024"),
    ("SIGN(-9)", "-1"),
    ("ROUND(2.675, 2)", "2.68"),
    ("ROUND(-2.5)", "-3"),
    ("ROUND(1234, -2)", "1200"),
    ("TRUNC(2.679, 2)", "2.67"),
    ("TRUNC(-2.9)", "-2"),
    ("GREATEST(1, 5, 3)", "5"),
    ("LEAST(4, 2, 3)", "2"),
    ("TO_NUMBER('12.50')", "12.5"),
    ("CAST('12' AS INTEGER) + 1", "13"),
    ("'5' + 1", "6"),
    # text
    ("'a' || 'b' || NULL", "ab"),
    ("'n' || 1.50", "n1.5"),
    ("CONCAT('a', 'b')", "ab"),
    ("UPPER('aß') || LOWER('AB')", "Aßab"),
    ("INITCAP('hello big world')", "Hello Big World"),
    ("LENGTH('hello')", "5"),
    ("SUBSTR('hello', 2, 3)", "ell"),
    ("SUBSTR('hello', -3)", "llo"),
    ("INSTR('banana', 'an', 1, 2)", "4"),
    ("REPLACE('a-b-c', '-')", "abc"),
    ("TRIM('  x ')", "x"),
    ("TRIM(LEADING '0' FROM '007')", "7"),
    ("LTRIM('xxa', 'x') || RTRIM('bxx', 'x')", "ab"),
    ("LPAD('7', 3, '0') || RPAD('7', 2, '-')", "0077-"),
    ("REGEXP_SUBSTR('INV-10077', '[0-9]+')", "10077"),
    ("REGEXP_REPLACE('a1b2', '[0-9]', '')", "ab"),
    ("REGEXP_INSTR('abc1', '[0-9]')", "4"),
    ("CAST(12.50 AS VARCHAR(10))", "12.5"),
    ("'it''s'", "it's"),
    ("''", None),
    # choices
    ("NVL(NULL, 'x')", "x"),
    ("NVL('', 'x')", "x"),
    ("NVL2(NULL, 1, 2)", "2"),
    ("COALESCE(NULL, NULL, 3)", "3"),
    ("NULLIF(1, 1)", None),
    ("DECODE(2, 1, 'one', 2, 'two', 'many')", "two"),
    ("DECODE(NULL, NULL, 'null', 'other')", "null"),
    ("CASE WHEN 1 = 2 THEN 'a' ELSE 'b' END", "b"),
    ("CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' END", "b"),
    # dates
    ("TO_DATE('2026-10-31', 'YYYY-MM-DD')", "10/31/2026"),
    ("TO_DATE('10/31/2026')", "10/31/2026"),
    ("TO_CHAR(TO_DATE('2026-10-31', 'YYYY-MM-DD'), 'DD-Mon-YYYY')", "31-Oct-2026"),
    (
        "TO_CHAR(TO_DATE('2026-10-31 07:15:09', 'YYYY-MM-DD HH24:MI:SS'), 'YYYY-MM-DD HH24:MI:SS')",
        "2026-10-31 07:15:09",
    ),
    ("TO_CHAR(TO_DATE('2026-10-31 19:15', 'YYYY-MM-DD HH24:MI'), 'HH12:MI AM')", "07:15 PM"),
    ("TO_CHAR(TO_TIMESTAMP('2026-10-31 07:15:09.5', 'YYYY-MM-DD HH24:MI:SSxFF'), 'YYYY-MM')", "2026-10"),
    ("TO_CHAR(TO_DATE('2026-10-31', 'YYYY-MM-DD'), 'YYYY-MM-DD\"T\"HH24')", "2026-10-31T00"),
    ("TO_CHAR(TO_DATE('2026-10-31', 'YYYY-MM-DD'), 'Q')", "4"),
    ("TO_DATE('2026-10-31', 'YYYY-MM-DD') + 1", "11/01/2026"),
    ("TO_DATE('2026-10-31', 'YYYY-MM-DD') - TO_DATE('2026-10-01', 'YYYY-MM-DD')", "30"),
    ("ADD_MONTHS(TO_DATE('2026-10-31', 'YYYY-MM-DD'), -8)", "02/28/2026"),
    ("LAST_DAY(TO_DATE('2028-02-01', 'YYYY-MM-DD'))", "02/29/2028"),
    ("MONTHS_BETWEEN(TO_DATE('2026-10-31', 'YYYY-MM-DD'), TO_DATE('2026-07-31', 'YYYY-MM-DD'))", "3"),
    ("NEXT_DAY(TO_DATE('2026-10-31', 'YYYY-MM-DD'), 'MONDAY')", "11/02/2026"),
    ("TRUNC(TO_DATE('2026-10-31', 'YYYY-MM-DD'), 'MM')", "10/01/2026"),
    ("TRUNC(TO_DATE('2026-10-31', 'YYYY-MM-DD'), 'Q')", "10/01/2026"),
    ("EXTRACT(YEAR FROM TO_DATE('2026-10-31', 'YYYY-MM-DD'))", "2026"),
    ("TO_CHAR(1234.5, 'FM9,999.00')", "1,234.50"),
    ("TO_CHAR(12.5)", "12.5"),
    ("SESSIONTIMEZONE", "America/New_York"),
]


@pytest.mark.parametrize(("expression", "value"), DUAL, ids=[e for e, _ in DUAL])
def test_expressions(oneworld: Api, expression: str, value: str | None) -> None:
    assert one(oneworld, expression) == value


CONDITIONS: list[tuple[str, list[str]]] = [
    ("id IN (2, 4)", ["2", "4"]),
    ("id IN ('2', '4')", ["2", "4"]),
    ("id NOT IN (1, 2, 3)", ["4", "5"]),
    ("id BETWEEN 2 AND 3", ["2", "3"]),
    ("id = '2'", ["2"]),
    ("name = 'net 30'", []),
    ("name LIKE 'Net 3%'", ["2"]),
    ("name LIKE 'net%'", []),
    ("name LIKE '%e\\_%' ESCAPE '\\'", []),
    ("UPPER(name) LIKE 'DUE%'", ["1"]),
    ("externalid IS NULL AND id < 3", ["1", "2"]),
    ("name IS NOT NULL AND NOT (id > 1 OR id = 5)", ["1"]),
    ("daysuntilnetdue >= 45 AND isinactive = 'F'", ["3", "5"]),
    ("(id, daysuntilnetdue) IN (SELECT 2, 30 FROM dual)", ["2"]),
    ("id IN (SELECT id FROM term WHERE daysuntilnetdue = 60)", ["3"]),
    ("EXISTS (SELECT 1 FROM term x WHERE x.id = term.id + 4)", ["1"]),
    ("daysuntilnetdue = (SELECT MAX(daysuntilnetdue) FROM term)", ["3"]),
    ("id <> 1 AND id != 2 AND id ^= 3", ["4", "5"]),
    ("REGEXP_LIKE(name, '^Net [13]')", ["2", "4"]),
]


@pytest.mark.parametrize(("condition", "ids"), CONDITIONS, ids=[c for c, _ in CONDITIONS])
def test_conditions(oneworld: Api, condition: str, ids: list[str]) -> None:
    assert [row["id"] for row in oneworld.rows(f"SELECT id FROM term WHERE {condition} ORDER BY id")] == ids


QUERIES: list[tuple[str, list[dict[str, str]]]] = [
    ("SELECT id FROM term ORDER BY id DESC FETCH FIRST 2 ROWS ONLY", [{"id": "5"}, {"id": "4"}]),
    ("SELECT id FROM term ORDER BY id OFFSET 3 ROWS", [{"id": "4"}, {"id": "5"}]),
    ("SELECT id FROM term ORDER BY id OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY", [{"id": "2"}]),
    ("SELECT TOP 1 id FROM term ORDER BY daysuntilnetdue", [{"id": "1"}]),
    (
        "SELECT id FROM term UNION SELECT id FROM currency WHERE id = 1 ORDER BY 1 DESC FETCH FIRST 1 ROWS ONLY",
        [{"id": "5"}],
    ),
    (
        "SELECT id FROM term WHERE id = 1 UNION ALL SELECT id FROM term WHERE id = 1",
        [{"id": "1"}, {"id": "1"}],
    ),
    ("SELECT COUNT(*) AS n, MAX(daysuntilnetdue) AS d FROM term", [{"d": "60", "n": "5"}]),
    ("SELECT AVG(daysuntilnetdue) AS d FROM term WHERE id IN (2, 4)", [{"d": "22.5"}]),
    ("SELECT COUNT(DISTINCT accttype) AS n FROM account WHERE accttype IN ('Income', 'Bank')", [{"n": "2"}]),
    (
        "SELECT accttype, COUNT(*) AS n FROM account GROUP BY accttype HAVING COUNT(*) > 1 ORDER BY accttype",
        [{"accttype": "Income", "n": "4"}, {"accttype": "OthCurrLiab", "n": "2"}],
    ),
    (
        "SELECT SUM(x) AS s, AVG(x) AS a FROM (SELECT 9999999.99 AS x FROM accountingperiod UNION ALL SELECT -0.01 FROM dual)",
        [{"a": "9953917.04069124", "s": "2159999997.83"}],
    ),
    (
        "SELECT id, SUM(exchangerate) OVER (ORDER BY id) AS s FROM currency ORDER BY id",
        [{"id": "1", "s": "1"}, {"id": "2", "s": "2.08"}, {"id": "3", "s": "3.35"}],
    ),
    ("SELECT DISTINCT isinactive FROM term", [{"isinactive": "F"}]),
    (
        "SELECT s.id, c.symbol FROM subsidiary s INNER JOIN currency c ON c.id = s.currency WHERE s.id = 3",
        [{"id": "3", "symbol": "EUR"}],
    ),
    (
        "SELECT s.id, p.name AS parent FROM subsidiary s LEFT JOIN subsidiary p ON p.id = s.parent ORDER BY s.id",
        [{"id": "1"}, {"id": "3", "parent": "Acme Metering Inc"}],
    ),
    (
        "SELECT s.id, p.name AS parent FROM subsidiary s, subsidiary p WHERE s.parent = p.id(+) ORDER BY s.id",
        [{"id": "1"}, {"id": "3", "parent": "Acme Metering Inc"}],
    ),
    ("SELECT s.id FROM subsidiary s, currency c WHERE s.currency = c.id AND c.symbol = 'EUR'", [{"id": "3"}]),
    ("SELECT x.n FROM (SELECT id + 1 AS n FROM term) x WHERE x.n = 3", [{"n": "3"}]),
    ("SELECT n FROM (SELECT MAX(id) AS n FROM term)", [{"n": "5"}]),
    (
        "SELECT id, (SELECT symbol FROM currency c WHERE c.id = s.currency) AS cur FROM subsidiary s WHERE id = 1",
        [{"cur": "USD", "id": "1"}],
    ),
    (
        "SELECT id, BUILTIN.DF(currency) AS c, BUILTIN.DF(parent) AS p FROM subsidiary WHERE id = 3",
        [{"c": "EUR", "id": "3", "p": "Acme Metering Inc"}],
    ),
    (
        "SELECT id, RANK() OVER (ORDER BY daysuntilnetdue DESC) AS r FROM term ORDER BY r FETCH FIRST 1 ROWS ONLY",
        [{"id": "3", "r": "1"}],
    ),
    (
        "SELECT n FROM (SELECT ROW_NUMBER() OVER (PARTITION BY accttype ORDER BY id DESC) AS n, id FROM account) WHERE id = 598",
        [{"n": "4"}],
    ),
    ("SELECT id, parent FROM subsidiary ORDER BY parent, id", [{"id": "3", "parent": "1"}, {"id": "1"}]),
    ("SELECT id, parent FROM subsidiary ORDER BY parent DESC", [{"id": "1"}, {"id": "3", "parent": "1"}]),
    # ROWNUM numbers rows before they are ordered.
    ("SELECT id FROM (SELECT id FROM term ORDER BY id DESC) WHERE ROWNUM <= 2", [{"id": "5"}, {"id": "4"}]),
    (
        "SELECT id, rn FROM (SELECT a.id, ROWNUM AS rn FROM (SELECT id FROM term ORDER BY id) a WHERE ROWNUM <= 4) WHERE rn > 2",
        [{"id": "3", "rn": "3"}, {"id": "4", "rn": "4"}],
    ),
    ("SELECT id FROM term WHERE ROWNUM > 1", []),
    ("SELECT COUNT(*) AS n FROM term WHERE ROWNUM < 4", [{"n": "3"}]),
    (
        "SELECT id, periodname FROM accountingperiod WHERE TO_DATE('2026-10-31','YYYY-MM-DD') BETWEEN startdate AND enddate AND isquarter='F' AND isyear='F' AND isadjust='F'",
        [{"id": "302", "periodname": "Oct 2026"}],
    ),
    (
        "SELECT id FROM accountingperiod WHERE startdate >= '10/01/2026' AND enddate < TO_DATE('2026-12-01', 'YYYY-MM-DD') ORDER BY startdate",
        [{"id": "302"}, {"id": "303"}],
    ),
    (
        "SELECT id, name FROM customrecord_cseg_product WHERE externalid = 'storage'",
        [{"id": "2", "name": "Storage"}],
    ),
    ("SELECT name FROM customlist_region ORDER BY name FETCH FIRST 1 ROWS ONLY", [{"name": "APAC"}]),
    (
        "SELECT scriptid FROM customfield WHERE fieldtype = 'ENTITY' AND fieldvaluetype <> 'Multiple Select' ORDER BY scriptid",
        [{"scriptid": "CUSTENTITY_BILLING_ID"}, {"scriptid": "CUSTENTITY_REGION"}],
    ),
    (
        "SELECT fullname FROM transactionstatus WHERE trantype = 'CustInvc' AND id = 'A'",
        [{"fullname": "Invoice : Open"}],
    ),
]


@pytest.mark.parametrize(("query", "rows"), QUERIES, ids=[q[:90] for q, _ in QUERIES])
def test_queries(oneworld: Api, query: str, rows: list[dict[str, str]]) -> None:
    assert oneworld.rows(query) == rows


def test_rownum_comes_before_the_order(oneworld: Api) -> None:
    """A client that asks for the latest two this way gets two rows, but not the latest."""
    found = oneworld.rows("SELECT id FROM accountingperiod WHERE ROWNUM <= 2 ORDER BY id DESC")
    assert len(found) == 2
    assert found[0]["id"] != "316"


def test_every_column_is_found_by_a_star(oneworld: Api, single: Api) -> None:
    found = oneworld.rows("SELECT * FROM subsidiary WHERE id = 3")[0]
    assert found == {
        "country": "DE",
        "currency": "2",
        "fullname": "Acme Metering Inc : EU GmbH",
        "id": "3",
        "iselimination": "F",
        "isinactive": "F",
        "legalname": "EU GmbH",
        "name": "EU GmbH",
        "parent": "1",
    }
    assert (
        "subsidiary"
        in oneworld.rows(
            "SELECT * FROM transactionline WHERE transaction = ?", oneworld.invoice(oneworld.customer())
        )[0]
    )
    assert (
        "subsidiary"
        not in single.rows(
            "SELECT * FROM transactionline WHERE transaction = ?", single.invoice(single.customer())
        )[0]
    )


def test_bound_parameters(oneworld: Api) -> None:
    query = (
        "SELECT ? AS z, id FROM term WHERE daysuntilnetdue > ? AND id IN (?, ?) AND name LIKE ? ORDER BY id"
    )
    assert oneworld.rows(query, "q", "20", "2", "3", "Net%") == [{"id": "2", "z": "q"}, {"id": "3", "z": "q"}]
    assert oneworld.rows(
        "SELECT id FROM accountingperiod WHERE startdate = TO_DATE(?, 'YYYY-MM-DD')", "2026-10-01"
    ) == [{"id": "302"}]
    assert oneworld.rows("SELECT id FROM accountingperiod WHERE startdate = ?", "10/01/2026") == [
        {"id": "302"}
    ]
    assert oneworld.query_refused("SELECT id FROM term WHERE id = ?") == "Invalid or unsupported search."
    assert (
        oneworld.query_refused("SELECT id FROM term WHERE id = ?", "1", "2")
        == "Invalid or unsupported search."
    )


def test_a_parameter_is_a_value_and_never_sql(oneworld: Api) -> None:
    assert oneworld.rows("SELECT id FROM term WHERE name = ?", "x' OR '1' = '1") == []


def test_dates_come_in_the_accounts_format_and_zone(oneworld: Api, single: Api) -> None:
    for api, shown in ((oneworld, "10/15/2026"), (single, "15/10/2026")):
        invoice = api.invoice(api.customer())
        created = api.get(f"invoice/{invoice}")["createdDate"]
        row = api.rows(
            "SELECT trandate, createddate, TO_CHAR(createddate, 'YYYY-MM-DD HH24:MI:SS') AS full FROM transaction WHERE id = ?",
            invoice,
        )[0]
        assert row["trandate"] == shown
        assert len(row["createddate"]) == 10
        zone = "America/New_York" if api is oneworld else "Europe/London"
        local = datetime.fromisoformat(created).astimezone(ZoneInfo(zone))
        assert row["full"] == f"{local:%Y-%m-%d %H:%M:%S}"


def test_the_leading_zero_is_a_switch(oneworld: Api, turned: Api) -> None:
    assert (one(oneworld, "1 / 4"), one(turned, "1 / 4"), one(turned, "-1 / 4"), one(turned, "10.5")) == (
        "0.25",
        ".25",
        "-.25",
        "10.5",
    )


# Errors


REFUSED: list[tuple[str, str]] = [
    ("SELECT nothing FROM term", "Unknown identifier 'nothing'. Available identifiers are: {term=term}."),
    ("SELECT t.nothing FROM Term t", "Unknown identifier 'nothing'. Available identifiers are: {t=Term}."),
    ("SELECT id FROM term t WHERE c.id = 1", "Unknown identifier 'id'. Available identifiers are: {t=term}."),
    ("SELECT id FROM nothing", "Invalid search type: nothing."),
    ("SELECT id FROM record", "Invalid search type: record."),
    ("SELECT id FROM q_term", "Invalid search type: q_term."),
    ("SELECT name FROM sqlite_master", "Invalid search type: sqlite_master."),
]


@pytest.mark.parametrize(("query", "tail"), REFUSED, ids=[q for q, _ in REFUSED])
def test_what_is_unknown_is_named(oneworld: Api, query: str, tail: str) -> None:
    assert oneworld.query_refused(query) == tail


UNSUPPORTED = [
    "SELEC id FROM term",
    "SELECT id FROM term LIMIT 5",
    "WITH x AS (SELECT id FROM term) SELECT id FROM x",
    "INSERT INTO term (id) VALUES (1)",
    "UPDATE term SET name = 'x'",
    "DELETE FROM term",
    "DROP TABLE term",
    "PRAGMA table_info(q_term)",
    "ATTACH DATABASE '/tmp/x' AS y",
    "SELECT id FROM term; SELECT id FROM term",
    "SELECT LISTAGG(name, ',') FROM term",
    "SELECT DATEDIFF('day', startdate, enddate) FROM accountingperiod",
    "SELECT LEFT(name, 1) FROM term",
    "SELECT SUBSTRING(name, 1, 2) FROM term",
    "SELECT CEILING(1.5) FROM dual",
    "SELECT load_extension('x') FROM dual",
    "SELECT readfile('/etc/passwd') FROM dual",
    "SELECT ns_text(1) FROM dual",
    "SELECT DATE '2026-10-31' FROM dual",
    "SELECT id FROM accountingperiod WHERE startdate > '2026-10-31'",
    "SELECT id FROM accountingperiod WHERE startdate > 20261031",
    "SELECT [id] FROM term",
    "SELECT id FROM term t RIGHT JOIN currency c ON c.id = t.id",
    "SELECT id FROM term JOIN currency USING (id)",
    "SELECT id FROM term, currency",
    "SELECT accttype, id FROM account GROUP BY accttype",
    "SELECT name, COUNT(*) FROM term",
    "SELECT * FROM term GROUP BY id",
    "SELECT t.id FROM term t LEFT JOIN currency c ON c.id = t.id, subsidiary s WHERE s.id = t.id(+)",
    "SELECT id FROM term WHERE id = 'abc'",
    "SELECT TO_DATE('31.31.2026', 'DD.MM.YYYY') FROM dual",
    "SELECT id FROM term ORDER BY 7",
    "SELECT 1",
    f"SELECT id FROM term WHERE id IN ({', '.join(str(n) for n in range(1001))})",
    "SELECT id FROM main.q_term",
]


@pytest.mark.parametrize("query", UNSUPPORTED, ids=[q[:70] for q in UNSUPPORTED])
def test_what_is_no_suiteql_is_refused(oneworld: Api, query: str) -> None:
    assert oneworld.query_refused(query).startswith(("Invalid or unsupported search.", "Invalid search type"))


def test_a_thousand_values_may_stand_in_a_list(oneworld: Api) -> None:
    assert (
        len(oneworld.rows(f"SELECT id FROM term WHERE id IN ({', '.join(str(n) for n in range(1000))})")) == 5
    )


def test_a_long_chain_of_conditions(oneworld: Api) -> None:
    chain = " OR ".join(f"id = {n}" for n in range(900))
    assert len(oneworld.rows(f"SELECT id FROM term WHERE {chain}")) == 5


def test_a_role_does_not_see_a_table_that_it_may_not(auditor: Api, oneworld: Api) -> None:
    assert auditor.query_refused("SELECT id FROM customer") == "Record 'customer' was not found."
    assert (
        auditor.query_refused("SELECT t.id FROM transaction t JOIN customer c ON c.id = t.entity")
        == "Record 'customer' was not found."
    )
    assert auditor.rows("SELECT id FROM currency WHERE id = 1") == [{"id": "1"}]
    # What one role may see is not another's answer.
    assert oneworld.rows("SELECT id FROM customer WHERE id = 1") == []
    assert auditor.query_refused("SELECT id FROM customer WHERE id = 1") == "Record 'customer' was not found."


def test_one_accounts_records_are_not_anothers(oneworld: Api, single: Api) -> None:
    name = unique("Only here")
    oneworld.customer(companyName=name)
    assert single.rows("SELECT id FROM customer WHERE companyname = ?", name) == []


# Pages


def test_pages_by_a_unique_key_hold_every_row_once(oneworld: Api) -> None:
    seen: list[str] = []
    offset = 0
    while True:
        page = oneworld.ask("SELECT id FROM accountingperiod ORDER BY id", limit=50, offset=offset)
        seen += [item["id"] for item in page["items"]]
        offset += 50
        if not page["hasMore"]:
            break
    assert seen == [str(n) for n in range(101, 317)]
    assert page["totalResults"] == 216


@pytest.mark.parametrize("order", ["", "ORDER BY closed", "ORDER BY TO_CHAR(startdate, 'YYYY')"])
def test_pages_in_no_unique_order_lose_rows(oneworld: Api, turned: Api, order: str) -> None:
    def read(api: Api) -> list[str]:
        query = f"SELECT id FROM accountingperiod {order}"
        return [
            item["id"]
            for offset in range(0, 250, 50)
            for item in api.ask(query, limit=50, offset=offset)["items"]
        ]

    lost = read(oneworld)
    assert len(lost) == 216
    assert len(set(lost)) < 216
    assert len(set(read(turned))) == 216


STABLE = [
    "SELECT tl.id, t.id AS t FROM transaction t JOIN transactionline tl ON tl.transaction = t.id ORDER BY tl.uniquekey",
    "SELECT tl.id, t.id AS t FROM transaction t JOIN transactionline tl ON tl.transaction = t.id ORDER BY t.id, tl.id",
    "SELECT tl.id, tl.transaction AS t FROM transactionline tl JOIN transaction t ON tl.transaction = t.id ORDER BY tl.transaction, tl.linesequencenumber",
    "SELECT l.transactionline AS id, l.transaction AS t FROM transactionaccountingline l LEFT JOIN account a ON a.id = l.account ORDER BY l.transaction, l.transactionline",
]


def test_an_order_that_decides_every_row_is_kept(fresh: Callable[..., tuple[Any, Api]]) -> None:
    _, api = fresh()
    api.admin("POST", "fill", {"customers": 3, "invoices": 8, "lines": 2})
    for query in STABLE:
        rows = [
            tuple(r.items()) for offset in range(0, 24, 5) for r in api.rows(query, limit=5, offset=offset)
        ]
        assert len(rows) == len(set(rows)) == 24, query


def test_lines_ordered_by_their_transaction_alone_are_not_stable(
    fresh: Callable[..., tuple[Any, Api]],
) -> None:
    _, api = fresh()
    invoice = api.invoice(api.customer(), *[str(n) for n in range(1, 40)])
    query = "SELECT uniquekey FROM transactionline WHERE transaction = ? ORDER BY transaction"
    rows = [
        r["uniquekey"]
        for offset in range(0, 40, 10)
        for r in api.rows(query, invoice, limit=10, offset=offset)
    ]
    assert len(rows) == 40
    assert len(set(rows)) < 40


def test_pages_of_lines_by_their_key_are_the_same_however_they_are_bounded(
    fresh: Callable[..., tuple[Server, Api]],
) -> None:
    """Led by the key or sorted at the end: the same rows; also where lines came to a transaction later."""
    _, api = fresh()
    api.admin("POST", "fill", {"customers": 3, "invoices": 60, "lines": 2})
    first = int(api.rows("SELECT MIN(id) AS id FROM transaction")[0]["id"])
    line = {"item": {"id": "417"}, "amount": 5}
    api.write("PATCH", f"invoice/{first + 3}", {"item": {"items": [line]}})
    api.write("PATCH", f"invoice/{first + 40}?replace=item", {"item": {"items": [line]}})
    everything = api.rows(
        "SELECT tl.uniquekey AS k, t.id, t.type, tl.mainline AS m FROM transactionline tl "
        "JOIN transaction t ON tl.transaction = t.id WHERE tl.mainline = 'F'"
    )
    for after in (0, first, first + 3, first + 30, first + 40, first + 59):
        wanted = sorted(int(row["k"]) for row in everything if int(row["id"]) > after)
        found = api.rows(
            "SELECT t.id, tl.uniquekey FROM transaction t JOIN transactionline tl ON tl.transaction = t.id "
            f"WHERE t.id > {after} AND t.type = 'CustInvc' AND tl.mainline = 'F' ORDER BY tl.uniquekey"
        )
        assert [int(row["uniquekey"]) for row in found] == wanted
        bounded = api.rows(
            "SELECT tl.uniquekey FROM transaction t JOIN customer c ON c.id = t.entity "
            "LEFT JOIN term p ON p.id = t.terms JOIN transactionline tl ON tl.transaction = t.id "
            "WHERE t.id >= ? AND tl.mainline = 'F' ORDER BY tl.uniquekey DESC",
            after + 1,
        )
        assert [int(row["uniquekey"]) for row in bounded] == wanted[::-1]
    keys = sorted(int(row["k"]) for row in everything)
    page = api.rows(
        "SELECT tl.uniquekey FROM transaction t, transactionline tl WHERE tl.transaction = t.id "
        f"AND tl.uniquekey > {keys[50]} AND tl.mainline = 'F' ORDER BY tl.uniquekey FETCH FIRST 7 ROWS ONLY"
    )
    assert [int(row["uniquekey"]) for row in page] == keys[51:58]


@pytest.mark.parametrize(
    "model", ["DDHH24MISS", "DD.MM.YYYY", "YYYY/MM/DD HH24:MI", "SS", "yyyy-mm-dd hh24:mi:ss"]
)
def test_a_model_of_digits_prints_as_any_other(oneworld: Api, model: str) -> None:
    # The name of the month keeps the second column from the short way.
    (row,) = oneworld.rows(
        f"SELECT TO_CHAR(t.lastmodifieddate, '{model}') AS short,"
        f" TO_CHAR(t.lastmodifieddate, '{model}MON') AS long, TO_CHAR(t.lastmodifieddate, 'MON') AS month"
        " FROM customer t WHERE ROWNUM = 1"
    )
    assert row["short"] + row["month"] == row["long"]
