"""The YAML in which checks are declared, read into questions.

Here: the shape of the files (dbt's: models, columns, tests), and every mistake in them with its file and line and
the nearest right name. Not here: what the tests are (`claims.py`), nor asking them (`questions.py`).

    models:
      - name: billing.invoices        # the table in a tenant's working file
        asset: billing_invoices       # the asset whose materialization it belongs to
        each: invoice                 # what a row is called; default "row of billing.invoices"
        show: [number]                # columns by which people know a row
        optional: true                # it may be absent: the tenant's source does not provide it
        whole: true                   # not divided into months
        tests:
          - unique_combination: {columns: [id, period]}
        columns:
          - name: currency
            tests: [not_null, {matches: {pattern: "^[A-Z]{3}$", severity: warn}}]

Every test takes `severity` (warn or error), `blocking`, `name`, `description` and `where` besides its own options.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any, Final

import yaml

from dbt_like_checks.claims import COLUMN_CLAIMS, TABLE_CLAIMS, Claim, Sql
from dbt_like_checks.questions import Question, Table, nearest
from dbt_like_checks.source import DeclarationError, Mistake, YamlFile

_TABLE: Final = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_NAME: Final = re.compile(r"[A-Za-z0-9_]+")

_MODEL_KEYS: Final = ("name", "asset", "description", "each", "show", "optional", "whole", "tests", "columns")
_COLUMN_KEYS: Final = ("name", "description", "tests")
_COMMON: Final = ("severity", "blocking", "name", "description", "where")

#: How an option is read, by the annotation of the claim's field.
_READERS: Final[Mapping[str, Callable[[YamlFile, yaml.Node, str], Any]]] = {
    "str": YamlFile.text,
    "bool": YamlFile.flag,
    "Decimal": YamlFile.number,
    "Scalar | None": YamlFile.scalar,
    "tuple[str, ...]": YamlFile.texts,
    "tuple[Scalar, ...]": YamlFile.scalars,
    "Sql": lambda file, node, what: _sql(file, node, what),
}


@dataclass(frozen=True)
class Model:
    """One table with the questions asked about it."""

    table: Table
    description: str | None
    place: str
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Declared:
    """All the models of a folder, in the order of file names and lines."""

    models: tuple[Model, ...]

    @property
    def questions(self) -> list[Question]:
        return [question for model in self.models for question in model.questions]

    def by_asset(self) -> dict[str, list[Model]]:
        """The models of each asset, in order."""
        grouped: dict[str, list[Model]] = {}
        for model in self.models:
            grouped.setdefault(model.table.asset, []).append(model)
        return grouped


def read_folder(folder: Path, *, parse_sql: bool = True) -> Declared:
    """The checks that the `*.yaml` files of a folder declare; raises `DeclarationError` with every mistake.

    `parse_sql=False` leaves the SQL of `expression` and `where` unread until it is asked, where the time that its
    parser takes to import matters; such SQL never runs unparsed either way.
    """
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise DeclarationError([Mistake(str(folder), 1, "this folder holds no *.yaml files of checks")])
    mistakes: list[Mistake] = []
    drafts = [draft for path in paths for draft in _drafts(YamlFile(_shown(path), mistakes), path)]
    tables: dict[str, Table] = {}
    for draft in drafts:
        tables.setdefault(draft.table.name, draft.table)
    models = tuple(draft.model(tables) for draft in drafts)
    _distinct_names(models, mistakes)
    if parse_sql:
        for model in models:
            for question in model.questions:
                mistakes.extend(_sql_mistakes(question))
    if mistakes:
        raise DeclarationError(mistakes)
    return Declared(models)


def _shown(path: Path) -> str:
    """The path as people name it: from where they are, when it is below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _drafts(file: YamlFile, path: Path) -> Iterator[_Draft]:
    root = file.root(path)
    top = file.mapping(root, "the file", ("models",), ("models",)) if root is not None else None
    for node in file.items(top["models"], "`models`") if top else ():
        entries = file.mapping(node, "a model", _MODEL_KEYS, ("name", "asset"))
        if entries is None:
            continue
        get = _Entries(file, entries)
        name, asset = get.text("name"), get.text("asset")
        if name is None or asset is None:
            continue
        if not _TABLE.fullmatch(name):
            file.wrong(
                entries["name"], f"{name!r} is no table of the working file; write it as billing.invoices"
            )
            continue
        table = Table(
            name=name,
            asset=asset,
            each=get.text("each") or f"row of {name}",
            show=get.texts("show") or (),
            whole=get.flag("whole") or False,
            optional=get.flag("optional") or False,
        )
        yield _Draft(file, node, entries, table, get.text("description"))


