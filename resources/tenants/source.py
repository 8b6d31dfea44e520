"""YAML text as a tree in which every value knows its file, line and column.

Here: reading one document safely, merging a document over its base, and the errors that point into them.
Not here: what the keys mean (`models.py`) or where the files are (`registry.py`).

The tree is built from the parser's events, not by PyYAML's constructors: nothing in the text can make an object,
nesting and size are bounded, and scalars follow YAML 1.2 (`no` and `010` are text; `1.10` is an exact decimal).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import yaml

Scalar = str | int | Decimal | bool | None

MAX_CHARACTERS: Final = 1_000_000
MAX_DEPTH: Final = 40
MAX_VALUES: Final = 50_000

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG: Final = "tag:yaml.org,2002:"
_PLAIN_TAGS: Final = frozenset(
    f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")
)
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\.[0-9]{1,18}")
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands: a file as people name it, line and column from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a tenant's file, in one sentence."""

    file: str
    line: int
    column: int
    message: str

    @classmethod
    def at(cls, place: Place, message: str) -> Problem:
        return cls(place.file, place.line, place.column, message)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class TenantError(Exception):
    """A tenant cannot be used as it is written: all the mistakes found, in the order of the text."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: list[Problem] = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands; `key` is where its key stands when it is a mapping's value."""

    value: Scalar | tuple[Node, ...] | Mapping[str, Node]
    place: Place
    key: Place

    def get(self, step: str | int) -> Node | None:
        """The value below, under a key or at an index; None when there is none."""
        if isinstance(self.value, Mapping):
            return self.value.get(str(step))
        if isinstance(self.value, tuple) and isinstance(step, int) and 0 <= step < len(self.value):
            return self.value[step]
        return None

    def plain(self) -> Any:
        """The value as dict, list and scalars."""
        if isinstance(self.value, Mapping):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value


