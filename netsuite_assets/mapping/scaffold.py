"""The first file of a new tenant: proposals from its account's schema and its billing database, each with its reason.

Here: which table, column and field seem to be the same, and the YAML that says so. A proposal is a guess that a person
reviews: it is marked `# review:`. Not here: asking either side (`resources/netsuite/catalog.py`,
`resources/billing/discovery.py`), or whether the file is right (`lint.py`).
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from netsuite_assets.mapping.compiler import compile_mapping
from netsuite_assets.tables import TABLES
from resources.billing.canonical import TABLES as BILLING
from resources.billing.discovery import Discovered, DiscoveredTable
from resources.netsuite.catalog import Catalog
from resources.netsuite.records import CUSTOM_PREFIXES, REFERENCES, UnknownField
from resources.netsuite.records import field as netsuite_field
from resources.tenants import Tenant, TenantError, TenantRegistry, shown

#: Records that a first file maps.
RECORDS: Final = ("customer", "invoice", "creditMemo")

_TABLES: Final[Mapping[str, Sequence[str]]] = {
    "customers": ("customer", "accounts", "account", "clients", "companies"),
    "invoices": ("invoice", "bills", "bill"),
    "invoice_lines": ("invoice_line_items", "invoice_items", "bill_lines", "bill_items", "line_items"),
    "credit_notes": ("credit_memos", "credits", "credit_note"),
    "credit_note_lines": ("credit_note_items", "credit_memo_lines", "credit_lines", "credit_items"),
    "payments": ("payment", "receipts"),
    "payment_applications": ("receipt_applications", "payment_allocations", "allocations"),
    "journals": ("journal_entries",),
    "journal_lines": ("journal_entry_lines",),
}
_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "number": ("invoice_number", "invoice_no", "bill_no", "bill_number", "credit_note_number", "credit_no", "document_number", "journal_number"),
    "customer_id": ("account_id", "client_id", "company_id"),
    "issued_on": ("issue_date", "invoice_date", "bill_date", "credit_date", "issued_at", "date"),
    "due_on": ("due_date", "due_at"),
    "currency": ("currency_code",),
    "total": ("total_amount", "amount_total", "grand_total"),
    "memo": ("note", "notes", "comment"),
    "po_number": ("po", "purchase_order"),
    "invoice_id": ("bill_id",),
    "credit_note_id": ("credit_id", "credit_memo_id"),
    "payment_id": ("receipt_id",),
    "journal_id": ("journal_entry_id",),
    "line_no": ("position", "line_number", "line", "seq"),
    "product_id": ("sku", "item_id", "product", "item"),
    "description": ("text", "title"),
    "quantity": ("units", "qty"),
    "unit_amount": ("price", "unit_price", "rate"),
    "amount": ("line_amount", "line_total"),
    "name": ("account_name", "company_name", "customer_name", "company"),
    "email": ("billing_email", "email_address"),
    "terms": ("payment_terms",),
    "legal_entity": ("company_code", "seller", "entity"),
    "paid_on": ("received_on", "payment_date", "paid_at"),
    "applied_on": ("application_date",),
    "dated_on": ("journal_date", "entry_date"),
    "service_start": ("period_start", "start_date"),
    "service_end": ("period_end", "end_date"),
}  # fmt: skip
_NEEDED: Final = frozenset({"customers", "invoices", "invoice_lines"})
#: Words that tell nothing of what a field is about.
_EMPTY: Final = frozenset({"id", "ref", "reference", "no", "number", "code", "the", "of", "line"})
#: Words by which an account calls a field that carries billing's own id.
_IDENTITY: Final = frozenset({"billing", "external", "source"})
#: Columns that say which row it is, or of which other: nothing that a field of the account's own would hold.
_KEYS: Final = frozenset(
    {"id", "number", "line_no", "customer_id", "invoice_id", "credit_note_id", "product_id"}
)
_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_KINDS: Final = {"date": "date", "datetime": "datetime", "number": "amount", "boolean": "boolean"}


@dataclass(frozen=True)
class AskedAccount:
    """What was asked of the account: its schema, and its subsidiaries by internal id (none in single companies)."""

    catalog: Catalog
    subsidiaries: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Connection:
    """What a file says before anything is asked: every credential as the name of a variable.

    `assumed` are the keys that nobody gave.
    """

    tenant: str
    account: str
    method: str
    prefix: str
    timezone: str
    first_month: str
    extends: str | None
    has_base_url: bool = False
    assumed: Sequence[str] = ()


@dataclass(frozen=True)
class Proposal:
    """A field's rule as YAML, and why; `rule` None is a field that a person must decide on."""

    name: str
    rule: Mapping[str, object] | None
    reason: str


