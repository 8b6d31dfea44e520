"""What the standard schema says of fields, and how custom ones are recognised."""

from __future__ import annotations

import pytest

from resources.netsuite.records import RECORDS, UnknownField, field, record, reference


@pytest.mark.parametrize(
    ("name", "sublist", "kind", "target", "suiteql"),
    [
        ("tranDate", None, "date", None, "TO_CHAR(t.trandate, 'YYYY-MM-DD')"),
        ("trandate", None, "date", None, "TO_CHAR(t.trandate, 'YYYY-MM-DD')"),
        ("entity", None, "reference", "customer", "t.entity"),
        ("subsidiary", None, "reference", "subsidiary", "tl.subsidiary"),
        ("memo", None, "text", None, "t.memo"),
        ("total", None, "amount", None, "t.foreigntotal"),
        ("amount", "item", "amount", None, "-tl.foreignamount"),
        ("description", "item", "text", None, "tl.memo"),
        ("class", "item", "reference", "classification", "tl.class"),
        ("cseg_product", None, "reference", "customrecord_cseg_product", "t.cseg_product"),
        ("cseg_product", "item", "reference", "customrecord_cseg_product", "tl.cseg_product"),
        ("custbody_ref", None, "text", None, "t.custbody_ref"),
        ("custcol_note", "item", "text", None, "tl.custcol_note"),
    ],
)
def test_a_field_of_an_invoice(
    name: str, sublist: str | None, kind: str, target: str | None, suiteql: str
) -> None:
    found = field("invoice", name, sublist)
    assert (found.kind, found.target, found.suiteql) == (kind, target, suiteql)


def test_a_credit_memo_shows_its_lines_and_total_positive() -> None:
    assert field("creditMemo", "amount", "item").suiteql == "tl.foreignamount"
    assert field("creditMemo", "total").suiteql == "ABS(t.foreigntotal)"


def test_a_declared_kind_types_a_custom_field() -> None:
    started = field("invoice", "custcol_start", "item", kind="date")
    assert started.suiteql == "TO_CHAR(tl.custcol_start, 'YYYY-MM-DD')"
    plan = field("customer", "custentity_plan", kind="reference", target="customlist_plan")
    assert (plan.kind, plan.target, plan.suiteql) == ("reference", "customlist_plan", "c.custentity_plan")


@pytest.mark.parametrize(
    ("owner", "name", "sublist", "nearest"),
    [
        ("invoice", "tranDat", None, "tranDate"),
        ("invoice", "quantty", "item", "quantity"),
        ("customer", "compnyName", None, "companyName"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_nearest_right_one(
    owner: str, name: str, sublist: str | None, nearest: str
) -> None:
    with pytest.raises(UnknownField) as caught:
        field(owner, name, sublist)
    assert caught.value.nearest[0] == nearest
    assert nearest in str(caught.value)


@pytest.mark.parametrize(
    ("owner", "name", "sublist", "belongs"),
    [
        ("invoice", "custcol_note", None, "lines"),
        ("invoice", "custbody_ref", "item", "header"),
        ("customer", "custbody_ref", None, "transaction"),
        ("invoice", "custentity_x", None, "customer"),
    ],
)
def test_a_custom_field_in_the_wrong_place_is_told_where_it_belongs(
    owner: str, name: str, sublist: str | None, belongs: str
) -> None:
    with pytest.raises(UnknownField, match=belongs):
        field(owner, name, sublist)


def test_a_custom_record_has_a_name_and_custom_fields() -> None:
    usage = record("customrecord_usage")
    assert (usage.source, usage.type_code, usage.row_key) == ("customrecord_usage r", None, "r.id")
    assert field("customrecord_usage", "Name").suiteql == "r.name"
    assert (
        field("customrecord_usage", "custrecord_day", kind="date").suiteql
        == "TO_CHAR(r.custrecord_day, 'YYYY-MM-DD')"
    )
    with pytest.raises(UnknownField, match="custbody_ stands on a transaction's header"):
        field("customrecord_usage", "custbody_x")
    for name in ("customrecord_", "customrecord_a b", "customrecord_a) x"):
        with pytest.raises(UnknownField):
            record(name)


def test_unknown_records_and_sublists_are_named() -> None:
    with pytest.raises(UnknownField, match="creditMemo"):
        record("creditmemos")
    with pytest.raises(UnknownField, match="item"):
        field("invoice", "amount", "items")
    assert record("creditmemo") is RECORDS["creditMemo"]


def test_every_reference_target_of_a_mapped_field_can_be_listed_or_is_known_not_to_be() -> None:
    for name in ("customer", "subsidiary", "currency", "term", "account", "item", "classification"):
        assert reference(name).table
    assert reference("customrecord_cseg_product").table == "customrecord_cseg_product"
    with pytest.raises(UnknownField):
        reference("nexus")


def test_every_expression_uses_only_the_aliases_of_its_source() -> None:
    import re

    for owner in RECORDS.values():
        places = [(owner.source, owner.fields), *((s.source, s.fields) for s in owner.sublists.values())]
        for source, fields in places:
            aliases = set(re.findall(r"\w+ (\w+)(?= JOIN| ON|$)", source))
            for known in fields.values():
                assert set(re.findall(r"\b(\w+)\.", known.suiteql)) <= aliases, (owner.name, known)
