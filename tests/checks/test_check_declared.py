"""Mistakes in the YAML of checks: each is told with its file, line and the nearest right name, all at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_like_checks.claims import COLUMN_CLAIMS, TABLE_CLAIMS
from dbt_like_checks.declared import Declared, read_folder
from dbt_like_checks.source import DeclarationError

_HEAD = """\
models:
  - name: billing.invoices
    asset: billing_invoices
"""


def mistakes(read: Callable[[], object]) -> list[str]:
    """The mistakes as `line: message`."""
    with pytest.raises(DeclarationError) as raised:
        read()
    assert str(raised.value) == "\n".join(str(mistake) for mistake in raised.value.mistakes)
    return [f"{mistake.line}: {mistake.message}" for mistake in raised.value.mistakes]


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (
            "    columns: [{name: id, tests: [not_nul]}]",
            "4: there is no test 'not_nul'. Did you mean 'not_null'? There are: not_null, unique,",
        ),
        (
            "    columns: [{name: id, tests: [not_empty]}]",
            "4: not_empty belongs under the table's own `tests`",
        ),
        ("    tests: [unique]", "4: unique belongs under the `tests` of a column"),
        ("    test: [not_empty]", "4: a model has no key 'test'. Did you mean 'tests'?"),
        ("    columns: [{nam: id, tests: [unique]}]", "4: a column has no key 'nam'. Did you mean 'name'?"),
        ("    columns: [{name: id}]", "4: a column lacks tests"),
        ("    columns: [{name: id, tests: []}]", "4: `tests` is a list of at least one"),
        ("    columns: [{name: id, tests: unique}]", "4: `tests` is a list of at least one"),
        ("    columns: [{name: c, tests: [accepted_values]}]", "4: accepted_values lacks values"),
        (
            "    columns: [{name: c, tests: [accepted_values: {value: [a]}]}]",
            "4: accepted_values has no key 'value'. Did you mean 'values'?",
        ),
        (
            "    columns: [{name: c, tests: [accepted_values: {values: a}]}]",
            "4: `values` is a list of at least",
        ),
        (
            "    columns: [{name: c, tests: [accepted_values: {values: [a, null]}]}]",
            "4: each of `values` is a text",
        ),
        ("    columns: [{name: c, tests: [between: {}]}]", "4: between: say `min`, `max` or both"),
        (
            '    columns: [{name: c, tests: [matches: {pattern: "["}]}]',
            "4: matches: `[` is no regular expression",
        ),
        (
            '    columns: [{name: c, tests: [matches: {pattern: "(?=x)"}]}]',
            "4: matches: `(?=x)` looks around or back",
        ),
        (
            "    columns: [{name: c, tests: [relationships: {to: billing.invoice, field: id}]}]",
            "4: no model declares the table 'billing.invoice'. Did you mean 'billing.invoices'?",
        ),
        (
            "    columns: [{name: c, tests: [not_null: {severity: warning}]}]",
            "4: `severity` is warn or error, not 'warning'",
        ),
        (
            "    columns: [{name: c, tests: [not_null: {severity: warn, blocking: true}]}]",
            "4: a test that only warns cannot block",
        ),
        ("    columns: [{name: c, tests: [not_null: {blocking: maybe}]}]", "4: `blocking` is true or false"),
        (
            "    columns: [{name: c, tests: [not_null: {name: two words}]}]",
            "4: `name` is letters, digits and",
        ),
        ("    columns: [{name: c, tests: [not_null: {where: total}]}]", "4: `total` is not true or false"),
        (
            "    columns: [{name: c, tests: [{not_null: {}, unique: {}}]}]",
            "4: a test is a name, or one name with",
        ),
        ("    tests: [{expression: {that: total > 0}}]", "4: an expression has a `name`"),
        (
            "    tests:\n      - expression:\n          name: x\n          that: total >",
            "7: `total >` cannot be read as SQL: ",
        ),
        (
            "    tests:\n      - unique_combination: {columns: [a]}\n      - unique_combination: {columns: [b]}",
            "6: billing_invoices already has a check 'invoices_unique_combination'",
        ),
        (
            "    tests: [{total_equals: {total: t, key: k, lines: billing.invoices}}]",
            "4: total_equals lacks lines_key",
        ),
        (
            "    tests: [{total_equals: {total: t, key: k, lines: billing.invoices, lines_key: i, tolerance: some}}]",
            "4: `tolerance` is a number, for instance 0.01",
        ),
        (
            "    tests: [{total_equals: {total: t, key: k, lines: billing.invoices, lines_key: i, tolerance: -1}}]",
            "4: total_equals: `tolerance` cannot be negative",
        ),
        ("    description: x", "2: billing.invoices is declared without a test"),
        ("    optional: yes\n    tests: [not_empty]", "4: `optional` is true or false"),
        ("    each: [a]\n    tests: [not_empty]", "4: `each` is a text"),
        ("    tests: [not_empty]\n    tests: [not_empty]", "5: 'tests' is given twice"),
        ("    tests: [not_empty\n    columns: 1", "5: not valid YAML: "),
    ],
)
def test_a_mistake_is_told_with_its_line_and_the_right_name(
    declared: Callable[[str], Declared], rest: str, expected: str
) -> None:
    assert any(told.startswith(expected) for told in mistakes(lambda: declared(f"{_HEAD}{rest}\n")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1: the file is empty"),
        ("- a", "1: the file is a mapping of keys to values"),
        ("model: []", "1: the file has no key 'model'. Did you mean 'models'? There are: models."),
        ("models: []", "1: `models` is a list of at least one"),
        ("models: [{asset: a, tests: [not_empty]}]", "1: a model lacks name"),
        (
            "models: [{name: invoices, asset: a, tests: [not_empty]}]",
            "1: 'invoices' is no table of the working file",
        ),
    ],
)
def test_a_file_of_another_shape_is_told_so(
    declared: Callable[[str], Declared], text: str, expected: str
) -> None:
    assert mistakes(lambda: declared(text))[0].startswith(expected)


def test_all_mistakes_of_all_files_are_told_at_once(write: Callable[..., Path]) -> None:
    write(f"{_HEAD}    columns: [{{name: id, tests: [not_nul, uniqe]}}]\n", "one.yaml")
    folder = write(f"{_HEAD}    tests: [not_emty]\n", "two.yaml")
    with pytest.raises(DeclarationError) as raised:
        read_folder(folder)
    assert [(Path(mistake.file).name, mistake.line) for mistake in raised.value.mistakes] == [
        ("one.yaml", 4),
        ("one.yaml", 4),
        ("two.yaml", 4),
    ]


def test_a_file_that_is_not_text_is_told_so(write: Callable[..., Path]) -> None:
    folder = write(f"{_HEAD}    tests: [not_empty]\n")
    (folder / "bad.yaml").write_bytes(b"models: \xff")
    assert mistakes(lambda: read_folder(folder)) == ["1: the file is not UTF-8 text"]


def test_a_folder_without_checks_is_told_so(tmp_path: Path) -> None:
    assert mistakes(lambda: read_folder(tmp_path)) == ["1: this folder holds no *.yaml files of checks"]


def test_values_are_read_as_they_are_written(declared: Callable[[str], Declared]) -> None:
    checks = declared(
        f"""{_HEAD}
    columns:
      - name: country
        tests: [accepted_values: {{values: [NO, "1", 1, 1.10, true, "null"]}}]
