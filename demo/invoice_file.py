"""Real invoices from a CSV file of invoice lines, in the layout of the public *Online Retail* data set.

Here: reading the file whole, checking every line of it, and making documents of its lines. Not here: where the
documents go. Nothing is returned unless the whole file is good.

A document whose number begins with C is a cancellation and becomes a credit note, with what it gives back as
positive amounts. A document without a customer stays without one. All amounts are pounds sterling.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path

from demo.documents import Billing, Customer, Document, Line, rounded

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)
CURRENCY = "GBP"

_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?: \d{1,2}:\d{2}(?::\d{2})?)?")


class InvoiceFileError(Exception):
    """An invoice file that cannot be taken: which file, line and column, what is wrong, and the mend."""

    def __init__(
        self, file: Path, problem: str, mend: str, *, line: int | None = None, column: str | None = None
    ) -> None:
        self.file = file
        self.problem = problem
        self.mend = mend
        self.line = line
        self.column = column
        place = f"{file}" + (f", line {line}" if line else "") + (f", column {column}" if column else "")
        super().__init__(f"{place}: {problem} {mend}")


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the file, checked."""

    line: int
    document: str
    stock_code: str
    description: str | None
    quantity: Decimal
    issued_on: date
    unit_price: Decimal
    customer: str | None
    country: str | None


def read_invoice_file(path: Path) -> Billing:
    """The documents of the file, in its order; raises `InvoiceFileError` at the first line that is not good."""
    rows = list(_rows(path))
    if not rows:
        raise InvoiceFileError(
            path, "the file has a header and no lines.", "Export it again with its invoices."
        )
    documents: dict[str, list[_Row]] = {}
    countries: dict[str, str | None] = {}
    for row in rows:
        lines = documents.setdefault(row.document, [])
        if lines:
            _same_document(path, lines[0], row)
        lines.append(row)
        if row.customer:
            countries.setdefault(row.customer, row.country)
    return Billing(
        customers=tuple(_customer(number, country) for number, country in sorted(countries.items())),
        invoices=tuple(
            _invoice(number, lines) for number, lines in documents.items() if not _cancels(number)
        ),
        credit_notes=tuple(
            _credit_note(number, lines) for number, lines in documents.items() if _cancels(number)
        ),
    )


def _cancels(number: str) -> bool:
    return number.upper().startswith("C")


def _customer(number: str, country: str | None) -> Customer:
    name = f"Customer {number} ({country})" if country else f"Customer {number}"
    return Customer(id=number, name=name, currency=CURRENCY, country=country)


def _invoice(number: str, rows: list[_Row]) -> Document:
    return _document(number, rows, sign=1, memo=f"Order {number}")


def _credit_note(number: str, rows: list[_Row]) -> Document:
    return _document(number, rows, sign=-1, memo=f"Cancellation {number}")


def _document(number: str, rows: list[_Row], sign: int, memo: str) -> Document:
    return Document(
        id=number,
        number=number,
        customer_id=rows[0].customer,
        issued_on=rows[0].issued_on,
        currency=CURRENCY,
        memo=memo,
        lines=tuple(
            Line(
                id=f"{number}-{line_no}",
                line_no=line_no,
                product_id=row.stock_code,
                description=row.description,
                quantity=row.quantity * sign,
                unit_amount=row.unit_price,
                amount=rounded(row.quantity * row.unit_price * sign),
            )
            for line_no, row in enumerate(rows, start=1)
        ),
    )


def _same_document(path: Path, first: _Row, row: _Row) -> None:
    for column, was, now in (
        ("CustomerID", first.customer, row.customer),
        ("InvoiceDate", first.issued_on, row.issued_on),
    ):
        if was != now:
            raise InvoiceFileError(
                path,
                f"document {row.document} says {now or 'nothing'} here but {was or 'nothing'} on line {first.line}.",
                "One document has one customer and one date: correct the lines that are wrong.",
                line=row.line,
                column=column,
            )


