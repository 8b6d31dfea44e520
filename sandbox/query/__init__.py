"""SuiteQL: parsed by sqlglot, checked and translated to SQLite here, run over the account's tables."""
