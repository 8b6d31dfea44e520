"""Values of a YAML file, read with the line that each stands in.

Here: typed reading of mappings, lists and scalars, collecting every mistake with its file and line. Not here: what
the keys mean (`declared.py`). Numbers are exact decimals, and only `true` and `false` are booleans.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import yaml

from dbt_like_checks.claims import Scalar
from dbt_like_checks.questions import nearest

# The loader that takes every scalar for text: what it is instead is decided here, by what is wanted.
_LOADER: Final[Any] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_NULLS: Final = ("", "~", "null", "Null", "NULL")
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+")


@dataclass(frozen=True, order=True)
class Mistake:
    """One mistake in a file of checks, in one sentence."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class DeclarationError(Exception):
    """The checks cannot be used as they are written: every mistake found, in the order of the text."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = sorted(set(mistakes))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


@dataclass
class YamlFile:
    """One file as people name it, and the mistakes found in it so far.

    The reading methods take a node and a name for it (`what`) and give None for a value that is wrong, once they
    have noted why.
    """

    name: str
    mistakes: list[Mistake] = field(default_factory=list)

    def root(self, path: Path) -> yaml.Node | None:
        """The document of the file; None when it cannot be read."""
        try:
            document = yaml.compose(path.read_text(encoding="utf-8"), Loader=_LOADER)
        except UnicodeDecodeError:
            self._note(1, "the file is not UTF-8 text")
            return None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
            said = getattr(error, "problem", None) or str(error)
            self._note(mark.line + 1 if mark else 1, f"not valid YAML: {said}")
            return None
        if document is None:
            self._note(1, "the file is empty")
        return document

    def line(self, node: yaml.Node) -> int:
        return int(node.start_mark.line) + 1

    def place(self, node: yaml.Node) -> str:
        return f"{self.name}:{self.line(node)}"

    def wrong(self, node: yaml.Node, message: str) -> None:
        self._note(self.line(node), message)

    def _note(self, line: int, message: str) -> None:
        self.mistakes.append(Mistake(self.name, line, message))

    def mapping(
        self, node: yaml.Node, what: str, allowed: Iterable[str], required: Iterable[str] = ()
    ) -> dict[str, yaml.Node] | None:
        """Key to value, without keys that are unknown or repeated."""
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, f"{what} is a mapping of keys to values")
            return None
        known = list(allowed)
        entries: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = str(key_node.value)
            if key not in known:
                guess = nearest(key, known)
                self.wrong(key_node, f"{what} has no key {key!r}.{guess} There are: {', '.join(known)}.")
            elif key in entries:
                self.wrong(key_node, f"{key!r} is given twice")
            else:
                entries[key] = value
        absent = [key for key in required if key not in entries]
        if absent:
            self.wrong(node, f"{what} lacks {', '.join(absent)}")
            return None
        return entries

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """The items of a list that has at least one."""
        if isinstance(node, yaml.SequenceNode) and node.value:
            return list(node.value)
        self.wrong(node, f"{what} is a list of at least one")
        return []

    def text(self, node: yaml.Node, what: str) -> str | None:
        value = node.value.strip() if isinstance(node, yaml.ScalarNode) else ""
        if value and (_quoted(node) or value not in _NULLS):
            return str(node.value)
        self.wrong(node, f"{what} is a text")
        return None

    def texts(self, node: yaml.Node, what: str) -> tuple[str, ...] | None:
        found = [self.text(item, f"each of {what}") for item in self.items(node, what)]
        return tuple(value for value in found if value is not None) or None

    def flag(self, node: yaml.Node, what: str) -> bool | None:
        value = self.scalar(node, what)
        if value is None or isinstance(value, bool):
            return value
        self.wrong(node, f"{what} is true or false")
        return None

    def scalar(self, node: yaml.Node, what: str) -> Scalar | None:
        text = self.text(node, what)
        if text is None or _quoted(node):
            return text
        if text in ("true", "false"):
            return text == "true"
        if _INTEGER.fullmatch(text):
            return int(text)
        return Decimal(text) if _DECIMAL.fullmatch(text) else text

    def scalars(self, node: yaml.Node, what: str) -> tuple[Scalar, ...] | None:
        found = [self.scalar(item, f"each of {what}") for item in self.items(node, what)]
        return tuple(value for value in found if value is not None) or None

    def number(self, node: yaml.Node, what: str) -> Decimal | None:
        text = self.text(node, what)
        if text is None:
            return None
        if _INTEGER.fullmatch(text) or _DECIMAL.fullmatch(text):
            return Decimal(text)
        self.wrong(node, f"{what} is a number, for instance 0.01")
        return None


def _quoted(node: yaml.Node) -> bool:
    """Text whatever it looks like."""
    return getattr(node, "style", None) in ("'", '"', "|", ">")
