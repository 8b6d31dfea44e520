"""One process of several that share a consent: sends requests, each with a token of its own.

python refresh_worker.py BASE_URL SECRETS_FOLDER KEY COUNT
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from resources.netsuite.authorization_code import App, AuthorizationCode, Consents
from resources.netsuite.client import NetSuite
from resources.netsuite.hosts import Hosts
from resources.netsuite.vault import Vault


async def main(base_url: str, folder: str, key: str, count: int) -> None:
    hosts = Hosts("7654321_SB1", base_url)
    consents = Consents(Vault(Path(folder), (key,)), "acme")
    auth = AuthorizationCode(hosts, lambda: App("client-1"), consents)
    async with NetSuite(hosts, auth) as ns:
        for _ in range(count):
            await ns.get("invoice", "7")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], int(sys.argv[4])))
