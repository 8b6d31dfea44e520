"""Whatever stands in a tenant's file, it is a tenant or a list of clear mistakes: never another error, never a hang.

The shipped files are damaged in their text, bytes and structure, and files are made up of YAML's own words; a small part
of it always runs, a long one with `-m soak`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tenant_tools import WHOLE, folder

from netsuite_assets.mapping.compiler import compile_mapping
from netsuite_assets.mapping.lint import lint
from resources.tenants import Problem, Tenant, TenantError

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "tenants").glob("*.yaml"))}
TENANTS = [name for name in SHIPPED if not name.startswith("_")]

WORDS = st.sampled_from(
    ["from", "value", "template", "map", "lookup", "default", "type", "by", "owner", "customer", "item", "id", "{id}",
     "metadata.x", "null", "~", "1", "0.10", "true", "no", "[]", "{}", "*a", "&a x", "!!int 5", "? x", "|", ">-", "<<",
     "tranDate", "custbody_x", "cseg_x", "2026-10-31", "'", '"', "${A}", "{", "}", "[", "#", ":", "-", "\t", "é", "\x85",
     "join", "separator", "when", "is", "not", "in", "empty", "above", "at_most", "sign", "negate", "shift", "months",
     "end_of_month", "round", "currency", "first_of", "max_length", "cut", "group", "sum", "split", "share", "rest",
     "line_rules", "each", "by_subsidiary", "lines_when", "accountingPeriod", "date", "extends", "_defaults", "\n", "\n  ",
     "!!python/object/apply:os.system [x]", "--- ", "...", "%YAML 1.1", "\0", "\ufeff", "\u2028", "1e999", ".inf", "0x1F",
     "9" * 40, "-0", "{a: 1}", "{id", "id}", "customer.", "..", "document.id", "invoice"]
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8), WORDS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(WORDS, st.text(max_size=4)), inner, max_size=4)
    ),
    max_leaves=8,
)


def load_or_complain(root: Path, data: bytes, name: str = "acme", base: str | None = None) -> None:
    """What every file is held to."""
    registry = folder(root, _defaults=SHIPPED["_defaults"] if base is None else base)
    (registry.root / f"{name}.yaml").write_bytes(data)
    tenant: Tenant | None = None
    problems: list[Problem] = []
    try:
        tenant = registry.load(name)
        compile_mapping(tenant)
    except TenantError as error:
        tenant, problems = None, error.problems
    assert (tenant is None) == bool(problems)
    for problem in problems:
        assert problem.file in (f"tenants/{name}.yaml", "tenants/_defaults.yaml")
        assert problem.line >= 1
        assert problem.column >= 1
        assert "\n" not in problem.message
        assert len(problem.message) < 500
    assert lint(registry, name).ok == (tenant is not None)
    if tenant is not None:
        tenant.load_credentials(dict.fromkeys(re.findall(r"[A-Za-z_][A-Za-z_0-9]*", data.decode()), "x"))


def damaged(data: st.DataObject, text: str) -> str:
    """A text with up to four places changed."""
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 12))
        put = data.draw(st.one_of(WORDS, st.text(max_size=3), st.just("")))
        text = text[:start] + put + text[start + length :]
    return text


def _any_text(root: Path, data: st.DataObject) -> None:
    load_or_complain(root, data.draw(st.text(max_size=200)).encode("utf-8", "surrogatepass"))


def _any_bytes(root: Path, data: st.DataObject) -> None:
    load_or_complain(root, data.draw(st.binary(max_size=200)))


def _yaml_like_text(root: Path, data: st.DataObject) -> None:
    pieces = data.draw(
        st.lists(st.one_of(WORDS, st.sampled_from([": ", ", ", "\n", "  ", "- "])), max_size=60)
    )
    load_or_complain(root, "".join(pieces).encode())


def _damaged_tenant(root: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(TENANTS))
    load_or_complain(root, damaged(data, SHIPPED[name]).encode("utf-8", "surrogatepass"), name)


def _damaged_base(root: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(TENANTS))
    base = damaged(data, SHIPPED["_defaults"]).encode("utf-8", "replace").decode()
    load_or_complain(root, SHIPPED[name].encode(), name, base)


def _lines_moved(root: Path, data: st.DataObject) -> None:
    """Lines left out, repeated, exchanged and indented otherwise: what hands do to YAML."""
    name = data.draw(st.sampled_from(TENANTS))
    lines = SHIPPED[name].splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        one, other = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        match data.draw(st.sampled_from(["drop", "repeat", "exchange", "indent", "dedent", "tab"])):
            case "drop":
                del lines[one]
            case "repeat":
                lines.insert(other, lines[one])
            case "exchange":
                lines[one], lines[other] = lines[other], lines[one]
            case "indent":
                lines[one] = f"  {lines[one]}"
            case "dedent":
                lines[one] = lines[one].removeprefix("  ")
            case _:
                lines[one] = f"\t{lines[one].lstrip()}"
    load_or_complain(root, "\n".join(lines).encode(), name)


def _strange_value(root: Path, data: st.DataObject) -> None:
    """Any value at any key, and any rule for a custom field."""
    whole = yaml.safe_load(WHOLE)
    places: list[tuple[dict[str, object], str]] = []

    def walk(at: dict[str, object]) -> None:
        for key, below in at.items():
            places.append((at, key))
            if isinstance(below, dict):
                walk(below)

    walk(whole)
    whole["records"]["customer"]["fields"]["custentity_x"] = data.draw(
        st.dictionaries(WORDS, VALUES, max_size=4)
    )
    at, key = data.draw(st.sampled_from(places))
    at[key] = data.draw(VALUES)
    text = yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)
    load_or_complain(root, text.encode("utf-8", "surrogatepass"))


def _strange_record(root: Path, data: st.DataObject) -> None:
    """Any value at any key of a record's rules."""
    whole = yaml.safe_load(WHOLE)
    keys = [
        "fields",
        "lines",
        "when",
        "lines_when",
        "line_rules",
        "group",
        "by_subsidiary",
        "legal_entity",
        "from",
    ]
    record = data.draw(
        st.sampled_from(["invoice", "creditMemo", "customerPayment", "journalEntry", "customrecord_x"])
    )
    rules = data.draw(st.dictionaries(st.sampled_from(keys), VALUES, max_size=4))
    whole["records"][record] = {"external_id": "x-{id}", "fields": {}, **rules}
    text = yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)
    load_or_complain(root, text.encode("utf-8", "surrogatepass"))


KINDS = [
    _any_text,
    _any_bytes,
    _yaml_like_text,
    _damaged_tenant,
    _damaged_base,
    _lines_moved,
    _strange_value,
    _strange_record,
]
CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__.strip("_"))
def test_a_file_is_a_tenant_or_a_list_of_clear_mistakes(tmp_path: Path, kind: Any) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
    @given(data=st.data())
    def some(data: st.DataObject) -> None:
        kind(tmp_path, data)

    some()


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__.strip("_"))
def test_many_files_are_tenants_or_lists_of_clear_mistakes(tmp_path: Path, kind: Any) -> None:
    @settings(max_examples=5000, deadline=None, suppress_health_check=CHECKS, database=None)
    @given(data=st.data())
    def many(data: st.DataObject) -> None:
        kind(tmp_path, data)

    many()
