"""The tenant of the corpus: every kind of field, owner and way of pairing lines, over four currencies.

Here: its file, and what a reader of that file knows of each field: its line, its owner, its kind. Not here: how the
product reads the file (the tests ask it for nothing but the comparison).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from month import TenantRules, load_rules

FILE = """\
tenant: corpus
timezone: America/New_York
first_month: 2026-08

netsuite:
  account: 1234567_SB1
  governance: {concurrency: 5, reserve: 1}
  auth:
    method: oauth2_client_credentials
    client_id: ${CORPUS_NS_CLIENT_ID}
    certificate_id: ${CORPUS_NS_CERT_ID}
    private_key_file: ${CORPUS_NS_KEY_FILE}

billing:
  system: sql
  url: ${CORPUS_BILLING_URL}
  tables:
    customers:             {table: customers}
    invoices:              {table: invoices}
    invoice_lines:         {table: invoice_lines}
    credit_notes:          {table: credit_notes}
    credit_note_lines:     {table: credit_note_lines}
    payments:              {table: payments}
    payment_applications:  {table: payment_applications}
    journals:              {table: journals}
    journal_lines:         {table: journal_lines}

records:
  customer:
    external_id: "cus-{id}"
    fields:
      companyName:                {from: name}
      email:                      {from: email, owner: netsuite}
      currency:                   {from: currency, lookup: currency}
      subsidiary:                 {from: legal_entity, map: {us: "1", eu: "3"}}
      terms:                      {from: terms, lookup: term, write: if_empty}
      custentity_billing_id:      {from: id}

  invoice:
    external_id: "inv-{id}"
    fields:
      entity:                     {from: customer_id, lookup: customer}
      currency:                   {from: currency, lookup: currency}
      tranDate:                   {from: issued_on}
      dueDate:                    {from: due_on}
      otherRefNum:                {from: number}
      memo:                       {from: memo}
      message:                    {from: status, owner: netsuite}
      subsidiary:                 {from: legal_entity, map: {us: "1", eu: "3"}}
      terms:                      {from: terms, lookup: term, write: if_empty}
      cseg_product:               {from: product_line, lookup: cseg_product}
      department:                 {value: Sales, lookup: department, by: name, write: create_only}
      custbody_contract_start:    {from: metadata.start, type: date}
      custbody_seats:             {from: metadata.seats, type: integer}
      custbody_credit_limit:      {from: metadata.limit, type: amount}
      custbody_is_trial:          {from: metadata.trial, type: boolean}
    lines:
      item:                       {from: product_id, lookup: item}
      description:                {from: description}
      quantity:                   {from: quantity}
      rate:                       {from: unit_amount}
      amount:                     {from: amount}
      custcol_billing_line:       {from: id}
      custcol_service_start:      {from: service_start, type: date}
      custcol_rated_events:       {from: line_no, type: integer}
      class:                      {value: Cloud, lookup: classification, by: name, owner: netsuite}

  creditMemo:
    external_id: "cm-{id}"
    fields:
      entity:                     {from: customer_id, lookup: customer}
      currency:                   {from: currency, lookup: currency}
      tranDate:                   {from: issued_on}
      otherRefNum:                {from: number}
      memo:                       {from: memo}
      subsidiary:                 {from: legal_entity, map: {us: "1", eu: "3"}}
      cseg_product:               {from: product_line, lookup: cseg_product}
    lines:
      item:                       {from: product_id, lookup: item}
      description:                {from: description}
      quantity:                   {from: quantity}
      rate:                       {from: unit_amount}
      amount:                     {from: amount}

  customerPayment:
    external_id: "pay-{id}"
    fields:
      customer:                   {from: customer_id, lookup: customer}
      currency:                   {from: currency, lookup: currency}
      tranDate:                   {from: paid_on}
      payment:                    {from: amount}
      memo:                       {from: reference}
    lines:
      doc:                        {from: invoice_id, lookup: invoice}
      apply:                      {value: true}
      amount:                     {from: amount}

  journalEntry:
    external_id: "je-{id}"
    fields:
      currency:                   {from: currency, lookup: currency}
      tranDate:                   {from: dated_on}
      memo:                       {from: memo}
    lines:
      account:                    {from: account, lookup: account}
      debit:                      {from: debit}
      credit:                     {from: credit}
      memo:                       {from: description}
