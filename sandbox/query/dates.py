"""Dates as SuiteQL's tables hold them (`YYYY-MM-DD HH:MM:SS`, account time zone) and Oracle's format models."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache

_STORED = "%Y-%m-%d %H:%M:%S"
_TOKENS = re.compile(
    r'"[^"]*"|YYYY|YYY|YY|RRRR|RR|MONTH|MON|MM|DDD|DD|DAY|DY|D|HH24|HH12|HH|MI|SSSSS|SS|X?FF\d?|AM|PM|A\.M\.|P\.M\.|WW|IW|Q|[^A-Za-z]|[A-Za-z]+',
    re.IGNORECASE,
)


class FormatError(ValueError):
    """A format model, or a text under it, that Oracle would refuse."""


def parse_stored(text: str) -> datetime:
    return datetime.fromisoformat(text)


def stored(moment: datetime) -> str:
    return moment.strftime(_STORED)


@lru_cache(maxsize=512)
def _tokens(model: str) -> tuple[str, ...]:
    return tuple(_TOKENS.findall(model.removeprefix("FM").removeprefix("fm")))


def _cased(token: str, name: str) -> str:
    return name.upper() if token.isupper() else name.lower() if token.islower() else name


_PRINTERS: dict[str, Callable[[datetime, str], str]] = {
    "YYYY": lambda d, t: f"{d.year:04d}",
    "RRRR": lambda d, t: f"{d.year:04d}",
    "YYY": lambda d, t: f"{d.year % 1000:03d}",
    "YY": lambda d, t: f"{d.year % 100:02d}",
    "RR": lambda d, t: f"{d.year % 100:02d}",
    "MONTH": lambda d, t: _cased(t, calendar.month_name[d.month]).ljust(9),
    "MON": lambda d, t: _cased(t, calendar.month_abbr[d.month]),
    "MM": lambda d, t: f"{d.month:02d}",
    "DDD": lambda d, t: f"{d.timetuple().tm_yday:03d}",
    "DD": lambda d, t: f"{d.day:02d}",
    "DAY": lambda d, t: _cased(t, calendar.day_name[d.weekday()]).ljust(9),
    "DY": lambda d, t: _cased(t, calendar.day_abbr[d.weekday()]),
    "D": lambda d, t: str(d.isoweekday() % 7 + 1),
    "HH24": lambda d, t: f"{d.hour:02d}",
    "HH12": lambda d, t: f"{(d.hour + 11) % 12 + 1:02d}",
    "HH": lambda d, t: f"{(d.hour + 11) % 12 + 1:02d}",
    "MI": lambda d, t: f"{d.minute:02d}",
    "SS": lambda d, t: f"{d.second:02d}",
    "SSSSS": lambda d, t: f"{d.hour * 3600 + d.minute * 60 + d.second:05d}",
    "AM": lambda d, t: "AM" if d.hour < 12 else "PM",
    "PM": lambda d, t: "AM" if d.hour < 12 else "PM",
    "A.M.": lambda d, t: "A.M." if d.hour < 12 else "P.M.",
    "P.M.": lambda d, t: "A.M." if d.hour < 12 else "P.M.",
    "WW": lambda d, t: f"{(d.timetuple().tm_yday - 1) // 7 + 1:02d}",
    "IW": lambda d, t: f"{d.isocalendar().week:02d}",
    "Q": lambda d, t: str((d.month + 2) // 3),
}


def to_char(text: str, model: str) -> str:
    """Print a stored date under an Oracle format model; raises `FormatError`."""
    moment = parse_stored(text)
    parts: list[str] = []
    for token in _tokens(model):
        printer = _PRINTERS.get(token.upper())
        if printer is not None:
            parts.append(printer(moment, token))
        elif re.fullmatch(r"X?FF\d?", token, re.IGNORECASE):
            parts.append(".000" if token[0] in "Xx" else "000")
        elif token.startswith('"'):
            parts.append(token[1:-1])
        elif token.isalpha() and token.upper() != "T":
            raise FormatError(f"format {model!r}: {token!r}")
        else:
            parts.append(token)
    return "".join(parts)


_PLACES = {"YYYY": (1, 4), "MM": (6, 2), "DD": (9, 2), "HH24": (12, 2), "MI": (15, 2), "SS": (18, 2)}
_WHOLE = {"YYYY-MM": (1, 7), "YYYY-MM-DD": (1, 10), "YYYY-MM-DD HH24:MI:SS": (1, 19)}


def slices(model: str) -> list[tuple[int, int] | str] | None:
    """A model of plain digits as places (from 1) and lengths in a stored date, and signs between; None for another."""
    whole = _WHOLE.get(model.upper())
    if whole is not None:
        return [whole]
    parts: list[tuple[int, int] | str] = []
    for token in _tokens(model):
        place = _PLACES.get(token.upper())
        if place is None and token not in "-/.: ":
            return None
        parts.append(place or token)
    return parts or None


_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_FULL_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_name) if name}
_READERS = {
    "YYYY": r"(?P<year>\d{4})",
    "RRRR": r"(?P<year>\d{2,4})",
    "YY": r"(?P<short>\d{2})",
    "RR": r"(?P<short>\d{2})",
    "MM": r"(?P<month>\d{1,2})",
    "MON": r"(?P<mon>[A-Za-z]{3})",
    "MONTH": r"(?P<full>[A-Za-z]+)",
    "DD": r"(?P<day>\d{1,2})",
    "HH24": r"(?P<hour>\d{1,2})",
    "HH12": r"(?P<half>\d{1,2})",
    "HH": r"(?P<half>\d{1,2})",
    "MI": r"(?P<minute>\d{1,2})",
    "SS": r"(?P<second>\d{1,2})",
    "AM": r"(?P<noon>[AaPp][Mm])",
    "PM": r"(?P<noon>[AaPp][Mm])",
}


@lru_cache(maxsize=512)
def _reader(model: str) -> re.Pattern[str]:
    parts: list[str] = []
    for token in _tokens(model):
        if token.upper() in _READERS:
            parts.append(_READERS[token.upper()])
        elif re.fullmatch(r"X?FF\d?", token, re.IGNORECASE):
            parts.append(r"\.?\d*" if token[0] in "Xx" else r"\d*")
        elif token.startswith('"'):
            parts.append(re.escape(token[1:-1]))
        elif token.isalpha():
            raise FormatError(f"format {model!r}: {token!r}")
        else:
            parts.append(r"\s*" if token.isspace() else r"[^\w\s]?")
    # Oracle lets the trailing parts of a text be missing.
    pattern = parts[0] if parts else ""
    for part in parts[1:]:
        pattern += f"(?:{part}"
    return re.compile(pattern + ")?" * max(len(parts) - 1, 0))


def to_date(text: str, model: str) -> str:
    """Read a text under an Oracle format model; raises `FormatError`."""
    match = _reader(model).fullmatch(text.strip())
    if match is None:
        raise FormatError(f"{text!r} does not fit the format {model!r}")
    found = {name: value for name, value in match.groupdict().items() if value is not None}
    try:
        return stored(_moment(found))
    except (ValueError, KeyError) as error:
        raise FormatError(f"{text!r} is no date under the format {model!r}") from error


def _moment(found: dict[str, str]) -> datetime:
    now = datetime.now()  # noqa: DTZ005 Oracle takes the missing year and month from the present
    year = int(found.get("year", found.get("short", now.year)))
    if "short" in found or year < 100:
        year = year % 100 + (2000 if year % 100 < 50 else 1900)
    if "mon" in found:
        month = _MONTHS[found["mon"].upper()]
    elif "full" in found:
        month = _FULL_MONTHS[found["full"].upper()]
    else:
        month = int(found.get("month", now.month if "year" not in found else 1))
    hour = int(found.get("hour", 0))
    if "half" in found:
        hour = int(found["half"]) % 12 + (12 if found.get("noon", "AM").upper() == "PM" else 0)
    return datetime(  # noqa: DTZ001 account time
        year, month, int(found.get("day", 1)), hour, int(found.get("minute", 0)), int(found.get("second", 0))
    )


def add_days(text: str, days: float) -> str:
    return stored(parse_stored(text) + timedelta(seconds=round(days * 86400)))


def days_between(left: str, right: str) -> float:
    return (parse_stored(left) - parse_stored(right)).total_seconds() / 86400


def add_months(text: str, months: float) -> str:
    moment = parse_stored(text)
    last = moment.day == calendar.monthrange(moment.year, moment.month)[1]
    position = moment.year * 12 + moment.month - 1 + int(months)
    year, month = divmod(position, 12)
    end = calendar.monthrange(year, month + 1)[1]
    return stored(moment.replace(year=year, month=month + 1, day=end if last else min(moment.day, end)))


def last_day(text: str) -> str:
    moment = parse_stored(text)
    return stored(moment.replace(day=calendar.monthrange(moment.year, moment.month)[1]))


def months_between(left: str, right: str) -> float:
    a, b = parse_stored(left), parse_stored(right)
    whole = (a.year - b.year) * 12 + a.month - b.month
    ends = all(d.day == calendar.monthrange(d.year, d.month)[1] for d in (a, b))
    if a.day == b.day or ends:
        return whole
    seconds = (
        (a.day - b.day) * 86400 + (a.hour - b.hour) * 3600 + (a.minute - b.minute) * 60 + a.second - b.second
    )
    return whole + seconds / 86400 / 31


def next_day(text: str, name: str) -> str:
    names = [n.upper()[:3] for n in calendar.day_name]
    if name.upper()[:3] not in names:
        raise FormatError(f"{name!r} is no day of the week")
    moment = parse_stored(text)
    ahead = (names.index(name.upper()[:3]) - moment.weekday() - 1) % 7 + 1
    return stored(moment + timedelta(days=ahead))


def truncate(text: str, unit: str) -> str:
    moment = parse_stored(text).replace(hour=0, minute=0, second=0)
    unit = unit.upper()
    if unit in ("MM", "MON", "MONTH", "RM"):
        return stored(moment.replace(day=1))
    if unit in ("Q",):
        return stored(moment.replace(month=(moment.month - 1) // 3 * 3 + 1, day=1))
    if unit in ("YYYY", "YEAR", "YY", "SYYYY", "Y"):
        return stored(moment.replace(month=1, day=1))
    if unit in ("IW",):
        return stored(moment - timedelta(days=moment.weekday()))
    if unit in ("D", "DAY", "DY"):
        return stored(moment - timedelta(days=moment.isoweekday() % 7))
    if unit in ("DD", "DDD", "J"):
        return stored(moment)
    raise FormatError(f"{unit!r} is no unit to truncate a date to")