@dataclass(frozen=True)
class _Entries:
    """The values of a mapping by key; None for one that is absent or wrong."""

    file: YamlFile
    nodes: Mapping[str, yaml.Node]

    def text(self, key: str) -> str | None:
        return self.file.text(self.nodes[key], f"`{key}`") if key in self.nodes else None

    def texts(self, key: str) -> tuple[str, ...] | None:
        return self.file.texts(self.nodes[key], f"`{key}`") if key in self.nodes else None

    def flag(self, key: str) -> bool | None:
        return self.file.flag(self.nodes[key], f"`{key}`") if key in self.nodes else None


@dataclass(frozen=True)
class _Draft:
    """A model whose tests wait until the tables of all files are known."""

    file: YamlFile
    node: yaml.Node
    entries: Mapping[str, yaml.Node]
    table: Table
    description: str | None

    def model(self, tables: Mapping[str, Table]) -> Model:
        questions = tuple(self._questions(tables))
        if "tests" not in self.entries and "columns" not in self.entries:
            self.file.wrong(self.node, f"{self.table.name} is declared without a test")
        return Model(self.table, self.description, self.file.place(self.node), questions)

    def _questions(self, tables: Mapping[str, Table]) -> Iterator[Question]:
        for node in self.file.items(self.entries["tests"], "`tests`") if "tests" in self.entries else ():
            yield from self._question(node, tables, None, None)
        columns = self.entries.get("columns")
        for node in self.file.items(columns, "`columns`") if columns is not None else ():
            entries = self.file.mapping(node, "a column", _COLUMN_KEYS, ("name", "tests"))
            if entries is None:
                continue
            get = _Entries(self.file, entries)
            column, about = get.text("name"), get.text("description")
            if column is not None:
                for test in self.file.items(entries["tests"], "`tests`"):
                    yield from self._question(test, tables, column, about)

    def _question(
        self, node: yaml.Node, tables: Mapping[str, Table], column: str | None, about: str | None
    ) -> Iterator[Question]:
        """The question of one test, `not_null` or `{matches: {pattern: …}}`; nothing when it is wrong."""
        before = len(self.file.mistakes)
        kind, options = self._kind(node)
        claims: Mapping[str, type[Claim]] = TABLE_CLAIMS if column is None else COLUMN_CLAIMS
        if kind not in claims:
            self._unknown(node, kind, claims, column)
            return
        claim, common = self._claim(node, claims[kind], options, column)
        if claim is None:
            return
        compared = None
        other = claim.other()
        if other is not None:
            compared = tables.get(other[0])
            if compared is None:
                self.file.wrong(node, f"no model declares the table {other[0]!r}.{nearest(other[0], tables)}")
        get = _Entries(self.file, common)
        severity, blocking = get.text("severity") or "error", get.flag("blocking") or False
        if severity not in ("warn", "error"):
            self.file.wrong(common["severity"], f"`severity` is warn or error, not {severity!r}")
        elif severity == "warn" and blocking:
            self.file.wrong(common["blocking"], "a test that only warns cannot block; drop one of the two")
        name = get.text("name")
        if name is not None and not _NAME.fullmatch(name):
            self.file.wrong(common["name"], f"`name` is letters, digits and underscores, not {name!r}")
        if name is None and kind == "expression":
            self.file.wrong(node, "an expression has a `name`: it is what people see in the UI")
        where = _sql(self.file, common["where"], "`where`") if "where" in common else None
        description = get.text("description")
        if len(self.file.mistakes) > before:
            return
        yield Question(
            name=name or "_".join(filter(None, (self.table.name.split(".")[1], column, kind))),
            table=self.table,
            claim=claim,
            place=self.file.place(node),
            compared=compared,
            where=where,
            severity="warn" if severity == "warn" else "error",
            blocking=blocking,
            description=description,
            about_column=about,
        )

    def _kind(self, node: yaml.Node) -> tuple[str, yaml.Node | None]:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value), None
        if isinstance(node, yaml.MappingNode) and len(node.value) == 1:
            key, options = node.value[0]
            return str(key.value), options
        return "", None

    def _unknown(
        self, node: yaml.Node, kind: str, claims: Mapping[str, type[Claim]], column: str | None
    ) -> None:
        if not kind:
            self.file.wrong(node, "a test is a name, or one name with its options: {matches: {pattern: …}}")
            return
        if kind in TABLE_CLAIMS or kind in COLUMN_CLAIMS:
            place = "the table's own `tests`" if column else "the `tests` of a column"
            self.file.wrong(node, f"{kind} belongs under {place}")
            return
        guess = nearest(kind, claims)
        self.file.wrong(node, f"there is no test {kind!r}.{guess} There are: {', '.join(claims)}.")

    def _claim(
        self, node: yaml.Node, claim: type[Claim], options: yaml.Node | None, column: str | None
    ) -> tuple[Claim | None, Mapping[str, yaml.Node]]:
        """The claim and the options that every test takes; no claim when an option of its own is wrong."""
        own: dict[str, Field[Any]] = {entry.name: entry for entry in fields(claim) if entry.name != "column"}
        required = [
            key for key, entry in own.items() if entry.default is MISSING and entry.default_factory is MISSING
        ]
        entries: dict[str, yaml.Node] | None = {}
        if options is not None:
            entries = self.file.mapping(options, claim.kind, (*own, *_COMMON), required)
        elif required:
            self.file.wrong(node, f"{claim.kind} lacks {', '.join(required)}")
            return None, {}
        if entries is None:
            return None, {}
        values: dict[str, Any] = {} if column is None else {"column": column}
        for key, entry in own.items():
            if key in entries:
                value = _READERS[str(entry.type)](self.file, entries[key], f"`{key}`")
                if value is None:
                    return None, {}
                values[key] = value
        made = claim(**values)
        complaint = made.complaint()
        if complaint is not None:
            self.file.wrong(node, f"{claim.kind}: {complaint}")
        return made, {key: value for key, value in entries.items() if key in _COMMON}


def _sql(file: YamlFile, node: yaml.Node, what: str) -> Sql | None:
    text = file.text(node, what)
    return None if text is None else Sql(text, file.place(node))


def _sql_mistakes(question: Question) -> Iterator[Mistake]:
    from dbt_like_checks.conditions import ConditionError

    for sql in (getattr(question.claim, "that", None), question.where):
        if sql is None:
            continue
        try:
            _ = sql.compiled
        except ConditionError as error:
            file, _, line = sql.place.rpartition(":")
            yield Mistake(file, int(line), str(error))


def _distinct_names(models: tuple[Model, ...], mistakes: list[Mistake]) -> None:
    """Dagster knows a check by its asset and name, so an asset cannot have two of one name."""
    first: dict[tuple[str, str], Question] = {}
    for model in models:
        for question in model.questions:
            earlier = first.setdefault((question.table.asset, question.name), question)
            if earlier is not question:
                file, _, line = question.place.rpartition(":")
                mistakes.append(
                    Mistake(
                        file,
                        int(line),
                        f"{question.table.asset} already has a check {question.name!r} ({earlier.place});"
                        " give one of them a `name` of its own",
                    )
                )
