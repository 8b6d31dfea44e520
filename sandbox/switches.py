"""Every behaviour of NetSuite that no source confirms, as a named switch with its default. docs/sandbox.md lists them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Switches(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    expires_in: Literal["string", "number"] = Field(
        "string", description="Form of `expires_in` in a token answer."
    )
    token_type: Literal["bearer", "Bearer"] = Field("bearer", description="Spelling of `token_type`.")
    bad_assertion_error: Literal["invalid_grant", "invalid_request", "invalid_client"] = Field(
        "invalid_grant",
        description="Token endpoint error for an assertion whose signature, kid, aud or time is refused.",
    )
    bearer_refusal_body: Literal["envelope", "empty"] = Field(
        "envelope", description="Body of the 401 for a bad or expired access token."
    )
    tba_challenge_error: Literal["token_rejected", "reason"] = Field(
        "token_rejected",
        description="`error` in WWW-Authenticate for a refused signed request: always the same, or by reason "
        "(`nonce_used`, `timestamp_refused`, `signature_invalid`, ...).",
    )
    tba_refuses_cookies: bool = Field(
        True, description="A signed request that carries a Cookie header is refused with 401."
    )
    lock_after_failures: int = Field(
        5, ge=0, description="Failed signed requests in a row that lock their user; 0 never locks."
    )
    lock_minutes: int = Field(30, ge=1, description="Minutes that a user stays locked.")
    confidential_pkce: Literal["optional", "required"] = Field(
        "optional",
        description="Whether confidential clients must send a `code_challenge` (NetSuite: new ones from 2027.1).",
    )
    prompt_none: Literal["allow", "consented"] = Field(
        "allow",
        description="`prompt=none` at the authorize page: a code at once, or only where the same user allowed the same "
        "scopes before (else `error=consent_required`).",
    )
    authorization_code_seconds: int = Field(
        600, ge=1, description="Seconds in which an authorization code must be used."
    )
    refresh_reuse: Literal["refuse", "revoke_chain"] = Field(
        "refuse",
        description="A one-time refresh token that comes again: refuse it, or revoke every token of its chain too.",
    )
    missing_permission_status: Literal[400, 403] = Field(
        403, description="Status of a record request whose role lacks the record's permission."
    )
    restricted_record: Literal["nonexistent", "permission"] = Field(
        "nonexistent",
        description="Refusal of a record that is out of the role's sight (another subsidiary's): as one that does not exist, or for want of a permission.",
    )
    view_only_reads: bool = Field(
        True,
        description="A role with View alone can GET a record. Off: REST opens records in edit mode and refuses.",
    )
    duplicate_transaction_text: str = Field(
        "This record already exists.",
        description="Text for a transaction's external id that is already in use.",
    )
    transaction_external_ids: Literal["per_type", "shared"] = Field(
        "per_type", description="Whether all transaction types share one space of external ids."
    )
    closed_period_text: str = Field(
        "The transaction you are trying to create or edit belongs to a closed or locked period.",
        description="Text of the refusal to post to a closed or locked period.",
    )
    date_outside_period: Literal["disallow", "allow"] = Field(
        "disallow", description="Preference Allow Transaction Date Outside of the Posting Period."
    )
    amount_conflict: Literal["keep_amount", "recalculate"] = Field(
        "keep_amount",
        description="A line whose amount is not quantity times rate: keep the amount, or recalculate it.",
    )
    tran_id_override: bool = Field(
        True, description="Numbering screen's Allow Override: a given tranId is kept."
    )
    apply_touches_invoice: bool = Field(
        True, description="Applying or unapplying a credit moves the invoice's lastModifiedDate."
    )
    over_application_text: str = Field(
        "The amount applied to a transaction may not be more than the amount that remains on it.",
        description="Text of the refusal to apply more than remains.",
    )
    dependent_records_text: str = Field(
        "This record cannot be deleted because it has dependent records.",
        description="Text of a refused DELETE.",
    )
    duplicate_name_text: str = Field(
        "This record already exists.",
        description="Text for an item, account, term or subsidiary whose name or number is already in use.",
    )
    system_note_context: str = Field(
        "REST Web Services", description="`context` of the system notes that REST requests write."
    )
    credit_header_sign: Literal["negative", "positive"] = Field(
        "negative", description="Sign of foreigntotal in SuiteQL for credit memos and payments."
    )
    line_quantity_sign: Literal["document", "ledger"] = Field(
        "document", description="Sign of transactionline.quantity: as entered, or as foreignamount has it."
    )
    apply_sublist: Literal["applied", "open"] = Field(
        "applied",
        description="The apply and credit sublists of a GET: what is applied, or every open document too "
        "(`apply` false).",
    )
    undep_funds_form: Literal["object", "boolean"] = Field(
        "object", description="Form of a payment's undepFunds: `{id, refName}`, or true and false."
    )
    funds_conflict_text: str = Field(
        "A payment goes to undeposited funds or to an account, not to both.",
        description="Text of the refusal of a payment with both undepFunds and account.",
    )
    payment_owns_credits: bool = Field(
        False,
        description="Deleting a payment also takes back what its credit sublist applied of credit memos.",
    )
    transform_applies_payment: bool = Field(
        True, description="The payment that an invoice is transformed to is applied to that invoice."
    )
    deposit_application_create_text: str = Field(
        "A deposit application is made by applying a customer deposit: transform the deposit.",
        description="Text of the refusal of a POST of a deposit application.",
    )
    deposit_application_header_sign: Literal["positive", "negative"] = Field(
        "positive", description="Sign of foreigntotal in SuiteQL for deposit applications."
    )
    deposit_application_main_line: Literal["deposits", "receivables"] = Field(
        "deposits",
        description="Which line of a deposit application has mainline `T`: the liability's or the receivables'.",
    )
    deposit_application_status: str = Field(
        "none",
        pattern="^(none|[A-Z])$",
        description="Status letter of deposit applications, which may have none.",
    )
    apply_touches_deposit: bool = Field(
        True, description="Applying or unapplying a deposit moves the deposit's lastModifiedDate."
    )
    deposit_link_type: str = Field(
        "DepAppl", description="linktype of the row between a deposit and its application."
    )
    journal_main_line: bool = Field(
        True, description="The first line of a journal has mainline `T` in SuiteQL; off: none has."
    )
    journal_unbalanced_text: str = Field(
        "The amounts in a journal entry must balance.",
        description="Text of the refusal of a journal whose debits are not its credits.",
    )
    link_type: str = Field("Payment", description="linktype of NextTransactionLineLink rows.")
    suiteql_leading_zero: bool = Field(True, description="SuiteQL prints 0.5 rather than .5.")
    suiteql_buggy_last_link: bool = Field(
        False, description="The `last` link of SuiteQL pages is wrong as in collections."
    )
    suiteql_cap_has_more: bool = Field(
        False, description="hasMore stays true at the 100,000th row when more rows exist."
    )
    suiteql_unstable_pages: bool = Field(
        True,
        description="Pages of a query whose order is not unique overlap and lose rows, as NetSuite's may.",
    )
    missing_prefer_code: str = Field(
        "INVALID_HEADER", description="o:errorCode when `Prefer: transient` is missing."
    )
    put_internal_id_status: Literal[400, 405] = Field(405, description="Status of PUT on an internal id.")
    get_list_missing: Literal["refuse", "leave_out"] = Field(
        "refuse",
        description="GET with `ids` of which one names no record: refuse the request, or leave that one out.",
    )
    job_location: Literal["absolute", "relative"] = Field(
        "absolute", description="Form of the Location of an asynchronous request's answer."
    )
    task_list: Literal["one_element_each", "one_element"] = Field(
        "one_element_each",
        description="A job's task list: one `items` element for each task, or all links in one as in Oracle's sample.",
    )
    processing_progress: Literal["processing", "pending"] = Field(
        "processing", description="`progress` of a task that is being processed, and of its job."
    )
    failed_progress: Literal["failed", "succeeded"] = Field(
        "failed",
        description="`progress` of a task whose request was refused, and of a job of such tasks alone.",
    )
    partly_failed_progress: Literal["succeeded", "failed"] = Field(
        "succeeded", description="`progress` of a batch's job of which some records were refused."
    )
    unfinished_result_status: Literal[400, 404] = Field(
        404, description="Status of the result of a task that has not ended."
    )
    job_retention_seconds: int = Field(
        0, ge=0, description="Seconds after its end in which a job can be read; 0 keeps it for ever."
    )
    idempotency_retention_seconds: int = Field(
        0, ge=0, description="Seconds in which an idempotency key is remembered; 0 keeps it for ever."
    )
    idempotency_error_header: bool = Field(
        True, description="The refusal of a repeated idempotency key has an `o:errorHeader`."
    )
    concurrency_body_status: Literal[400, 429] = Field(
        429, description="`status` in the body of a 429, whose other members are a 400's."
    )
    idempotency_key_form: Literal["any", "uuid"] = Field(
        "any", description="Whether an idempotency key that is no UUID is accepted or refused."
    )
    batch_refusal_code: str = Field(
        "INVALID_REQUEST",
        description="o:errorCode of a batch without `Prefer: respond-async` or its collection content type.",
    )
    record_locked_text: str = Field(
        "This record has been locked by a user defined workflow.",
        description="Text of the refusal to write a record that is locked (fault `record_locked`).",
    )
    record_conflict_text: str = Field(
        "Record has been changed",
        description="Text of the refusal to write a record that someone else is saving (fault `record_conflict`).",
    )
    gzip: bool = Field(True, description="Answers are compressed when the caller accepts it.")