def nearest(name: str, among: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the right name most like `name`, or nothing."""
    by_lower = {known.lower(): known for known in among}
    close = difflib.get_close_matches(name[:100].lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean '{by_lower[close[0]]}'?" if close else ""


def shown(text: str, limit: int = 60) -> str:
    """Text from a file as an error shows it: on one line, printable, not too long."""
    line = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def decode(data: bytes, file: str) -> str:
    """The text of a file's bytes; raises `TenantError` at the first byte that is not UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line_start = before.rfind(b"\n") + 1
        column = len(before[line_start:].decode("utf-8", "replace")) + 1
        place = Place(file, before.count(b"\n") + 1, column)
        raise TenantError(
            [Problem.at(place, "the file is not UTF-8 text; save it with that encoding")]
        ) from None


def read_document(text: str, file: str) -> Node:
    """The one YAML mapping that `text` holds; raises `TenantError` with every mistake that could be found."""
    if len(text) > MAX_CHARACTERS:
        raise TenantError(
            [
                Problem(
                    file,
                    1,
                    1,
                    f"the file has {len(text):,} characters; a tenant's file has at most {MAX_CHARACTERS:,}",
                )
            ]
        )
    strange = _CONTROL.search(text.replace("\r\n", "\n"))
    if strange is not None:
        before = text.replace("\r\n", "\n")[: strange.start()]
        place = Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise TenantError(
            [Problem.at(place, f"the character U+{ord(strange[0]):04X} cannot be part of a tenant's file")]
        )
    return _Reader(text, file).read()


class _Reader:
    """Builds the tree of one document from the parser's events."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.text = text
        self.problems: list[Problem] = []
        self.values = 0
        self.anchors: dict[str, tuple[Node, int] | None] = {}
        self.events: Iterator[Any] = iter(())

    def read(self) -> Node:
        try:
            self.events = iter(yaml.parse(self.text, Loader=_LOADER))
            root = self._document()
        except yaml.YAMLError as error:
            self.problems.append(self._syntax(error))
            raise TenantError(self.problems) from None
        if root is None:
            self.problems.append(Problem(self.file, 1, 1, "the file is empty"))
        elif not isinstance(root.value, Mapping):
            self.problems.append(Problem.at(root.place, "a tenant's file is a mapping of keys to values"))
        if self.problems or root is None:
            raise TenantError(self.problems)
        return root

    def _document(self) -> Node | None:
        root: Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                self._problem(event, "a second document begins here; a tenant's file holds one")
                return root
            if isinstance(event, yaml.NodeEvent):
                root = self._node(event, 1)
        return root

    def _node(self, event: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self._fail(event, f"nested more than {MAX_DEPTH} levels deep")
        place = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, place)
        self._count(event, 1)
        if event.tag is not None and event.tag not in _PLAIN_TAGS:
            name = event.tag.removeprefix(_TAG) if event.tag.startswith(_TAG) else event.tag
            self._problem(
                event,
                f"the tag '{shown(name)}' is not allowed; use plain text, numbers, true, false, lists and mappings",
            )
        before = self.values
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        value: Scalar | tuple[Node, ...] | Mapping[str, Node]
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = tuple(self._items(depth))
        else:
            value = self._entries(depth)
        node = Node(value, place, place)
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, self.values - before + 1)
        return node

    def _alias(self, event: Any, place: Place) -> Node:
        if event.anchor not in self.anchors:
            self._problem(event, f"'*{shown(event.anchor)}' refers to an anchor that is not defined above it")
            return Node(None, place, place)
        found = self.anchors[event.anchor]
        if found is None:
            self._problem(event, f"'*{shown(event.anchor)}' stands inside of what it refers to")
            return Node(None, place, place)
        node, size = found
        self._count(event, size)
        return node

    def _items(self, depth: int) -> Iterator[Node]:
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                return
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> Mapping[str, Node]:
        entries: dict[str, Node] = {}
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, depth)
            value = self._node(next(self.events), depth + 1)
            if key is None:
                continue
            if key in entries:
                first = entries[key].key.line
                self._problem(event, f"the key '{shown(key)}' is given twice; first in line {first}")
                continue
            entries[key] = Node(value.value, value.place, self._place(event))
        return entries

    def _key(self, event: Any, depth: int) -> str | None:
        """A key's own text, whatever it would mean as a value: `no` and `1` stay as written."""
        if not isinstance(event, yaml.ScalarEvent):
            self._problem(event, "a key must be plain text")
            self._node(event, depth + 1)
            return None
        if not event.style and event.value == "<<":
            self._problem(
                event,
                "merge keys ('<<') are not used here; put what is shared into a base file and name it with 'extends'",
            )
            return None
        self._count(event, 1)
        self._check_text(event)
        if event.value == "":
            self._problem(event, "there is no key before the ':'")
            return None
        return str(event.value)

    def _scalar(self, event: Any) -> Scalar:
        text = str(event.value)
        self._check_text(event)
        if event.style or event.tag == f"{_TAG}str":
            return text
        if text in ("", "~", "null", "Null", "NULL"):
            return None
        if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
            return text[0] in "tT"
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return Decimal(text)
        return text

    def _check_text(self, event: Any) -> None:
        strange = _CONTROL.search(event.value)
        if strange is not None:
            self._problem(event, f"the character U+{ord(strange[0]):04X} cannot be part of a value")

    def _count(self, event: Any, values: int) -> None:
        self.values += values
        if self.values > MAX_VALUES:
            self._fail(event, f"more than {MAX_VALUES:,} values, repeated anchors included")

    def _place(self, event: Any) -> Place:
        return Place(self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _problem(self, event: Any, message: str) -> None:
        self.problems.append(Problem.at(self._place(event), message))

    def _fail(self, event: Any, message: str) -> None:
        raise TenantError([*self.problems, Problem.at(self._place(event), message)])

    def _syntax(self, error: yaml.YAMLError) -> Problem:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        if mark is None:
            return Problem(self.file, 1, 1, f"not valid YAML: {shown(str(error), 200)}")
        lines = self.text.split("\n")
        line = lines[mark.line] if mark.line < len(lines) else ""
        said = getattr(error, "problem", None) or getattr(error, "context", None) or "cannot be read"
        context = getattr(error, "context", None)
        message = f"not valid YAML: {said}" + (f" ({context})" if context and context != said else "")
        indent = line[: len(line) - len(line.lstrip())]
        if "\t" in indent:
            column = indent.index("\t") + 1
            return Problem(self.file, mark.line + 1, column, "a tab indents this line; YAML wants spaces")
        if line[mark.column : mark.column + 1] in tuple("@`%"):
            message = f"'{line[mark.column]}' cannot begin a value in YAML; put the value in quotes"
        elif "mapping values are not allowed" in said:
            message = "a ':' where none can be: check the indentation, or put the value in quotes"
        return Problem(self.file, mark.line + 1, mark.column + 1, message)


_RULE_SOURCES: Final = ("from", "value", "template", "join", "first_of", "empty")


def merge(base: Node, top: Node, path: tuple[str, ...] = ()) -> Node:
    """`top` laid over `base`: mappings merge key by key, scalars and lists replace, null removes what was inherited.

    A field's rule that names another kind of source (from, value, template, join, …) than the rule it overrides
    replaces that rule whole: half of each would mean neither. The order is the base's, then what is new.
    """
    if not (isinstance(base.value, Mapping) and isinstance(top.value, Mapping)):
        return top
    if _is_rule(path) and _another_source(base.value, top.value):
        return top
    merged = dict(base.value)
    for key, node in top.value.items():
        inherited = merged.get(key)
        merged[key] = node if inherited is None else merge(inherited, node, (*path, key))
    return Node(merged, top.place, top.key)


def without_nulls(node: Node) -> Node:
    """The tree without keys whose value is null: such a key says that there is nothing."""
    if isinstance(node.value, Mapping):
        kept = {key: without_nulls(value) for key, value in node.value.items() if value.value is not None}
        return Node(kept, node.place, node.key)
    if isinstance(node.value, tuple):
        return Node(tuple(without_nulls(value) for value in node.value), node.place, node.key)
    return node


def _is_rule(path: tuple[str, ...]) -> bool:
    """Whether a field's rule stands there: of a record, its lines, a legal entity, or a kind of lines or part of it."""
    return len(path) >= 4 and path[0] == "records" and path[-2] in ("fields", "lines")


def _another_source(base: Mapping[str, Node], top: Mapping[str, Node]) -> bool:
    named = [source for source in _RULE_SOURCES if source in top]
    return bool(named) and not any(source in base for source in named)
