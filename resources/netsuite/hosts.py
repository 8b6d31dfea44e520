"""Where a NetSuite account answers: its id in every form, and the URLs of its services.

Only naming belongs here (NetSuite REST facts: account id forms, host families, REST paths); nothing here opens a
connection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

_ACCOUNT_ID: Final = re.compile(r"[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)?")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Hosts:
    """The addresses of one account.

    ``account`` may be given as the UI shows it (``1234567_SB1``) or as a host label (``1234567-sb1``).
    ``base_url`` replaces the account's own hosts, for a sandbox or a proxy: it is used as it stands before
    ``/services/rest/…`` (``http://127.0.0.1:4321/1234567-sb1``).
    """

    account: str
    base_url: str = ""

    def __post_init__(self) -> None:
        if not _ACCOUNT_ID.fullmatch(self.account):
            raise ValueError(
                f"'{self.account}' is not a NetSuite account id. It is shown at Setup > Company > Company "
                "Information > Account ID and looks like 1234567 or 1234567_SB1."
            )
        if self.base_url:
            parts = urlsplit(self.base_url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
                raise ValueError(
                    f"The base URL '{self.base_url}' for NetSuite account {self.realm} must be like "
                    "http://127.0.0.1:4321/1234567-sb1, without a query."
                )
            if parts.username or parts.password:
                raise ValueError(
                    f"The base URL for NetSuite account {self.realm} must not hold a user or password."
                )

    @property
    def label(self) -> str:
        """The account id as a host label: lower case, with a hyphen."""
        return self.account.lower().replace("_", "-")

    @property
    def realm(self) -> str:
        """The account id as the UI and OAuth 1.0 write it: upper case, with an underscore."""
        return self.account.upper().replace("-", "_")

    @property
    def rest_prefix(self) -> str:
        """What stands before ``/services/rest/…`` for REST web services."""
        return self.base_url.rstrip("/") or f"https://{self.label}.suitetalk.api.netsuite.com"

    @property
    def restlets_prefix(self) -> str:
        """What stands before the paths of the RESTlets host (certificate rotation, token info)."""
        return self.base_url.rstrip("/") or f"https://{self.label}.restlets.api.netsuite.com"

    @property
    def token_url(self) -> str:
        """The OAuth 2.0 token endpoint, which is also the audience of a client assertion."""
        return f"{self.rest_prefix}/services/rest/auth/oauth2/v1/token"

    @property
    def authorize_url(self) -> str:
        """The consent page of the OAuth 2.0 authorization code grant, for a browser."""
        prefix = self.base_url.rstrip("/") or f"https://{self.label}.app.netsuite.com"
        return f"{prefix}/app/login/oauth2/authorize.nl"

    def certificates_url(self, client_id: str) -> str:
        """The certificate rotation endpoint of one integration record, on the RESTlets host."""
        client = quote(client_id, safe="")
        return f"{self.restlets_prefix}/services/rest/auth/oauth2/v1/clients/{client}/certificates"

    @property
    def is_loopback(self) -> bool:
        """Whether this is a server on this machine: a sandbox rather than NetSuite."""
        return bool(self.base_url) and urlsplit(self.base_url).hostname in _LOOPBACK

    def url(self, path: str, query: str = "") -> str:
        """The URL of a REST ``path`` that begins with ``/services/rest/``; ``query`` is already encoded."""
        return f"{self.rest_prefix}{path}?{query}" if query else f"{self.rest_prefix}{path}"
