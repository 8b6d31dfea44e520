"""What several sections of a tenant's file are made of: texts, amounts, credentials, URLs and record types.

Here: the base of all its models, and the types of single values with the sentences about what does not fit. Not here:
any section of the file.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictStr

from resources.tenants.source import nearest, shown

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A credential in a tenant's file: the name of the environment variable that holds it."""

RECORD_TYPES = ("customer", "invoice", "creditMemo", "customerPayment", "journalEntry")
"""The standard record types that can be mapped; custom records (`customrecord_x`) can too."""

_CUSTOM_RECORD = r"customrecord_[a-z0-9_]{1,60}"


def as_text(value: Any) -> Any:
    """A scalar as text, so that ids may be written with or without quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | Decimal) else value


def exact_amount(value: Any) -> Any:
    if isinstance(value, bool | float):
        raise ValueError("expected an amount such as 10.00")
    return value


def one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str | int | Decimal) else value


def known_record_type(value: str) -> str:
    if value in RECORD_TYPES or re.fullmatch(_CUSTOM_RECORD, value):
        return value
    hint = nearest(value, RECORD_TYPES) or f"; use {', '.join(RECORD_TYPES)} or customrecord_…"
    raise ValueError(f"unknown record type '{shown(value)}'{hint}")


def _secret(value: str) -> str:
    if not REFERENCE.fullmatch(value):
        raise ValueError(
            "a credential never stands in the file: write ${NAME} and set the environment variable NAME"
        )
    return value


def _url(value: str) -> str:
    if "${" in REFERENCE.sub("", value):
        raise ValueError("a reference to the environment is written ${NAME}")
    try:
        parts = urlsplit(value)
        given = [
            parts.password or "",
            *(secret for name, secret in parse_qsl(parts.query) if name == "password"),
        ]
    except ValueError:
        raise ValueError("this is not a URL") from None
    if any(secret and not REFERENCE.fullmatch(secret) for secret in given):
        raise ValueError(
            "a password never stands in the file: write ${NAME} and set the environment variable NAME"
        )
    return value


Text = Annotated[StrictStr, BeforeValidator(as_text, json_schema_input_type=str | int | float | bool)]
Texts = Annotated[
    list[Text], BeforeValidator(one_or_many, json_schema_input_type=Text | list[Text]), Field(min_length=1)
]
Amount = Annotated[
    Decimal, BeforeValidator(exact_amount), Field(ge=0, max_digits=18, decimal_places=4, allow_inf_nan=False)
]
Secret = Annotated[StrictStr, AfterValidator(_secret)]
Url = Annotated[StrictStr, AfterValidator(_url)]


class Settings(BaseModel):
    """The base of all: no unknown key, no change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)
