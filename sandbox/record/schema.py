"""Record types and their fields, as the REST metadata names them; custom fields are added by account. No behaviour."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from sandbox.profile import Profile, Role
from sandbox.profile_custom import CustomField, CustomRecordType
from sandbox.record.transaction_fields import DEPOSITS, SUBLISTS, SUITE_TAX, TRANSACTIONS


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: str
    """string, boolean, truth (a yes or no shown as an enum), number, integer, date, datetime, reference, enum, choice
    (custom list), multi or lines."""
    target: str = ""
    """A reference's record type, an enum's name, a choice's list, or a sublist's element."""
    read_only: bool = False
    label: str = ""
    custom: bool = False
    hidden_from: tuple[str, ...] = ()
    """Ids of the roles that do not see it."""

    @property
    def is_choice(self) -> bool:
        return self.kind in ("reference", "choice", "enum")


@dataclass(frozen=True, slots=True)
class Sublist:
    name: str
    key: str | None
    """The element field that addresses a line; None: lines can only be appended."""
    fields: dict[str, Field]
    """By lower-case name."""


@dataclass(frozen=True, slots=True)
class RecordType:
    name: str
    title: str
    space: str
    """Types that share a space share ids: every transaction type is in `transaction`."""
    permission: str
    """The role permission, with its tab, e.g. `Transactions -> Invoice`; empty: none needed."""
    fields: dict[str, Field]
    """By lower-case name."""
    sublists: dict[str, Sublist] = field(default_factory=dict)
    table: str = ""
    """The SuiteQL table that mirrors it."""

    @property
    def permission_name(self) -> str:
        return self.permission.rpartition("-> ")[2]


_KINDS = {
    "str": "string",
    "bool": "boolean",
    "num": "number",
    "int": "integer",
    "date": "date",
    "datetime": "datetime",
    "ref": "reference",
    "enum": "enum",
    "multi": "multi",
    "truth": "truth",
}
_LABELS = {
    "entity": "Customer",
    "subsidiary": "Subsidiary",
    "tranDate": "Date",
    "tranId": "Transaction Number",
    "itemId": "Item Name/Number",
    "otherRefNum": "PO #",
}
_SUBSIDIARY_FIELDS = ("subsidiary", "toSubsidiary")


def label_of(name: str) -> str:
    return _LABELS.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name[:1].upper() + name[1:])


def _fields(text: str) -> dict[str, Field]:
    """`kind[>target]: name name! ...` groups parted by `;`; `!` marks a read-only field."""
    found: dict[str, Field] = {}
    for group in text.split(";"):
        kind, _, names = group.strip().partition(":")
        kind, _, target = kind.partition(">")
        for word in names.split():
            name = word.rstrip("!")
            found[name.lower()] = Field(name, _KINDS[kind], target, word.endswith("!"), label_of(name))
    return found


_CUSTOMER = """
    str: id! externalId entityId altName! companyName firstName lastName email phone altPhone fax url comments
         defaultAddress! title vatRegNumber accountNumber;
    bool: autoName isPerson isInactive taxable;
    ref>subsidiary: subsidiary; ref>currency: currency; ref>term: terms; ref>account: receivablesAccount;
    ref>customer: parent; ref>customerCategory: category; ref>customerStatus: entityStatus; ref>employee: salesRep;
    enum>language: language; enum>emailPreference: emailPreference;
    num: creditLimit balance! overdueBalance! unbilledOrders!; datetime: dateCreated! lastModifiedDate!
"""
_ADDRESS_BOOK = "int: internalId; str: id addressId! addressBookAddress_text! label; bool: defaultBilling defaultShipping isResidential"
_RELATIONSHIP = """
    str: id! externalId name!; ref>customer: entity; ref>subsidiary: subsidiary; ref>currency: primaryCurrency;
    bool: isPrimarySub! isInactive; datetime: lastModifiedDate!
