"""Who is calling: OAuth 2.0, token-based authentication, roles, and the login audit trail."""
