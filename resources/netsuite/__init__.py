"""An async client for NetSuite's REST web services: records, SuiteQL, sign-in, quota, and errors that explain.

Everything that knows NetSuite and nothing of our pipeline belongs in this package, and no Dagster. Import from the
module that has what you need, so that reading the schema does not load the network:

- ``hosts``: an account's addresses; ``governor``: the account's quota; ``deadline``: when an operation ends;
  ``client``: requests
- ``auth``: signing in by client credentials, with ``keys`` and ``tokens``; ``tba`` and ``authorization_code``: the other
  ways; ``consent``: a person's consent; ``vault``: secrets that are kept; ``rotation``: exchanging ``certificates``
- ``writes``: planned writes and external ids; ``errors``: what a request may raise, with ``advice`` for people and the
  ``names`` of what it speaks of by id
- ``suiteql``: queries; ``pages``: their answers; ``arrow``: typed columns
- ``records``: the standard schema, its shapes in ``fields`` and its tables in ``schema``

A whole reading::

    hosts = Hosts("1234567_SB1")
    auth = ClientCredentials(hosts, client_id, certificate_id, key_pem)
    async with NetSuite(hosts, auth, governor=Governor.shared(hosts.rest_prefix, 15, 3)) as ns:
        answer = await ns.send(upsert_request("invoice", "inv-7", {"entity": {"id": "647"}, "item": {"items": [...]}}))
        invoice = await ns.get("invoice", eid("inv-7"), expand=True)
        unpaid = Select({"id": "t.id", "open": "t.foreignamountunpaid"}, "transaction t", "t.type = 'CustInvc'")
        async for batch in rows_to_arrow(ns.rows_keyset(unpaid), schema):
            ...
"""