# The file


def connection_text(given: Connection) -> str:
    """The part of the file that says how to reach both systems."""
    prefix = given.prefix
    secrets = {
        "oauth2_client_credentials": {
            "client_id": "NS_CLIENT_ID", "certificate_id": "NS_CERT_ID", "private_key_file": "NS_KEY_FILE",
        },
        "oauth2_authorization_code": {"client_id": "NS_CLIENT_ID", "client_secret": "NS_CLIENT_SECRET"},
        "tba": {
            "consumer_key": "NS_CONSUMER_KEY", "consumer_secret": "NS_CONSUMER_SECRET", "token_id": "NS_TOKEN_ID",
            "token_secret": "NS_TOKEN_SECRET",
        },
    }[given.method]  # fmt: skip
    lines = [
        f"tenant: {given.tenant}",
        *([f"extends: {given.extends}"] if given.extends else []),
        _assumed(
            given, "timezone", _scalar(given.timezone), "where days and months of the bills begin and end"
        ),
        _assumed(given, "first_month", given.first_month, "the first month that is reconciled"),
        "",
        "netsuite:",
        f"  account: {_scalar(given.account)}",
        *([f"  base_url: ${{{prefix}_NS_URL}}"] if given.has_base_url else []),
        "  auth:",
        f"    method: {given.method}",
        *(f"    {key}: ${{{prefix}_{name}}}" for key, name in secrets.items()),
    ]
    return "\n".join(lines) + "\n"


def _assumed(given: Connection, key: str, value: str, what: str) -> str:
    return f"{key}: {value}" + (f"  # review: {what}" if key in given.assumed else "")


def bare_text(given: Connection) -> str:
    """A file that is right as far as it goes: enough to connect with."""
    tables = "".join(
        f"    {name}: {{table: {name}}}\n" for name in ("customers", "invoices", "invoice_lines")
    )
    return (
        f"{connection_text(given)}\nbilling:\n  system: sql\n  url: ${{{given.prefix}_BILLING_URL}}\n  tables:\n{tables}"
        '\nrecords:\n  customer:\n    external_id: "cus-{id}"\n    fields:\n      companyName: {from: name}\n'
    )


def tenant_text(given: Connection, account: AskedAccount, found: Discovered, folder: Path) -> str:
    """The whole file, right by `recon lint`: what a proposal cannot be is left as a remark that says why.

    `folder` holds the base files. Raises `TenantError` when the file would not even be right without any proposal.
    """
    tables = find_tables(found)
    proposals: dict[tuple[str, str], list[Proposal]] = {}
    base = _candidate(bare_text(given), given.tenant, folder)
    for record in RECORDS:
        billing = TABLES[record]
        if billing.billing in tables:
            inherited = _inherited(base, record)
            proposals |= _record_proposals(record, account, found, tables, inherited)
    while True:
        text = _text(given, tables, proposals)
        try:
            _candidate(text, given.tenant, folder, compiled=True)
            return text
        except TenantError as error:
            fewer = _without_mistakes(text, proposals, error)
            if fewer == proposals:
                raise
            proposals = fewer


def _candidate(text: str, name: str, folder: Path, *, compiled: bool = False) -> Tenant:
    """The text as a tenant of this folder, without writing into it."""
    with tempfile.TemporaryDirectory() as temporary:
        inside = Path(temporary) / folder.name
        inside.mkdir()
        for base in folder.glob("_*.yaml"):
            shutil.copy(base, inside)
        (inside / f"{name}.yaml").write_text(text, encoding="utf-8")
        tenant = TenantRegistry(inside).load(name)
    if compiled:
        compile_mapping(tenant)
    return tenant


def candidate(given: Connection, folder: Path) -> Tenant:
    """A tenant to connect with, before there is a file. Raises `TenantError`."""
    return _candidate(bare_text(given), given.tenant, folder)


def _inherited(tenant: Tenant, record: str) -> Mapping[str, frozenset[str]]:
    rules = tenant.records.get(record)
    if rules is None:
        return {"fields": frozenset(), "lines": frozenset()}
    return {
        "fields": frozenset(name.lower() for name in rules.fields),
        "lines": frozenset(name.lower() for name in rules.lines),
    }