"""
_TREE = "str: id! name fullName! externalId; ref>{0}: parent; bool: isInactive includeChildren; multi>subsidiary: subsidiary"
_VALUE = (
    "str: id! name fullName! externalId; ref>{0}: parent; bool: isInactive; datetime: created! lastModified!"
)
_INSTANCE = "str: id! name externalId; bool: isInactive autoName; datetime: created! lastModified!; ref>employee: owner!"
_ITEM = """
    str: id! itemId displayName fullName! description salesDescription externalId; num: rate;
    ref>account: incomeAccount deferredRevenueAccount; ref>item: parent; ref>department: department;
    ref>classification: class; ref>location: location;
    bool: isInactive isTaxable includeChildren directRevenuePosting;
    enum>itemType: itemType!; enum>subtype: subtype!; enum>taxSchedule: taxSchedule; enum>units: unitsType saleUnit;
    enum>revenueRule: revenueRecognitionRule; enum>revenuePlans: createRevenuePlansOn;
    enum>revenueCategory: itemRevenueCategory; multi>subsidiary: subsidiary; datetime: createdDate! lastModifiedDate!
"""
_MASTERS = {
    "subsidiary": (
        "Subsidiary",
        "Lists -> Subsidiaries",
        "str: id! name fullName! legalName email url state tranPrefix edition externalId; ref>currency: currency; "
        "ref>subsidiary: parent; ref>customer: representingCustomer; ref>account: intercoAccount; "
        "enum>country: country; enum>fiscalCalendar: fiscalCalendar; bool: isElimination isInactive",
    ),
    "currency": (
        "Currency",
        "Lists -> Currency",
        "str: id! name symbol displaySymbol formatSample! locale; int: currencyPrecision; num: exchangeRate; "
        "bool: isBaseCurrency isAnchorCurrency includeInFxRateUpdates isInactive",
    ),
    "term": (
        "Term",
        "",
        "str: id! name externalId; int: daysUntilNetDue dayOfMonthNetDue daysUntilExpiry dueNextMonthIfWithinDays; "
        "num: discountPercent; bool: dateDriven installment preferred isInactive",
    ),
    "account": (
        "Account",
        "Lists -> Accounts",
        "str: id! acctName acctNumber description fullName! externalId; enum>accountType: acctType; ref>currency: currency; "
        "ref>account: parent; enum>rateType: generalRate cashFlowRate; enum>specialAccount: sSpecAcct; num: balance!; "
        "bool: isInactive isSummary eliminate includeChildren inventory revalue; multi>subsidiary: subsidiary",
    ),
    "accountingPeriod": (
        "Accounting Period",
        "Setup -> Manage Accounting Periods",
        "str: id! periodName; date: startDate endDate closedOnDate; ref>accountingPeriod: parent; bool: closed allLocked "
        "arLocked apLocked payrollLocked allowNonGLChanges isAdjust isPosting isQuarter isYear isInactive; "
        "enum>fiscalCalendar: fiscalCalendar",
    ),
    "department": ("Department", "Lists -> Departments", _TREE.format("department")),
    "classification": ("Class", "Lists -> Classes", _TREE.format("classification")),
    "location": (
        "Location",
        "Lists -> Locations",
        _TREE.format("location")
        + "; bool: makeInventoryAvailable; enum>locationType: locationType; enum>zone: timeZone",
    ),
}
ITEM_TYPES = {
    # REST name: (title, SuiteQL itemtype, subtype)
    "serviceSaleItem": ("Service Item for Sale", "Service", "Sale"),
    "serviceResaleItem": ("Service Item for Resale", "Service", "Resale"),
    "nonInventorySaleItem": ("Non-inventory Item for Sale", "NonInvtPart", "Sale"),
    "nonInventoryResaleItem": ("Non-inventory Item for Resale", "NonInvtPart", "Resale"),
    "otherChargeSaleItem": ("Other Charge for Sale", "OthCharge", "Sale"),
    "otherChargeResaleItem": ("Other Charge for Resale", "OthCharge", "Resale"),
    "kitItem": ("Kit/Package", "Kit", ""),
    "inventoryItem": ("Inventory Item", "InvtPart", ""),
    "discountItem": ("Discount Item", "Discount", ""),
}
SPACES = {
    "customer": "entity",
    **dict.fromkeys(TRANSACTIONS, "transaction"),
    "transaction": "transaction",
}


def space_of(record_type: str) -> str:
    return "item" if record_type in ITEM_TYPES else SPACES.get(record_type, record_type)


def build(profile: Profile) -> dict[str, RecordType]:
    """Every record type of an account, by lower-case name."""
    address = {
        **_fields(_ADDRESS_BOOK),
        "addressbookaddress": Field("addressBookAddress", "subrecord", "address", label="Address"),
    }
    customer_sublists = {
        "addressbook": Sublist("addressBook", "internalId", address),
        "currencylist": Sublist("currencyList", "currency", _fields("ref>currency: currency")),
    }
    types = [
        RecordType(
            "customer",
            "Customer",
            "entity",
            "Lists -> Customers",
            _with_custom(_fields(_CUSTOMER), profile, "customer", "custentity_"),
            customer_sublists,
            "customer",
        ),
        *_transactions(profile),
    ]
    if profile.oneworld:
        name = "customerSubsidiaryRelationship"
        fields = _fields(_RELATIONSHIP)
        title = "Customer-Subsidiary Relationship"
        types.append(RecordType(name, title, name, "Lists -> Customers", fields, {}, name.lower()))
    for name, (title, permission, text) in _MASTERS.items():
        if name == "subsidiary" and not profile.oneworld:
            continue
        types.append(
            RecordType(
                name, title, name, permission, _without_subsidiary(_fields(text), profile), {}, name.lower()
            )
        )
    for name, (title, _, _) in ITEM_TYPES.items():
        fields = _without_subsidiary(_fields(_ITEM), profile)
        types.append(RecordType(name, title, "item", "Lists -> Items", fields, {}, "item"))
    for segment in profile.custom_segments:
        name = segment.record_type
        types.append(RecordType(name, segment.label, name, "", _fields(_VALUE.format(name)), {}, name))
    for custom_list in profile.custom_lists:
        name = custom_list.script_id
        types.append(RecordType(name, custom_list.name, name, "", _fields(_VALUE.format(name)), {}, name))
    types += [_custom_record(custom) for custom in profile.custom_record_types]
    return {record_type.name.lower(): record_type for record_type in types}


def _transactions(profile: Profile) -> list[RecordType]:
    """The transaction types, without what the account's features leave out."""
    absent = {name.lower() for name in (() if profile.suite_tax else SUITE_TAX)}
    if not profile.features.invoice_approvals:
        absent.add("approvalstatus")
    sublists: dict[str, Sublist] = {}
    for name, (key, text, custom) in SUBLISTS.items():
        fields = _fields(text)
        if custom:
            fields = _with_custom(fields, profile, "line", "custcol_")
        fields = {key: field for key, field in fields.items() if key not in absent}
        sublists[name] = Sublist(name, key, fields)
    types: list[RecordType] = []
    for name, t in TRANSACTIONS.items():
        if name in DEPOSITS and profile.customer_deposits_account is None:
            continue
        fields = {key: field for key, field in _fields(t.fields).items() if key not in absent}
        if profile.switches.undep_funds_form == "boolean" and "undepfunds" in fields:
            fields["undepfunds"] = Field("undepFunds", "boolean", label="Undep. Funds")
        fields = _with_custom(fields, profile, name, "custbody_")
        own = {s.lower(): sublists[s] for s in t.sublists if s.lower() not in absent}
        types.append(RecordType(name, t.title, "transaction", t.permission, fields, own, "transaction"))
    return types


