"""The internal ids that an error speaks of, and what people call them.

Here: finding the ids, in NetSuite's words, in what was sent where they point, and in the address (NetSuite REST facts:
error catalogue). Not here: who knows the names; whoever uses the client gives it a ``Names``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from resources.netsuite.records import UnknownField, field, record


class Names(Protocol):
    """Knows what people call a record."""

    def __call__(self, what: str, ref: str) -> str | None:
        """The name of the record with this internal or external id; ``None`` where it is not known.

        ``what`` is a record type or a reference's target (``invoice``, ``item``, ``customrecord_cseg_product``), or a
        custom field's own name where the standard schema does not tell what it points to.
        """


def nobody(what: str, ref: str) -> None:
    """The names of a client that was given none."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request was about: the record type, the internal id if it was addressed by one, and the body sent."""

    record: str = ""
    internal_id: str = ""
    body: bytes = b""
    names: Names = nobody


@dataclass(frozen=True, slots=True)
class Known:
    """An id and its name, under the word by which the error speaks of it (``entity``, ``subsidiary``)."""

    word: str
    ref: str
    name: str

    def __str__(self) -> str:
        return f"{self.word} {self.ref} is {self.name}"


_FIELD_VALUE: Final = re.compile(
    r"Invalid Field Value (?P<ref>\S+) for the following field: (?P<word>\w+(?:\.\w+)*)"
)
_REFERENCE_KEY: Final = re.compile(
    r"Invalid (?P<word>\w+) reference key '?(?P<ref>[^\s']+?)'?(?: for subsidiary (?P<subsidiary>\d+))?(?=[\s.,;]|$)"
)
_WORDS: Final = {
    "customer": "customer", "entity": "customer", "item": "item", "subsidiary": "subsidiary", "account": "account",
    "accounting period": "accountingPeriod", "posting period": "accountingPeriod", "postingperiod": "accountingPeriod",
    "period": "accountingPeriod", "currency": "currency", "terms": "term", "term": "term",
    "department": "department", "class": "classification", "location": "location", "invoice": "invoice",
    "credit memo": "creditMemo", "customer payment": "customerPayment", "payment": "customerPayment",
    "journal entry": "journalEntry", "transaction": "transaction",
}  # fmt: skip
_WORD_AND_ID: Final = re.compile(
    rf"\b(?P<word>{'|'.join(sorted(_WORDS, key=len, reverse=True))})(?:(?: with)?(?: the)?(?: internal)? id)?[ :#]+"
    r"'?(?P<ref>\d+)(?![\w.-]*\d)",
    re.IGNORECASE,
)
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def known(subject: Subject, words: Iterable[str], paths: Iterable[str] = ()) -> tuple[Known, ...]:
    """The ids of which an error speaks and whose names are known, each once, in its order.

    ``words`` are NetSuite's own, ``paths`` point into the body sent.
    """
    found: dict[tuple[str, str], Known] = {}
    for word, what, ref in _spoken_of(subject, words, paths):
        if (what, ref) not in found and (name := subject.names(what, ref)) is not None:
            found[what, ref] = Known(word, ref, name)
    return tuple(found.values())


def _spoken_of(
    subject: Subject, words: Iterable[str], paths: Iterable[str]
) -> Iterator[tuple[str, str, str]]:
    """Each id with the word used for it and what it is an id of."""
    if subject.record and subject.internal_id:
        yield subject.record, subject.record, subject.internal_id
    for text in words:
        for match in _FIELD_VALUE.finditer(text):
            word = match["word"].rpartition(".")[2]
            yield word, _target(subject.record, word), match["ref"].rstrip(".")
        for match in _REFERENCE_KEY.finditer(text):
            yield match["word"], _target(subject.record, match["word"]), match["ref"]
            if match["subsidiary"]:
                yield "subsidiary", "subsidiary", match["subsidiary"]
        for match in _WORD_AND_ID.finditer(text):
            yield match["word"].lower(), _WORDS[match["word"].lower()], match["ref"]
    for path in paths:
        word, ref = _sent_at(subject.body, path)
        if ref is not None:
            yield word, _target(subject.record, word), ref


def _target(record_name: str, word: str) -> str:
    """What a field of the record, or of one of its sublists, points to; else what the word itself stands for."""
    try:
        sublists = record(record_name).sublists
    except UnknownField:
        sublists = {}
    for place in (None, *sublists):
        try:
            target = field(record_name, word, place).target
        except UnknownField:
            continue
        if target is not None:
            return target
    return _WORDS.get(word.lower(), word)


def _sent_at(body: bytes, path: str) -> tuple[str, str | None]:
    """The field at which a path of NetSuite's ends, and the id that was sent there, if it was one."""
    names = [name for name, _ in _STEP.findall(path) if name]
    try:
        value: object = msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:
        value = None
    for name, index in _STEP.findall(path):
        if isinstance(value, dict) and name:
            value = value.get(name)
        elif isinstance(value, list) and index and int(index) < len(value):
            value = value[int(index)]
        else:
            value = None
    if isinstance(value, dict):
        value = value.get("id", value.get("externalId"))
    return names[-1] if names else "", str(value) if isinstance(value, str | int) else None