def _without_mistakes(
    text: str, proposals: Mapping[tuple[str, str], Sequence[Proposal]], error: TenantError
) -> dict[tuple[str, str], list[Proposal]]:
    """The proposals with those on lines that are mistakes turned into remarks."""
    places = _places(text)
    wrong = {places[problem.line]: problem.message for problem in error.problems if problem.line in places}
    return {
        (record, part): [
            replace(
                one, rule=None, reason=f"not proposed, since {wrong[record, part, one.name]} ({one.reason})"
            )
            if one.rule is not None and (record, part, one.name) in wrong
            else one
            for one in several
        ]
        for (record, part), several in proposals.items()
    }


def _places(text: str) -> dict[int, tuple[str, str, str]]:
    """Record, part and field of each line that is a rule."""
    places: dict[int, tuple[str, str, str]] = {}
    record = part = ""
    for number, line in enumerate(text.splitlines(), start=1):
        name, indent = line.split(":")[0].strip(), len(line) - len(line.lstrip())
        if indent == 2:
            record = name
        elif indent == 4:
            part = name
        elif indent == 6:
            places[number] = (record, part, name)
    return places


def _text(
    given: Connection,
    tables: Mapping[str, FoundTable],
    proposals: Mapping[tuple[str, str], Sequence[Proposal]],
) -> str:
    lines = [
        f"# Proposed by recon init from the account {given.account} and its billing database. Each line that says 'review'",
        "# is a guess: read its reason, correct or keep it, and take the remark away.",
        connection_text(given),
        "billing:",
        "  system: sql",
        f"  url: ${{{given.prefix}_BILLING_URL}}",
        "  tables:",
    ]
    for name, table in tables.items():
        lines += _table_lines(name, table)
    lines += [
        "",
        "# Nothing is written until this says so; see docs/engineers.md.",
        "writeback:",
        "  mode: plan_only",
    ]
    lines += ["", "records:"]
    for record in RECORDS:
        if TABLES[record].billing not in tables:
            continue
        own = [key for key in ("fields", "lines") if proposals.get((record, key))]
        lines.append(f"  {record}:")
        if given.extends is None or not own:
            lines.append(f'    external_id: "{_EXTERNAL_IDS[record]}-{{id}}"')
        for key in own:
            made = proposals[record, key]
            lines.append(f"    {key}:" if any(one.rule for one in made) else f"    {key}: {{}}")
            lines += [_proposal_line(one) for one in made]
    return "\n".join(lines) + "\n"


_EXTERNAL_IDS: Final = {"customer": "cus", "invoice": "inv", "creditMemo": "cm"}


def _proposal_line(one: Proposal) -> str:
    reason = shown(one.reason, 300)
    if one.rule is None:
        return f"      # review: {one.name}: {reason}"
    return f"      {one.name}: {flow(one.rule)}  # review: {reason}"


