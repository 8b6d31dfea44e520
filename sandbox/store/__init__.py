"""State of one account in SQLite: records as documents (the truth), and the tables that SuiteQL reads (derived)."""
