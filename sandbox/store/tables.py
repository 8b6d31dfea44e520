"""The tables and columns that SuiteQL sees, by NetSuite's names; custom fields add columns. No SQL, no data.

Column types: id (integer key or reference), int, number, amount (a number, whole in the smallest unit of a currency),
text, date (date or date-time in the account's time zone), bool (`T`/`F`). `name>space` says whose display name `BUILTIN.DF` shows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sandbox.profile import Profile
from sandbox.profile_custom import CustomField

SQL_TYPES = {
    "id": "INTEGER",
    "int": "INTEGER",
    "number": "REAL",
    "amount": "REAL",
    "text": "TEXT",
    "date": "TEXT",
    "bool": "TEXT",
}

BALANCE, OVERDUE = "ns_balance", "ns_overdue"
"""SQL functions of a customer's id, which the query service gives its connection."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    ref: str | None = None
    function: str = ""
    """The SQL function that computes it from the row's id, where it is not stored."""
    hidden_from: tuple[str, ...] = ()
    """Ids of the roles that do not see it."""


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: dict[str, Column]
    permission: str | None
    """What a role needs to see it; a role without it is told that the record was not found."""
    key: str | None = "id"
    indexes: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    """What else no two rows share: columns by name, with commas. None of them is ever NULL."""

    custom: tuple[Column, ...] = ()
    """The columns of the account's own fields and segments; they are among `columns` too."""
    rows_of: str = ""
    """The table whose rows these are, where a table is another name of one."""

    def with_custom(self, column: Column) -> Table:
        return replace(self, columns={**self.columns, column.name: column}, custom=(*self.custom, column))

    @property
    def physical(self) -> str:
        return f"q_{self.rows_of or self.name}"

    @property
    def keys(self) -> list[tuple[str, ...]]:
        """Every set of columns that no two rows share."""
        own = [(self.key,)] if self.key is not None else []
        return [*own, *(_names(columns) for columns in self.unique)]


def _columns(text: str) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for group in text.split(";"):
        kind, _, names = group.strip().partition(":")
        for word in names.split():
            name, _, ref = word.partition(">")
            columns[name] = Column(name, kind.strip(), ref or None)
    return columns


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _table(
    name: str,
    permission: str | None,
    columns: str,
    key: str | None = "id",
    indexes: tuple[str, ...] = (),
    unique: tuple[str, ...] = (),
) -> Table:
    return Table(name, _columns(columns), permission, key, indexes, unique)


_TREE = "id: id parent>{0} subsidiary>subsidiary; text: name fullname externalid; bool: isinactive includechildren"