def _without_subsidiary(fields: dict[str, Field], profile: Profile) -> dict[str, Field]:
    if profile.oneworld:
        return fields
    return {key: f for key, f in fields.items() if f.name not in _SUBSIDIARY_FIELDS}


def _with_custom(fields: dict[str, Field], profile: Profile, owner: str, prefix: str) -> dict[str, Field]:
    fields = _without_subsidiary(fields, profile)
    for custom in profile.custom_fields:
        if custom.script_id.startswith(prefix) and (
            owner == "line" or not custom.applies_to or owner in custom.applies_to
        ):
            fields[custom.script_id] = _custom_field(custom)
    if owner != "customer":
        for segment in profile.custom_segments:
            if segment.lines if owner == "line" else segment.body:
                fields[segment.script_id] = Field(
                    segment.script_id, "reference", segment.record_type, label=segment.label, custom=True
                )
    return fields


def _custom_record(custom: CustomRecordType) -> RecordType:
    name = custom.script_id
    fields = _fields(_INSTANCE) | {field.script_id: _custom_field(field) for field in custom.fields}
    return RecordType(name, custom.name, name, custom.permission, fields, {}, name)


def _custom_field(custom: CustomField) -> Field:
    kind = {"text": "string", "list": "choice", "record": "reference", "multiselect": "multi"}.get(
        custom.type, custom.type
    )
    hidden = tuple(custom.hidden_from)
    return Field(
        custom.script_id, kind, custom.choices or "", label=custom.label, custom=True, hidden_from=hidden
    )


