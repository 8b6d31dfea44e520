"""Collections: pages of ids, their odd links, and the `q` grammar."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from sandbox_tools import Api, unique


def ids(api: Api, path: str) -> list[str]:
    return [item["id"] for item in api.get(path)["items"]]


def test_a_page_has_netsuites_form_and_its_wrong_last_link(oneworld: Api) -> None:
    found = oneworld.get("AccountingPeriod?limit=10&offset=20")
    here = f"{oneworld.rest}/record/v1"
    assert list(found) == ["links", "count", "hasMore", "items", "offset", "totalResults"]
    assert found["links"] == [
        {"rel": "previous", "href": f"{here}/accountingperiod?limit=10&offset=10"},
        {"rel": "first", "href": f"{here}/accountingperiod?limit=10&offset=0"},
        {"rel": "next", "href": f"{here}/accountingperiod?limit=10&offset=30"},
        {"rel": "last", "href": f"{here}/accountingperiod?limit=10&offset=20"},
        {"rel": "self", "href": f"{here}/AccountingPeriod?limit=10&offset=20", "method": "GET"},
    ]
    assert (found["count"], found["hasMore"], found["offset"], found["totalResults"]) == (10, True, 20, 216)
    first = found["items"][0]
    assert first == {
        "links": [{"rel": "self", "href": f"{here}/accountingperiod/{first['id']}"}],
        "id": first["id"],
    }


def test_ids_come_in_no_order_but_each_once(oneworld: Api) -> None:
    found = [
        i for offset in range(0, 220, 20) for i in ids(oneworld, f"accountingPeriod?limit=20&offset={offset}")
    ]
    assert found != sorted(found, key=int)
    assert sorted(found, key=int) == [str(n) for n in range(101, 317)]


def test_the_total_is_capped_at_a_thousand_pages(oneworld: Api) -> None:
    assert oneworld.get("accountingPeriod?limit=1")["totalResults"] == 216


@pytest.mark.parametrize("page", ["limit=1001", "limit=0", "limit=5&offset=3", "limit=-1", "offset=x"])
def test_pages_have_rules(oneworld: Api, page: str) -> None:
    refused = oneworld.refused("GET", f"term?{page}")
    assert (refused.status, refused.code) == (400, "INVALID_PARAMETER")
    assert refused.error["o:errorQueryParam"] in ("limit", "offset")


@pytest.fixture(scope="module")
def three(oneworld: Api) -> tuple[str, dict[str, str]]:
    """Three customers with a common mark in their comments, by name."""
    mark = unique("mark")
    first = oneworld.customer(companyName=f"{mark} Acme & Sons", comments=mark, creditLimit=100, terms="2")
    second = oneworld.customer(
        companyName=f"{mark} Beta", email="b@beta.example", comments=mark, creditLimit=200
    )
    third = oneworld.customer(companyName=f"{mark} Gamma_1", comments=mark, isInactive=True, creditLimit=300)
    return mark, {"acme": first, "beta": second, "gamma": third}


QUESTIONS: list[tuple[str, list[str]]] = [
    ("", ["acme", "beta", "gamma"]),
    ('AND companyName IS "{mark} Acme & Sons"', ["acme"]),
    ('AND companyName IS_NOT "{mark} Acme & Sons"', ["beta", "gamma"]),
    ("AND companyName START_WITH {mark}", ["acme", "beta", "gamma"]),
    ("AND companyName CONTAIN beta", ["beta"]),
    ("AND companyName CONTAIN_NOT beta", ["acme", "gamma"]),
    ("AND companyName CONTAIN a_1", ["gamma"]),
    ("AND companyName END_WITH Sons", ["acme"]),
    ("AND companyName ENDWITH Sons", ["acme"]),
    ("AND email EMPTY", ["acme", "gamma"]),
    ("AND email EMPTY_NOT", ["beta"]),
    ("AND isInactive IS true", ["gamma"]),
    ("AND isInactive IS_NOT true", ["acme", "beta"]),
    ("AND creditLimit GREATER 100", ["beta", "gamma"]),
    ("AND creditLimit GREATER_OR_EQUAL_NOT 200", ["acme"]),
    ("AND creditLimit BETWEEN [150, 250]", ["beta"]),
    ("AND creditLimit EQUAL 300", ["gamma"]),
    ("AND terms ANY_OF [1, 2]", ["acme"]),
    ("AND id ANY_OF [{acme}, {gamma}]", ["acme", "gamma"]),
    ("AND id ANY_OF_NOT [{acme}, {gamma}]", ["beta"]),
    ('AND lastModifiedDate ON_OR_AFTER "01/31/2020"', ["acme", "beta", "gamma"]),
    ('AND lastModifiedDate BEFORE "01/31/2020"', []),
    ("AND (creditLimit LESS 150 OR creditLimit GREATER 250)", ["acme", "gamma"]),
    ("AND creditLimit LESS 150 OR companyName CONTAIN {mark} AND creditLimit GREATER 250", ["acme", "gamma"]),
]


@pytest.mark.parametrize(("question", "names"), QUESTIONS, ids=[q for q, _ in QUESTIONS])
def test_q(oneworld: Api, three: tuple[str, dict[str, str]], question: str, names: list[str]) -> None:
    mark, customers = three
    q = f'comments IS "{mark}" {question.format(mark=mark, **customers)}'.strip()
    found = oneworld.get(f"customer?q={quote(q)}")
    assert sorted(i["id"] for i in found["items"]) == sorted(customers[name] for name in names)
    assert found["totalResults"] == len(names)


def test_q_by_external_id_takes_what_an_address_cannot(oneworld: Api) -> None:
    external = f"{unique('A')}|B"
    customer = oneworld.customer(externalId=external)
    q = f'externalId IS "{external}"'
    assert ids(oneworld, f"customer?q={quote(q)}") == [customer]


def test_q_stays_in_the_page_links(oneworld: Api) -> None:
    found = oneworld.get(f"accountingPeriod?limit=2&q={quote('id GREATER 110')}")
    following = {link["rel"]: link["href"] for link in found["links"]}["next"]
    assert following.endswith("accountingperiod?q=id%20GREATER%20110&limit=2&offset=2")


def test_q_on_documents(single: Api) -> None:
    invoice = single.invoice(single.customer(), custbody_usage_run="run-7")
    number = single.get(f"invoice/{invoice}")["tranId"]
    assert ids(single, f"invoice?q={quote(f'tranId IS {number}')}") == [invoice]
    assert invoice in ids(
        single, f"invoice?q={quote('tranDate ON 15/10/2026 AND custbody_usage_run IS run-7')}"
    )


BAD: list[str] = [
    "companyName",
    "companyName IS",
    "nothing IS 1",
    "balance GREATER 1",
    "companyName NEAR x",
    "companyName GREATER 1",
    "creditLimit EQUAL x",
    "isInactive GREATER true",
    'lastModifiedDate ON "2026-10-31"',
    "(companyName IS x",
    "companyName IS x)",
    "id ANY_OF [1, 2",
    "creditLimit BETWEEN [1]",
]


@pytest.mark.parametrize("q", BAD)
def test_a_bad_q(oneworld: Api, q: Any) -> None:
    refused = oneworld.refused("GET", f"customer?q={quote(q)}")
    assert (refused.status, refused.code, refused.error["o:errorQueryParam"]) == (
        400,
        "INVALID_PARAMETER",
        "q",
    )