_TABLES = (
    _table(
        "transaction",
        "Find Transaction",
        """id: id entity>entity postingperiod>accountingPeriod currency>currency terms>term createdby>entity
             lastmodifiedby>entity nextapprover>entity customform department>department class>classification
             location>location subsidiary>subsidiary billingaddress shippingaddress sourcetransaction>transaction reversal tosubsidiary
             nexus employee>entity;
           text: type>trantype recordtype tranid transactionnumber trandisplayname externalid status>status approvalstatus
             billingstatus memo message email otherrefnum source journaltype abbrevtype customtype number
             paymentmethod typebaseddocumentnumber;
           number: exchangerate; amount: foreigntotal foreignamountpaid foreignamountunpaid
             foreignpaymentamountused foreignpaymentamountunused; int: daysopen daysoverduesearch;
           date: trandate duedate startdate enddate createddate lastmodifieddate closedate reversaldate;
           bool: posting void voided isreversal reversaldefer paymenthold isfinchrg userevenuearrangement""",
        indexes=(
            *("externalid", "lastmodifieddate"),
            # Holds all that a customer's balance is made of.
            "entity, currency, posting, foreignamountunpaid, foreignpaymentamountunused, duedate, type",
            *("trandate", "tranid", "type", "postingperiod"),
        ),
    ),
    _table(
        "transactionline",
        "Find Transaction",
        """id: uniquekey transaction>transaction item>item subsidiary>subsidiary department>department
             class>classification location>location entity>entity expenseaccount>account
             createdfrom>transaction units price revenueelement;
           int: id linesequencenumber;
           text: accountinglinetype transactionlinetype itemtype memo documentnumber;
           number: quantity quantitybilled rate rateamount ratepercent fxamountlinked;
           amount: netamount foreignamount creditforeignamount debitforeignamount foreignamountpaid
             foreignamountunpaid foreignpaymentamountused foreignpaymentamountunused;
           date: linelastmodifieddate;
           bool: mainline taxline iscogs donotdisplayline transactiondiscount cleared isclosed isrevrectransaction""",
        key="uniquekey",
        # With `mainline`, so that a join on the main line reads nothing else.
        indexes=("transaction, id, mainline", "item", "entity"),
        unique=("transaction, id", "transaction, linesequencenumber"),
    ),
    _table(
        "transactionaccountingline",
        "Find Transaction",
        """id: transaction>transaction accountingbook>accountingBook account>account; int: transactionline;
           amount: debit credit amount netamount amountpaid amountunpaid paymentamountused paymentamountunused;
           number: amountlinked exchangerate; date: lastmodifieddate; bool: posting processedbyrevcommit""",
        key=None,
        indexes=("transaction, transactionline", "account"),
        unique=("transaction, transactionline",),
    ),
    _table(
        "nexttransactionlinelink",
        "Find Transaction",
        """id: previousdoc>transaction nextdoc>transaction; int: previousline nextline; amount: foreignamount;
           text: previoustype nexttype linktype; date: previousdate nextdate lastmodifieddate""",
        key=None,
        indexes=("previousdoc, nextdoc", "nextdoc, previousdoc"),
        unique=("previousdoc, nextdoc",),
    ),
    _table(
        "customer",
        "Customers",
        """id: id currency>currency terms>term parent>entity defaultbillingaddress defaultshippingaddress
             receivablesaccount>account entitystatus category salesrep>entity subsidiary>subsidiary;
           int: entitynumber;
           text: entityid externalid companyname altname firstname lastname email phone url comments searchstage;
           number: balancesearch overduebalancesearch creditlimit; date: datecreated lastmodifieddate;
           bool: isperson isinactive oncredithold""",
        indexes=("externalid", "entityid", "lastmodifieddate"),
    ),
    _table(
        "entity",
        "Customers",
        """id: id customer>entity vendor>entity employee>entity parent>entity; text: type entityid entitytitle
             altname firstname lastname email phone externalid; date: datecreated lastmodifieddate;
           bool: isinactive isperson""",
        indexes=("externalid",),
    ),
    _table(
        "customersubsidiaryrelationship",
        "Customers",
        "id: id entity>entity subsidiary>subsidiary primarycurrency>currency; text: name externalid; "
        "bool: isprimarysub isinactive; date: lastmodifieddate",
        indexes=("entity",),
        unique=("entity, subsidiary",),
    ),
    _table(
        "customercurrencies",
        "Customers",
        "id: customer>entity currency>currency",
        key=None,
        indexes=("customer",),
        unique=("customer, currency",),
    ),
    _table(
        "customeraddressbook",
        "Customers",
        "id: internalid entity>entity addressbookaddress; text: label; bool: defaultbilling defaultshipping isresidential",
        key="internalid",
        indexes=("entity",),
    ),
    _table(
        "customeraddressbookentityaddress",
        "Customers",
        "id: nkey; text: addr1 addr2 addr3 addressee attention addrphone addrtext city state zip country; bool: override",
        key="nkey",
    ),
    _table(
        "item",
        "Items",
        """id: id incomeaccount>account deferredrevenueaccount>account parent>item revenuerecognitionrule
             department>department class>classification location>location;
           text: itemid fullname displayname itemtype subtype externalid description;
           number: rate; date: createddate lastmodifieddate; bool: isinactive includechildren""",
        indexes=("externalid", "itemid"),
    ),
    _table(
        "term",
        None,
        "id: id; text: name externalid; int: daysuntilnetdue; bool: isinactive datedriven preferred",
    ),
    _table(
        "currency",
        "Currency",
        "id: id; text: name symbol displaysymbol; number: exchangerate; int: currencyprecision; bool: isbasecurrency isinactive",
    ),
    _table(
        "subsidiary",
        "Subsidiaries",
        "id: id parent>subsidiary currency>currency fiscalcalendar; text: name fullname country legalname tranprefix "
        "edition externalid; bool: iselimination isinactive; date: lastmodifieddate",
    ),
    _table(
        "account",
        "Accounts",
        """id: id parent>account currency>currency subsidiary>subsidiary deferralacct>account;
           text: acctnumber accttype fullname accountsearchdisplayname accountsearchdisplaynamecopy
             displaynamewithhierarchy description generalrate cashflowrate sspecacct externalid;
           number: balance; bool: isinactive issummary eliminate includechildren; date: lastmodifieddate""",
    ),
    _table(
        "accountingperiod",
        "Manage Accounting Periods",
        """id: id parent>accountingPeriod; text: periodname; date: startdate enddate closedondate lastmodifieddate;
           bool: closed alllocked arlocked aplocked payrolllocked allownonglchanges isposting isadjust isquarter isyear
             isinactive""",
    ),
    _table(
        "currencyrate",
        "Currency",
        "id: id basecurrency>currency transactioncurrency>currency; number: exchangerate; date: effectivedate lastmodifieddate",
    ),
    _table(
        "consolidatedexchangerate",
        "Currency",
        """id: id postingperiod>accountingPeriod fromsubsidiary>subsidiary tosubsidiary>subsidiary
             fromcurrency>currency tocurrency>currency accountingbook>accountingBook;
           number: currentrate averagerate historicalrate""",
        indexes=("postingperiod",),
    ),
    _table(
        "accountingbook",
        None,
        "id: id basebook; text: name; bool: isprimary isadjustmentonly isconsolidated isinactive",
    ),
    _table("department", "Departments", _TREE.format("department")),
    _table("classification", "Classes", _TREE.format("classification")),
    _table("location", "Locations", _TREE.format("location")),
    _table(
        "transactionstatus",
        None,
        "text: id fullname name trantype trancustomtype",
        key=None,
        unique=("trantype, id",),
    ),
    _table(
        "customfield",
        None,
        """id: internalid; text: scriptid name description fieldtype fieldvaluetype fieldvaluetyperecord recordtype;
           bool: ismandatory isstored isshowinlist; id: owner; date: lastmodifieddate""",
        key="internalid",
    ),
    _table("customlist", None, "id: internalid; text: scriptid name; bool: isinactive", key="internalid"),
    _table(
        "customrecordtype",
        None,
        "id: internalid; text: scriptid name description; bool: isinactive",
        key="internalid",
    ),
    _table(
        "customsegment",
        None,
        "id: internalid; text: scriptid name recordtype; bool: glimpact balancing internal isinactive; int: displayorder",
        key="internalid",
    ),
    _table(
        "deletedrecord",
        "Deleted Records",
        """id: recordid recordtypeid deletedby>entity; text: name scriptid context type; date: deleteddate;
           bool: iscustomlist iscustomrecord iscustomtransaction""",
        key=None,
        indexes=("deleteddate", "recordid"),
        unique=("recordid, scriptid",),
    ),
    _table(
        "systemnote",
        None,
        """date: date; id: name>entity recordid recordtypeid role; text: context field oldvalue newvalue record""",
        key=None,
        indexes=("recordid", "date"),
    ),
    _table(
        "transactionhistory",
        "Find Transaction",
        "id: transaction>transaction name>entity role; date: date; text: context type",
        key=None,
        indexes=("transaction",),
    ),
    *(
        _table(
            name,
            "Find Transaction",
            "id: nkey; text: addr1 addr2 addr3 addressee attention addrphone addrtext city state zip country; bool: override",
            key="nkey",
        )
        for name in ("transactionbillingaddress", "transactionshippingaddress")
    ),
    _table(
        "revenueelement",
        "Revenue Element",
        """id: id item>item currency>currency source>transaction sourceline revenuearrangement>transaction
             entity>entity;
           text: referenceid; number: quantity salesamount allocationamount discountedsalesamount exchangerate;
           date: elementdate revrecstartdate revrecenddate""",
        indexes=("revenuearrangement", "source"),
    ),
    _table(
        "revenueplan",
        "Revenue Recognition Plan",
        """id: id createdfrom>revenueElement item>item parentlinecurrency>currency catchupperiod>accountingPeriod; int: periodoffset;
           text: recordnumber amountsource comments enddatechangeimpact recognitionmethod;
           number: amount initialamount exchangerate;
           date: revrecstartdate revrecenddate; bool: holdrevenuerecognition""",
        indexes=("createdfrom",),
    ),
    _table(
        "revenueplanplannedrevenue",
        "Revenue Recognition Plan",
        """id: id revenueplan>revenuePlan plannedperiod>accountingPeriod postingperiod>accountingPeriod
             journal>transaction deferralaccount>account recognitionaccount>account;
           number: amount percentoftotalamount; bool: isrecognized""",
        indexes=("revenueplan",),
    ),
    _table("dual", None, "text: dummy", key=None, unique=("",)),
)