def _rows(path: Path) -> Iterator[_Row]:
    text = _text(path)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        places = _places(path, header)
        first_line = reader.line_num + 1
        for fields in reader:
            line, first_line = first_line, reader.line_num + 1
            if not fields:
                continue
            if len(fields) != len(header):
                raise InvoiceFileError(
                    path,
                    f"{len(fields)} fields where the header has {len(header)}.",
                    _TRUNCATED
                    if reader.line_num >= text.count("\n")
                    else "Quote fields that contain commas, or export the file again.",
                    line=line,
                )
            yield _row(path, line, {name: fields[place].strip() for name, place in places.items()})
    except csv.Error as error:
        raise InvoiceFileError(path, f"this is not CSV: {error}.", _TRUNCATED, line=reader.line_num) from None
    if not text.endswith("\n"):
        raise InvoiceFileError(
            path,
            "the last line does not end with a line break, so its last field may be cut short.",
            f"{_TRUNCATED} If the file is whole, add the line break.",
            line=reader.line_num,
        )


_TRUNCATED = "The file looks cut short: fetch or export it again."


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InvoiceFileError(path, "there is no such file.", "Check the path.") from None
    except OSError as error:
        raise InvoiceFileError(
            path, f"the file cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from None
    if b"\0" in raw[:4096]:
        raise InvoiceFileError(
            path,
            "this is not a text file (a spreadsheet or UTF-16, perhaps).",
            "Save it as CSV in UTF-8.",
        )
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError as error:
            position = error.start
    raise InvoiceFileError(
        path,
        "a character is neither UTF-8 nor Windows-1252.",
        "Save the file as CSV in UTF-8.",
        line=raw[:position].count(b"\n") + 1,
    )


def _places(path: Path, header: list[str]) -> dict[str, int]:
    names = [name.strip() for name in header]
    for wanted in COLUMNS:
        if names.count(wanted) != 1:
            problem = "is missing" if wanted not in names else "occurs more than once"
            near = get_close_matches(wanted, names, n=1, cutoff=0.7)
            raise InvoiceFileError(
                path,
                f"the column {problem}. The header has: {', '.join(names) or 'nothing'}.",
                f"Rename '{near[0]}' to '{wanted}'."
                if near and wanted not in names
                else f"The file needs the columns {', '.join(COLUMNS)}, separated by commas.",
                line=1,
                column=wanted,
            )
    return {name: names.index(name) for name in COLUMNS}


def _row(path: Path, line: int, fields: dict[str, str]) -> _Row:
    for column in ("InvoiceNo", "StockCode"):
        if not fields[column]:
            raise InvoiceFileError(
                path, "the field is empty.", "Every line needs it: fill it in.", line=line, column=column
            )
    return _Row(
        line=line,
        document=fields["InvoiceNo"],
        stock_code=fields["StockCode"],
        description=fields["Description"] or None,
        quantity=_number(path, line, "Quantity", fields["Quantity"]),
        issued_on=_date(path, line, fields["InvoiceDate"]),
        unit_price=_number(path, line, "UnitPrice", fields["UnitPrice"]),
        customer=fields["CustomerID"] or None,
        country=fields["Country"] or None,
    )


def _number(path: Path, line: int, column: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or "_" in text:
        raise InvoiceFileError(
            path,
            f"'{text}' is not a number.",
            "Write digits with a decimal point and without thousands separators.",
            line=line,
            column=column,
        )
    return number


def _date(path: Path, line: int, text: str) -> date:
    match = _DATE.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        day, month, year = (int(part) for part in match.groups())
        return date(year, month, day)
    except ValueError:
        raise InvoiceFileError(
            path,
            f"'{text}' is not a date.",
            "Dates are day/month/year, such as 31/12/2010.",
            line=line,
            column="InvoiceDate",
        ) from None
