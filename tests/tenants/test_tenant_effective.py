"""What counts for a tenant can be printed, each value with the file and line that give it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tenant_tools import WHOLE, folder
from typer.testing import CliRunner

from netsuite_assets.cli import app
from resources.tenants.effective import effective_values, entities

ALL = """\
timezone: Europe/Paris
records:
  invoice:
    external_id: "inv-{id}"
    fields:
      terms: {from: terms, lookup: term}
      memo: {from: memo}
    lines:
      item: {from: product_id, lookup: item}
      description: {from: description}
"""
EU = """\
extends: _all
records:
  invoice:
    by_subsidiary:
      eu:
        fields: {terms: {default: Net 60}, memo: {value: EU}}
        lines: {description: {template: "{description} EU"}}
"""
OWN = """\
  invoice:
    line_rules:
      usage: {fields: {item: {default: Usage}}}
      tax: {each: document, fields: {item: {value: Tax, lookup: item}}}
      parts:
        split:
          parts:
            a: {share: 0.5}
            b: {share: rest, fields: {description: {value: rest}}}
    by_subsidiary:
      uk: {fields: {memo: {empty: true}}}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder(tmp_path, _all=ALL, _eu=EU, acme="extends: _eu\n" + WHOLE + OWN)
    return tmp_path / "tenants"


def _values(root: Path, entity: str | None = None) -> dict[str, tuple[object, str]]:
    tenant = folder(root.parent).load("acme")
    return {
        one.path.removeprefix("records.invoice."): (
            one.value,
            f"{one.place.file.partition('/')[2]}:{one.place.line}",
        )
        for one in effective_values(tenant, entity)
        if one.path.startswith(("records.invoice.", "timezone"))
    }


def test_each_value_has_the_place_that_gives_it(root: Path) -> None:
    values = _values(root)
    assert values["timezone"] == ("America/New_York", "acme.yaml:3")
    assert values["fields.terms.lookup"] == ("term", "_all.yaml:6")
    assert values["by_subsidiary.eu.fields.terms.default"] == ("Net 60", "_eu.yaml:6")
    assert values["by_subsidiary.uk.fields.memo.empty"] == (True, "acme.yaml:34")
    assert entities(folder(root.parent).load("acme")) == ["eu", "uk"]


def test_the_rules_of_one_legal_entity_are_whole(root: Path) -> None:
    eu, uk = _values(root, "eu"), _values(root, "uk")
    assert not any(path.startswith("by_subsidiary") for path in (*eu, *uk))
    assert eu["fields.terms.from"] == uk["fields.terms.from"] == ("terms", "_all.yaml:6")
    assert eu["fields.terms.default"] == ("Net 60", "_eu.yaml:6")
    assert "fields.terms.default" not in uk
    # Another source replaces the rule whole.
    assert (eu["fields.memo.value"], "fields.memo.from" in eu) == (("EU", "_eu.yaml:6"), False)
    assert (uk["fields.memo.empty"], "fields.memo.from" in uk) == ((True, "acme.yaml:34"), False)
    assert eu["lines.description.template"] == ("{description} EU", "_eu.yaml:7")


def test_line_rules_are_whole_too(root: Path) -> None:
    eu, uk = _values(root, "eu"), _values(root, "uk")
    assert eu["line_rules.usage.fields.item.from"] == ("product_id", "_all.yaml:9")
    assert eu["line_rules.usage.fields.item.default"] == ("Usage", "acme.yaml:26")
    assert eu["line_rules.usage.fields.description.template"] == ("{description} EU", "_eu.yaml:7")
    assert uk["line_rules.usage.fields.description.from"] == ("description", "_all.yaml:10")
    assert "line_rules.tax.fields.description.from" not in uk
    parts = "line_rules.parts.split.parts"
    assert uk[f"{parts}.a.fields.description.from"] == ("description", "_all.yaml:10")
    assert uk[f"{parts}.b.fields.description.value"] == ("rest", "acme.yaml:32")
    assert f"{parts}.b.fields.description.from" not in uk


def test_the_command_prints_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_TENANTS", str(root))
    run = CliRunner().invoke

    def printed(*arguments: str) -> list[str]:
        result = run(app, ["tenant", "acme", *arguments])
        assert result.exit_code == 0, result.output
        return result.output.splitlines()

    whole = printed()
    assert any(
        line.startswith("timezone: America/New_York ") and line.endswith("# tenants/acme.yaml:3")
        for line in whole
    )
    (line,) = printed("--subsidiary", "eu", "--only", "records.invoice.fields.terms.default")
    assert line == "records.invoice.fields.terms.default: Net 60  # tenants/_eu.yaml:6"
    own = printed("--own", "--only", "records.invoice")
    assert own
    assert all("# tenants/acme.yaml:" in line for line in own)
    refused = run(app, ["tenant", "acme", "--subsidiary", "mars"])
    assert refused.exit_code != 0
    assert "no rule of acme differs for 'mars'; there are eu, uk." in " ".join(
        refused.output.replace("│", " ").split()
    )
    assert "s3cret" not in "".join(whole)