_CHOICES = "id: id parent>{0} owner; text: name externalid scriptid; int: recordid; bool: isinactive; date: lastmodified created"
_INSTANCES = "id: id owner>entity; text: name externalid scriptid; int: recordid; bool: isinactive; date: created lastmodified"
FIELD_COLUMN_TYPES = {
    "text": "text",
    "number": "number",
    "integer": "int",
    "date": "date",
    "boolean": "bool",
    "list": "id",
    "record": "id",
    "multiselect": "text",
}


def build(profile: Profile) -> dict[str, Table]:
    """Every table of an account, by name: the standard ones with its custom columns, and one a custom list or segment."""
    tables = {table.name: table for table in _TABLES}
    links = tables["nexttransactionlinelink"]
    tables["previoustransactionlinelink"] = replace(
        links, name="previoustransactionlinelink", rows_of=links.name
    )
    for name, function in (("balancesearch", BALANCE), ("overduebalancesearch", OVERDUE)):
        customer = tables["customer"]
        computed = replace(customer.columns[name], function=function)
        tables["customer"] = replace(customer, columns={**customer.columns, name: computed})
    if not profile.oneworld:
        for name in ("subsidiary", "customersubsidiaryrelationship", "consolidatedexchangerate"):
            del tables[name]
        for name in (
            "transaction",
            "transactionline",
            "customer",
            "account",
            "department",
            "classification",
            "location",
        ):
            columns = {k: c for k, c in tables[name].columns.items() if k != "subsidiary"}
            tables[name] = replace(tables[name], columns=columns)
    for field in profile.custom_fields:
        for name in _tables_of(field):
            tables[name] = tables[name].with_custom(_custom_column(field))
    for segment in profile.custom_segments:
        column = Column(segment.script_id, "id", segment.record_type)
        for name, applies in (("transaction", segment.body), ("transactionline", segment.lines)):
            if applies:
                tables[name] = tables[name].with_custom(column)
        filter_column = f"; text: {segment.script_id}_filterby_subsidiary" if profile.oneworld else ""
        record_type = segment.record_type
        tables[record_type] = _table(record_type, None, _CHOICES.format(record_type) + filter_column)
    for custom_list in profile.custom_lists:
        name = custom_list.script_id
        tables[name] = _table(name, None, _CHOICES.format(name))
    for custom in profile.custom_record_types:
        permission = custom.permission.rpartition("-> ")[2] or None
        table = _table(custom.script_id, permission, _INSTANCES)
        for field in custom.fields:
            table = table.with_custom(_custom_column(field))
        tables[custom.script_id] = table
    return tables


def _custom_column(field: CustomField) -> Column:
    hidden = tuple(field.hidden_from)
    return Column(field.script_id, FIELD_COLUMN_TYPES[field.type], field.choices, hidden_from=hidden)


def _tables_of(field: CustomField) -> tuple[str, ...]:
    if field.script_id.startswith("custbody_"):
        return ("transaction",)
    if field.script_id.startswith("custcol_"):
        return ("transactionline",)
    return ("customer", "entity")
