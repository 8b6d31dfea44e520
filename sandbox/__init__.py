"""A NetSuite-compatible server for development, demos and tests; its own process.

It follows Oracle's documentation of SuiteTalk REST web services, never this project's client: it imports nothing of
the other packages and nothing of theirs imports it. The modules follow NetSuite's services:

    profile, profile_file   what an account is: one YAML file
    account                 one account at run time: profile, store, services, slots, log
    server, wire, errors    HTTP in and out
    auth/                   OAuth 2.0, token-based authentication, roles, the login audit trail
    record/                 the record service, and the accounting behind it
    query/                  SuiteQL
    store/                  SQLite: records as documents, and the tables that SuiteQL reads
    governance, faults      concurrency slots, injected failures
    admin                   the sandbox's own endpoints, under /sandbox
"""