"""

#: What a field holds, where it is no text.
_KINDS = {
    "date": ("tranDate", "dueDate", "custbody_contract_start", "custcol_service_start"),
    "amount": ("amount", "payment", "debit", "credit", "custbody_credit_limit"),
    "rate": ("rate",),
    "quantity": ("quantity",),
    "integer": ("custbody_seats", "custcol_rated_events"),
    "boolean": ("custbody_is_trial", "apply"),
    "reference": (
        "entity", "customer", "subsidiary", "terms", "cseg_product", "department", "item", "class", "account", "doc",
    ),
    "currency": ("currency",),
}  # fmt: skip
KIND_OF: Mapping[str, str] = {name: kind for kind, names in _KINDS.items() for name in names}

#: NetSuite's lists: field, internal id, name.
LISTS = [
    ("currency", "1", "USD"), ("currency", "4", "EUR"), ("currency", "5", "JPY"), ("currency", "6", "KWD"),
    ("subsidiary", "1", "Acme Inc."), ("subsidiary", "3", "Acme GmbH"),
    ("term", "2", "Net 30"), ("term", "3", "Net 60"),
    ("cseg_product", "1", "Metering"), ("cseg_product", "2", "Storage"),
    ("item", "11", "usage"), ("item", "12", "seats"), ("item", "13", "Größe Ω"),
    ("department", "1", "Sales"), ("department", "2", "Service"),
    ("classification", "1", "Cloud"), ("classification", "2", "Services"),
    ("account", "411", "Accrued Income"), ("account", "598", "Usage Revenue"), ("account", "610", "Deferred Revenue"),
]  # fmt: skip
LIST_OF = {"terms": "term", "class": "classification"}
#: How many decimals an amount has.
PRECISION = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}
CURRENCY_ID = {name: key for listing, key, name in LISTS if listing == "currency"}


def names_of(field: str) -> dict[str, str]:
    """Internal id to name of what a reference field may hold."""
    return {key: name for listing, key, name in LISTS if listing == LIST_OF.get(field, field)}


@dataclass(frozen=True)
class Rule:
    """A field's rule as the file has it."""

    line: int
    owner: str = "billing"
    write: str = "always"


@dataclass(frozen=True)
class Policy:
    """How a tenant compares; `fields` and `lines` are those of every record type that has them."""

    amount: Decimal = Decimal(0)
    days: int = 0
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_LOOSE = {"case": "ignore", "space": "collapse", "unicode": "NFC"}
POLICIES: Mapping[str, Policy] = {
    "as it stands": Policy(),
    "cents and days": Policy(Decimal("0.01"), 2),
    "loose": Policy(
        Decimal(0), 0,
        {"memo": _LOOSE, "message": {"empty": "keep", "space": "keep"}, "dueDate": {"days": 3}, "total": {"percent": "1", "amount": "0.02"}},
        {"description": _LOOSE, "amount": {"percent": "1"}, "rate": {"amount": "0.0001"}, "quantity": {"percent": "0.5"}},
    ),
}  # fmt: skip


@cache
def rules() -> Mapping[str, Mapping[str, Mapping[str, Rule]]]:
    """Record type, part (`record`, `fields`, `lines`) and field to its rule: read from the text alone."""
    records = _children(_children(yaml.compose(FILE))["records"][1])
    found: dict[str, dict[str, dict[str, Rule]]] = {}
    for record, (_, node) in records.items():
        parts = _children(node)
        found[record] = {"record": {"external_id": Rule(parts["external_id"][0])}}
        for part in ("fields", "lines"):
            found[record][part] = {}
            for name, (line, rule) in _children(parts[part][1]).items() if part in parts else ():
                said = {key: value.value for key, (_, value) in _children(rule).items()}
                found[record][part][name] = Rule(
                    line, said.get("owner", "billing"), said.get("write", "always")
                )
    return found


def _children(node: Any) -> dict[str, tuple[int, Any]]:
    return {key.value: (key.start_mark.line + 1, value) for key, value in node.value}


def written_rules(folder: Path) -> TenantRules:
    """The tenant, compiled from its file in an empty folder."""
    (folder / "corpus.yaml").write_text(FILE, encoding="utf-8")
    return load_rules(folder, "corpus")


def with_policy(tenant: TenantRules, policy: Policy) -> TenantRules:
    """The tenant that compares so."""
    made = tenant.with_tolerance(str(policy.amount), policy.days)
    for record, parts in rules().items():
        fields = [*parts["fields"], *(["total"] if record != "customer" else [])]
        lines = [] if record == "customerPayment" else list(parts["lines"])
        made = made.with_comparison(
            record,
            fields={name: how for name, how in policy.fields.items() if name in fields},
            lines={name: how for name, how in policy.lines.items() if name in lines},
        )
    return made