def flow(value: object) -> str:
    """A value in YAML's short form."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(str(key))}: {flow(below)}" for key, below in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(below) for below in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else _scalar(str(value))


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    if re.fullmatch(r"[A-Za-z_]+/[A-Za-z_/]+|[0-9]+_[A-Z0-9]+", text):
        return text
    return json.dumps(text, ensure_ascii=False)


# Billing


@dataclass(frozen=True)
class FoundTable:
    """A table that seems to be a canonical one, with its reason, its columns that are called otherwise, and the rest."""

    table: DiscoveredTable
    reason: str
    columns: Mapping[str, tuple[str, str]]
    missing: Sequence[str]
    rest: Sequence[str]

    def has(self, canonical: str) -> bool:
        return canonical in self.columns or canonical in self.table.columns


def find_tables(found: Discovered) -> dict[str, FoundTable]:
    """The canonical tables that the database seems to have, each with its parent."""
    tables: dict[str, FoundTable] = {}
    taken: set[str] = set()
    by_name = {name.lower(): table for name, table in found.tables.items()}
    for canonical, others in _TABLES.items():
        parent = BILLING[canonical].parent
        if parent is not None and parent not in tables:
            continue
        for name in (canonical, *others):
            if name in by_name and name not in taken:
                reason = "" if name == canonical else f"the name '{name}' seems to mean {canonical}"
                tables[canonical] = _found_table(canonical, by_name[name], reason)
                taken.add(name)
                break
        else:
            if canonical in _NEEDED:
                tables[canonical] = _unknown_table(canonical, found)
    return tables


def _unknown_table(canonical: str, found: Discovered) -> FoundTable:
    """A table that every tenant needs and a person must name."""
    names = shown(", ".join(found.tables), 200) or "none"
    reason = f"no table seems to be this one; there are: {names}"
    return FoundTable(DiscoveredTable(canonical, BILLING[canonical].schema.names), reason, {}, (), ())


def _found_table(canonical: str, table: DiscoveredTable, reason: str) -> FoundTable:
    schema = BILLING[canonical].schema
    free = {column.lower(): column for column in table.columns}
    wanted = [name for name in schema.names if free.pop(name, None) is None and name != "metadata"]
    columns: dict[str, tuple[str, str]] = {}
    missing = []
    for name in wanted:
        synonym = next((one for one in _COLUMNS.get(name, ()) if one in free), None)
        near = get_close_matches(name, free, n=1, cutoff=0.85)
        if synonym is not None:
            columns[name] = (free.pop(synonym), "its name is another word for it")
        elif near:
            columns[name] = (free.pop(near[0]), "its name is much like it")
        elif not schema.field(name).nullable:
            missing.append(name)
    keyed = "metadata" in schema.names and "metadata" not in table.columns
    rest = (
        [column for column in table.columns if column.lower() in free and _nameable(column)] if keyed else []
    )
    return FoundTable(table, reason, columns, missing, rest)


def _nameable(name: str) -> bool:
    """Whether a file can hold the name: it is printable, and no reference to the environment."""
    return name.isprintable() and bool(name.strip()) and "${" not in name


def _table_lines(name: str, found: FoundTable) -> list[str]:
    review = f"  # review: {found.reason}" if found.reason else ""
    lines = [f"    {name}:", f"      table: {_scalar(found.table.name)}{review}"]
    if found.columns:
        lines.append("      columns:")
        lines += [
            f"        {canonical}: {_scalar(column)}  # review: {reason}"
            for canonical, (column, reason) in found.columns.items()
        ]
    lines += [
        f"      # review: no column of {shown(found.table.name)} seems to be {missing}, which is needed: name it in columns"
        for missing in found.missing
    ]
    if found.rest:
        lines.append(
            f"      metadata: {flow(list(found.rest))}  # review: further columns, for rules as metadata.<column>"
        )
    return lines


# NetSuite's fields


def _record_proposals(
    record: str,
    account: AskedAccount,
    found: Discovered,
    tables: Mapping[str, FoundTable],
    inherited: Mapping[str, frozenset[str]],
) -> dict[tuple[str, str], list[Proposal]]:
    billing = TABLES[record]
    document = tables[billing.billing]
    headers = _fields(record, None, account.catalog, inherited["fields"], _sources(billing.billing, document))
    if record == "customer" and "companyname" not in inherited["fields"]:
        headers.insert(0, Proposal("companyName", {"from": "name"}, "a customer needs a name"))
    if record != "customer" and "entity" not in inherited["fields"]:
        rule = {"from": "customer_id", "lookup": "customer"}
        headers.insert(0, Proposal("entity", rule, "a document needs its customer"))
    if account.subsidiaries and "subsidiary" not in inherited["fields"]:
        headers = [one for one in headers if one.name != "subsidiary"]
        headers.insert(0, _subsidiary(record, account.subsidiaries, found, tables))
    made = {(record, "fields"): headers}
    lines = billing.billing_lines
    if lines is not None and lines in tables:
        sources = _sources(lines, tables[lines])
        own = _fields(record, billing.sublist, account.catalog, inherited["lines"], sources)
        if "item" not in inherited["lines"]:
            rule = {"from": "product_id", "lookup": "item"}
            own.insert(0, Proposal("item", rule, "a line needs an item"))
        made[record, "lines"] = own
    return made


def _sources(canonical: str, table: FoundTable) -> dict[str, str]:
    """What can be mapped from a table: a path, and the name that people know it by."""
    has = [name for name in BILLING[canonical].schema.names if table.has(name) and name != "metadata"]
    return {
        **{name: name for name in has},
        **{
            f"metadata.{name}": name
            for name in (*table.table.metadata_keys, *table.rest)
            if _nameable(name) and "." not in name
        },
    }


def _fields(
    record: str, sublist: str | None, catalog: Catalog, inherited: frozenset[str], sources: Mapping[str, str]
) -> list[Proposal]:
    owner = record if sublist is None else f"{record}.{sublist}"
    lists = [entry.name for entry in catalog.entries if entry.kind == "list"]
    mandatory = {entry.name.lower() for entry in catalog.entries if entry.kind == "mandatory"}
    proposals = []
    for entry in catalog.entries:
        if not _FIELD.fullmatch(entry.name):
            continue
        if entry.kind != "field" or entry.owner.lower() != owner.lower() or entry.name.lower() in inherited:
            continue
        custom = entry.name.lower().startswith(tuple(CUSTOM_PREFIXES))
        if not custom and not _writable(record, entry.name, sublist):
            continue
        match = _match(entry.name, entry.label, sources) if custom else _same(entry.name, sources)
        if match is None:
            if custom and entry.name.lower() in mandatory:
                reason = f"the account wants it ('{entry.label}'), and nothing in billing is called so"
                proposals.append(Proposal(entry.name, None, reason))
            continue
        path, reason = match
        rule: dict[str, object] = {"from": path}
        if entry.type.startswith("reference"):
            target = _list_of(record, entry.name, entry.label, sublist, lists)
            if target is None:
                proposals.append(
                    Proposal(entry.name, None, f"{reason}, but which list it chooses from is not known")
                )
                continue
            rule["lookup"] = target
        elif custom and entry.type in _KINDS:
            rule["type"] = _KINDS[entry.type]
        proposals.append(Proposal(entry.name, rule, reason))
    return proposals


def _match(name: str, label: str, sources: Mapping[str, str]) -> tuple[str, str] | None:
    """The billing value that a custom field seems to be, and why."""
    script = name.lower()
    for prefix in CUSTOM_PREFIXES:
        script = script.removeprefix(prefix)
    by_script, by_label = _tokens(script), _tokens(label)
    for path, called in sources.items():
        words = _tokens(called) if path not in _KEYS else frozenset()
        if words and words == by_script:
            return path, f"its script id is like billing's {path}"
        if words and words == by_label:
            return path, f"its label '{label}' is like billing's {path}"
    if by_script and by_script <= _IDENTITY and "id" in script.split("_") and "id" in sources:
        return "id", f"its label '{label}' asks for billing's id"
    return None


def _same(name: str, sources: Mapping[str, str]) -> tuple[str, str] | None:
    wanted = name.lower()
    for path, called in sources.items():
        if called.lower().replace("_", "") == wanted and called not in ("id", "number", "total"):
            return path, f"billing's {path} has the same name"
    return None


def _tokens(text: str) -> frozenset[str]:
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text).lower())
    told = {word.removesuffix("s") if len(word) > 3 else word for word in words} - _EMPTY
    return frozenset(told)


def _list_of(record: str, name: str, label: str, sublist: str | None, lists: Iterable[str]) -> str | None:
    if name.lower().startswith("cseg_"):
        return name.lower()
    if name.lower().startswith(tuple(CUSTOM_PREFIXES)):
        wanted = (_tokens(name.partition("_")[2]), _tokens(label))
        return next((one for one in lists if _tokens(one.removeprefix("customlist_")) in wanted), None)
    try:
        known = netsuite_field(record, name, sublist)
    except UnknownField:
        return None
    return known.target if known.target in REFERENCES and not known.read_only else None


def _writable(record: str, name: str, sublist: str | None) -> bool:
    try:
        return not netsuite_field(record, name, sublist).read_only
    except UnknownField:
        return False


def _subsidiary(
    record: str, subsidiaries: Mapping[str, str], found: Discovered, tables: Mapping[str, FoundTable]
) -> Proposal:
    """Which of the account's companies: by billing's legal entity, or the only one that there is."""
    listed = ", ".join(f"{id_} is '{name}'" for id_, name in list(subsidiaries.items())[:10])
    table = tables[TABLES[record].billing]
    if not table.has("legal_entity"):
        if len(subsidiaries) == 1:
            return Proposal("subsidiary", {"value": next(iter(subsidiaries))}, f"the only one: {listed}")
        return Proposal("subsidiary", None, f"NetSuite needs it, and billing tells no legal entity; {listed}")
    column = table.columns.get("legal_entity", ("legal_entity", ""))[0]
    entities = found.values.get((table.table.name, column), ())
    by_name = {name.lower(): id_ for id_, name in subsidiaries.items()}
    known = {entity: by_name[entity.lower()] for entity in entities if entity.lower() in by_name}
    if entities and len(known) == len(entities):
        return Proposal("subsidiary", {"from": "legal_entity", "map": known}, f"billing's legal entities have these names; {listed}")  # fmt: skip
    unknown = ", ".join(f"'{one}'" for one in entities if one not in known) or "unknown"
    return Proposal(
        "subsidiary",
        {"from": "legal_entity", "lookup": "subsidiary"},
        f"no subsidiary is called as billing's legal entities {unknown}: give it a map to internal ids; {listed}",
    )