"""
    )
    claim = checks.questions[0].claim
    assert str(claim) == (
        "AcceptedValues(column='country', values=('NO', '1', 1, Decimal('1.10'), True, 'null'))"
    )


def test_a_check_is_named_and_told_from_its_test(declared: Callable[[str], Declared]) -> None:
    checks = declared(
        f"""{_HEAD}
    each: invoice
    columns:
      - name: currency
        description: ISO 4217.
        tests:
          - not_null
          - unique: {{where: total > 0}}
          - matches: {{pattern: "^[A-Z]+$", name: looks_right, description: Currencies look right.}}
"""
    )
    assert [(question.name, question.sentence()) for question in checks.questions] == [
        (
            "invoices_currency_not_null",
            "The `currency` of each invoice is filled in. `currency`: ISO 4217.",
        ),
        (
            "invoices_currency_unique",
            "The `currency` of each invoice occurs once, where `total > 0`. `currency`: ISO 4217.",
        ),
        ("looks_right", "Currencies look right."),
    ]


def test_unparsed_sql_is_refused_when_it_is_asked(write: Callable[..., Path]) -> None:
    folder = write(f"{_HEAD}    tests: [{{expression: {{name: x, that: total}}}}]\n")
    question = read_folder(folder, parse_sql=False).questions[0]
    with pytest.raises(ValueError, match="is not true or false"):
        question.sql("2026-10", by_period=True)


def test_every_kind_of_test_can_be_declared_with_every_option_it_has(
    declared: Callable[[str], Declared],
) -> None:
    checks = declared(
        f"""{_HEAD}
    tests:
      - unique_combination: {{columns: [a, b], severity: warn}}
      - expression: {{that: a > 0, name: positive, blocking: true}}
      - not_empty
      - total_equals: {{total: t, key: k, lines: billing.invoices, lines_key: i, amount: a, tolerance: "0.01"}}
      - proven: {{proofs: billing.invoices, of: t, key: k, amounts: [a, b]}}
    columns:
      - name: a
        tests:
          - not_null
          - unique
          - accepted_values: {{values: [1]}}
          - matches: {{pattern: x}}
          - not_negative
          - between: {{min: 1, max: 2}}
          - relationships: {{to: billing.invoices, field: a, any_period: true}}
"""
    )
    assert {question.claim.kind for question in checks.questions} == {*TABLE_CLAIMS, *COLUMN_CLAIMS}
