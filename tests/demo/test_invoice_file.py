"""An invoice file is read whole and to the penny, or refused with the line, the column and the mend."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.documents import Facts
from demo.invoice_file import InvoiceFileError, read_invoice_file

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "online-retail-2010-12.csv"
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
GOOD = [
    HEADER,
    "536365,85123A,HEART HOLDER,6,1/12/2010,2.55,17850,United Kingdom",
    "536365,71053,,2,1/12/2010,3.39,17850,United Kingdom",
    'C536379,D,"Discount, all",-1,31/12/2010,27.50,14527,EIRE',
    "536414,22139,,56,1/12/2010,0,,United Kingdom",
]


def file(folder: Path, lines: list[str], encoding: str = "utf-8", end: str = "\r\n") -> Path:
    path = folder / "invoices.csv"
    path.write_bytes((end.join(lines) + end).encode(encoding))
    return path


def test_the_real_file_has_its_known_figures() -> None:
    if not REAL.exists():
        pytest.skip("the real invoice file is not on this machine")
    billing = read_invoice_file(REAL)
    with_customer = [invoice for invoice in billing.invoices if invoice.customer_id]
    without = [invoice for invoice in billing.invoices if not invoice.customer_id]
    assert Facts.of(with_customer) == Facts(401, 7608, Decimal("148198.33"))
    assert Facts.of(billing.credit_notes) == Facts(43, 100, Decimal("3580.58"))
    assert Facts.of(without) == Facts(68, 2291, Decimal("36041.50"))
    assert len(billing.customers) == 323


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_good_file_becomes_documents(tmp_path: Path, encoding: str, end: str) -> None:
    lines = [line.replace("HEART", "CAFÉ £5") for line in GOOD]
    billing = read_invoice_file(file(tmp_path, lines, encoding, end))
    first, without = billing.invoices
    (note,) = billing.credit_notes
    assert (first.number, first.customer_id, first.issued_on, first.currency, first.total) == (
        "536365",
        "17850",
        date(2010, 12, 1),
        "GBP",
        Decimal("22.08"),
    )
    assert [(line.line_no, line.product_id, line.description) for line in first.lines] == [
        (1, "85123A", "CAFÉ £5 HOLDER"),
        (2, "71053", None),
    ]
    assert (without.number, without.customer_id, without.total) == ("536414", None, Decimal("0.00"))
    assert (note.number, note.issued_on, note.total) == ("C536379", date(2010, 12, 31), Decimal("27.50"))
    assert (note.lines[0].quantity, note.lines[0].unit_amount) == (Decimal(1), Decimal("27.50"))
    assert [(customer.id, customer.name) for customer in billing.customers] == [
        ("14527", "Customer 14527 (EIRE)"),
        ("17850", "Customer 17850 (United Kingdom)"),
    ]


@pytest.mark.parametrize(
    ("number", "replacement", "line", "column", "words"),
    [
        (0, HEADER.replace("UnitPrice", "Price"), 1, "UnitPrice", "is missing. The header has: InvoiceNo,"),
        (
            0,
            HEADER.replace("CustomerID", "Customer ID"),
            1,
            "CustomerID",
            "Rename 'Customer ID' to 'CustomerID'",
        ),
        (0, HEADER.replace("Country", "Quantity"), 1, "Quantity", "occurs more than once"),
        (0, HEADER.replace(",", ";"), 1, "InvoiceNo", "separated by commas"),
        (1, "536365,85123A,X,six,1/12/2010,2.55,17850,UK", 2, "Quantity", "'six' is not a number"),
        (1, '536365,85123A,X,6,1/12/2010,"2,55",17850,UK', 2, "UnitPrice", "'2,55' is not a number"),
        (1, "536365,85123A,X,6,1/12/2010,NaN,17850,UK", 2, "UnitPrice", "'NaN' is not a number"),
        (1, "536365,85123A,X,6,12/31/2010,2.55,17850,UK", 2, "InvoiceDate", "Dates are day/month/year"),
        (1, "536365,85123A,X,6,2010-12-01,2.55,17850,UK", 2, "InvoiceDate", "'2010-12-01' is not a date"),
        (1, "536365,85123A,X,6,,2.55,17850,UK", 2, "InvoiceDate", "'' is not a date"),
        (1, ",85123A,X,6,1/12/2010,2.55,17850,UK", 2, "InvoiceNo", "is empty"),
        (1, "536365,,X,6,1/12/2010,2.55,17850,UK", 2, "StockCode", "is empty"),
        (1, "536365,85123A,X, Y,6,1/12/2010,2.55,17850,UK", 2, None, "9 fields where the header has 8"),
        (1, '536365,85123A,"X" Y,6,1/12/2010,2.55,17850,UK', 2, None, "not CSV"),
        (
            2,
            "536365,71053,X,2,1/12/2010,3.39,17851,UK",
            3,
            "CustomerID",
            "says 17851 here but 17850 on line 2",
        ),
        (2, "536365,71053,X,2,1/12/2010,3.39,,UK", 3, "CustomerID", "says nothing here but 17850 on line 2"),
        (
            2,
            "536365,71053,X,2,2/12/2010,3.39,17850,UK",
            3,
            "InvoiceDate",
            "2010-12-02 here but 2010-12-01 on line 2",
        ),
        (4, "536414,22139,,56,1/12/20", 5, None, "cut short"),
        (4, '536414,22139,"Blue', 5, None, "cut short"),
    ],
)
def test_a_bad_line_is_refused_with_its_place_and_the_mend(
    tmp_path: Path, number: int, replacement: str, line: int, column: str | None, words: str
) -> None:
    lines = [*GOOD]
    lines[number] = replacement
    path = file(tmp_path, lines)
    with pytest.raises(InvoiceFileError) as refused:
        read_invoice_file(path)
    assert words in str(refused.value)
    assert str(path) in str(refused.value)
    assert (refused.value.line, refused.value.column) == (line, column)


def test_line_numbers_count_the_lines_of_the_file_not_the_records(tmp_path: Path) -> None:
    lines = [*GOOD[:2], '536366,A,"two\nlines",1,1/12/2010,1,17850,UK', "536367,B,X,?,1/12/2010,1,17850,UK"]
    with pytest.raises(InvoiceFileError) as refused:
        read_invoice_file(file(tmp_path, lines, end="\n"))
    assert refused.value.line == 5


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, len("\r\n".join(GOOD)) + 1))
def test_a_file_cut_anywhere_but_between_two_documents_lines_is_refused(tmp_path: Path, size: int) -> None:
    whole = file(tmp_path, GOOD).read_bytes()
    path = tmp_path / "cut.csv"
    path.write_bytes(whole[:size])
    ends_a_line = whole[:size].endswith(b"\r\n") and size > len(HEADER) + 2
    if ends_a_line:
        read_invoice_file(path)
    else:
        with pytest.raises(InvoiceFileError):
            read_invoice_file(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the column is missing. The header has: nothing."),
        (HEADER.encode() + b"\r\n", "a header and no lines"),
        (b"PK\x03\x04\0\0\0\0 spreadsheet", "not a text file"),
        ("InvoiceNo,StockCode\r\n".encode("utf-16"), "not a text file"),
        (HEADER.encode() + b"\r\n1,A,\x81,1,1/12/2010,1,,UK\r\n", "neither UTF-8 nor Windows-1252"),
    ],
)
def test_what_is_not_such_a_file_is_said_so(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "invoices.csv"
    path.write_bytes(content)
    with pytest.raises(InvoiceFileError, match=words):
        read_invoice_file(path)


def test_a_missing_file_and_a_folder_are_said_so(tmp_path: Path) -> None:
    with pytest.raises(InvoiceFileError, match="there is no such file"):
        read_invoice_file(tmp_path / "none.csv")
    with pytest.raises(InvoiceFileError, match="cannot be read"):
        read_invoice_file(tmp_path)
