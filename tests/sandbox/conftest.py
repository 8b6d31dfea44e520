"""One sandbox process for each test worker, and clients of its accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sandbox_tools import PROFILES, Api, Integration, Server, renew, start


@pytest.fixture(scope="session")
def private_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="session")
def public_pem(private_key: ec.EllipticCurvePrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "public.pem"
    path.write_bytes(private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


@pytest.fixture(scope="session")
def server(public_pem: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Three accounts: the two shipped ones, and the single company with every switch turned over."""
    turned = yaml.safe_load((PROFILES / "single.yaml").read_text())
    turned["account"] = "TSTDRV9999999"
    turned["roles"][0]["permissions"]["Override Period Restrictions"] = "full"
    turned["switches"] = {
        "expires_in": "number",
        "token_type": "Bearer",
        "bad_assertion_error": "invalid_client",
        "bearer_refusal_body": "empty",
        "tba_challenge_error": "reason",
        "tba_refuses_cookies": False,
        "lock_after_failures": 2,
        "lock_minutes": 1,
        "confidential_pkce": "required",
        "prompt_none": "consented",
        "authorization_code_seconds": 60,
        "refresh_reuse": "revoke_chain",
        "missing_permission_status": 400,
        "view_only_reads": False,
        "restricted_record": "permission",
        "duplicate_transaction_text": "That number is taken.",
        "transaction_external_ids": "shared",
        "closed_period_text": "The period is closed.",
        "date_outside_period": "allow",
        "amount_conflict": "recalculate",
        "tran_id_override": False,
        "apply_touches_invoice": False,
        "over_application_text": "Too much.",
        "dependent_records_text": "It is in use.",
        "credit_header_sign": "positive",
        "line_quantity_sign": "ledger",
        "apply_sublist": "open",
        "undep_funds_form": "boolean",
        "funds_conflict_text": "One or the other.",
        "payment_owns_credits": True,
        "transform_applies_payment": False,
        "deposit_application_create_text": "Not so.",
        "deposit_application_header_sign": "negative",
        "deposit_application_main_line": "receivables",
        "deposit_application_status": "A",
        "apply_touches_deposit": False,
        "deposit_link_type": "Deposit",
        "journal_main_line": False,
        "journal_unbalanced_text": "It does not balance.",
        "link_type": "Applied",
        "suiteql_leading_zero": False,
        "suiteql_buggy_last_link": True,
        "suiteql_unstable_pages": False,
        "missing_prefer_code": "INVALID_REQUEST",
        "put_internal_id_status": 400,
        "get_list_missing": "leave_out",
        "job_location": "relative",
        "task_list": "one_element",
        "processing_progress": "pending",
        "failed_progress": "succeeded",
        "partly_failed_progress": "failed",
        "unfinished_result_status": 400,
        "job_retention_seconds": 1,
        "idempotency_retention_seconds": 1,
        "idempotency_error_header": False,
        "concurrency_body_status": 400,
        "idempotency_key_form": "uuid",
        "batch_refusal_code": "UNSUPPORTED",
        "record_locked_text": "Locked.",
        "record_conflict_text": "Changed.",
        "gzip": False,
    }
    turned_file = tmp_path_factory.mktemp("profiles") / "turned.yaml"
    turned_file.write_text(yaml.safe_dump(turned))
    running = start(
        *("--profile", str(PROFILES / "oneworld.yaml"), "--profile", str(PROFILES / "single.yaml")),
        *("--profile", str(turned_file)),
        *("--certificate", f"1234567_SB1:billing-integration:cert-1:{public_pem}"),
        *("--certificate", f"1234567_SB1:billing-auditor:cert-2:{public_pem}"),
        *("--certificate", f"TSTDRV7654321:usage-billing:cert-1:{public_pem}"),
        *("--certificate", f"TSTDRV9999999:usage-billing:cert-1:{public_pem}"),
    )
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def oneworld(server: Server, private_key: ec.EllipticCurvePrivateKey) -> Api:
    return Api(server.url, "1234567-sb1", Integration("billing-integration", "cert-1", private_key))


@pytest.fixture(scope="session")
def auditor(server: Server, private_key: ec.EllipticCurvePrivateKey) -> Api:
    """A role that may view invoices and items, and nothing of customers."""
    return Api(server.url, "1234567-sb1", Integration("billing-auditor", "cert-2", private_key))


@pytest.fixture(scope="session")
def single(server: Server, private_key: ec.EllipticCurvePrivateKey) -> Api:
    return Api(server.url, "tstdrv7654321", Integration("usage-billing", "cert-1", private_key))


@pytest.fixture(scope="session")
def turned(server: Server, private_key: ec.EllipticCurvePrivateKey) -> Api:
    return Api(server.url, "tstdrv9999999", Integration("usage-billing", "cert-1", private_key))


@pytest.fixture(scope="session")
def spares() -> Iterator[list[Server]]:
    """Sandboxes of the OneWorld profile that the next test can have to itself."""
    idle: list[Server] = []
    yield idle
    for one in idle:
        one.stop()


@pytest.fixture
def fresh(
    public_pem: Path, private_key: ec.EllipticCurvePrivateKey, spares: list[Server]
) -> Iterator[Callable[..., tuple[Server, Api]]]:
    """Sandboxes of one's own: `fresh(*arguments)` serves the OneWorld profile.

    Without arguments it may be a process that an earlier test had and that was reset since: to start one takes longer
    than most tests.
    """
    running: list[Server] = []
    lent: list[Server] = []

    def client(server: Server) -> Api:
        return Api(server.url, "1234567-sb1", Integration("billing-integration", "cert-1", private_key))

    def run(*arguments: str) -> tuple[Server, Api]:
        while spares and not arguments:
            server = spares.pop()
            try:
                found = client(server)
            except AssertionError:
                # A test took its certificate away.
                server.stop()
                continue
            lent.append(server)
            return server, found
        certificate = f"1234567_SB1:billing-integration:cert-1:{public_pem}"
        started = start(
            "--profile", str(PROFILES / "oneworld.yaml"), "--certificate", certificate, *arguments
        )
        (running if arguments else lent).append(started)
        return started, client(started)

    yield run
    for one in running:
        one.stop()
    for one in lent:
        if one.process.poll() is None:
            renew(one)
            spares.append(one)