def seen_by(record_type: RecordType, role: Role) -> RecordType:
    """The record type without the fields that are hidden from a role."""

    def kept(fields: dict[str, Field]) -> dict[str, Field]:
        return {key: f for key, f in fields.items() if role.id not in f.hidden_from}

    groups = [record_type.fields, *(sublist.fields for sublist in record_type.sublists.values())]
    if not any(role.id in f.hidden_from for fields in groups for f in fields.values()):
        return record_type
    sublists = {key: replace(s, fields=kept(s.fields)) for key, s in record_type.sublists.items()}
    return replace(record_type, fields=kept(record_type.fields), sublists=sublists)


ENUMS: dict[str, dict[str, str]] = {
    "emailPreference": {"PDF": "PDF", "HTML": "HTML", "DEFAULT": "Default"},
    "source": {"restWebServices": "REST Web Services"},
    "invoiceStatus": {
        "A": "Open",
        "B": "Paid In Full",
        "D": "Pending Approval",
        "E": "Rejected",
        "V": "Voided",
    },
    "creditMemoStatus": {"A": "Open", "B": "Fully Applied", "V": "Voided"},
    "customerPaymentStatus": {
        "A": "Unapproved Payment",
        "B": "Not Deposited",
        "C": "Deposited",
        "R": "Rejected",
    },
    "customerDepositStatus": {
        "A": "Not Deposited",
        "B": "Deposited",
        "C": "Fully Applied",
        "D": "Unapproved Payment",
        "R": "Rejected",
    },
    "journalEntryStatus": {"A": "Pending Approval", "B": "Approved for Posting"},
    "salesOrderStatus": {"F": "Pending Billing", "G": "Billed"},
    "orderStatus": {"F": "Pending Billing", "G": "Billed"},
    "approvalStatus": {"1": "Pending Approval", "2": "Approved", "3": "Rejected"},
    "accountType": {
        **{"Bank": "Bank", "AcctRec": "Accounts Receivable", "OthCurrAsset": "Other Current Asset"},
        **{"FixedAsset": "Fixed Asset", "OthAsset": "Other Asset", "AcctPay": "Accounts Payable"},
        **{"CredCard": "Credit Card", "OthCurrLiab": "Other Current Liability"},
        **{"LongTermLiab": "Long Term Liability", "Equity": "Equity", "Income": "Income"},
        **{"COGS": "Cost of Goods Sold", "Expense": "Expense", "OthIncome": "Other Income"},
        **{"OthExpense": "Other Expense", "DeferRevenue": "Deferred Revenue"},
        **{"DeferExpense": "Deferred Expense", "UnbilledRec": "Unbilled Receivable"},
        **{"NonPosting": "Non Posting", "Stat": "Statistical"},
    },
    "undepFunds": {"true": "Yes", "false": "No"},
    "customForm": {
        "101": "Standard Service Invoice",
        "102": "Standard Credit Memo",
        "103": "Standard Customer Payment",
        "104": "Standard Journal Entry",
        "105": "Standard Sales Order",
        "106": "Standard Customer Deposit",
        "107": "Standard Deposit Application",
    },
    "priceLevel": {"-1": "Custom", "1": "Base Price"},
}
"""Closed lists by name; an enum that is not here takes any id and shows it as its own name."""
