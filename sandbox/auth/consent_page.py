"""The pages of the authorize endpoint: consent, and an error that is not sent to the application."""

from __future__ import annotations

from html import escape

from sandbox.profile import Role
from sandbox.profile_access import Integration, User
from sandbox.wire import Response

_SCOPES = {
    "rest_webservices": "REST web services",
    "restlets": "RESTlets",
    "suite_analytics": "SuiteAnalytics Connect",
    "mcp": "NetSuite AI Connector Service",
}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 32rem; margin: 10vh auto; padding: 0 1rem; color: #222; }}
select, button {{ font: inherit; padding: .4rem .8rem; }}
select {{ width: 100%; margin: .3rem 0 1.2rem; }}
button {{ margin-right: .5rem; }}
footer {{ margin-top: 3rem; color: #555; font-size: .85rem; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{content}
</main>
<footer>{account}. A sandbox: no password is asked for.</footer>
</body>
</html>
"""


def consent(
    account: str,
    action: str,
    ticket: str,
    integration: Integration,
    scopes: tuple[str, ...],
    people: list[tuple[User, Role]],
) -> Response:
    """The form; it posts `ticket`, `identity` (user id `;` role id) and `decision` (`allow` or `deny`) to `action`."""
    wanted = "\n".join(f"<li>{escape(_SCOPES[scope])}</li>" for scope in scopes)
    choices = "\n".join(
        f'<option value="{escape(user.id)};{escape(role.id)}">{escape(user.name)}, {escape(role.name)}</option>'
        for user, role in people
    )
    content = f"""<p><strong>{escape(integration.name)}</strong> asks for access to:</p>
<ul>
{wanted}
</ul>
<form method="post" action="{escape(action)}">
<input type="hidden" name="ticket" value="{escape(ticket)}">
<label for="identity">Sign in as</label>
<select id="identity" name="identity">
{choices}
</select>
<button type="submit" name="decision" value="allow">Allow</button>
<button type="submit" name="decision" value="deny">Deny</button>
</form>"""
    return _page(200, account, f"Allow {integration.name}?", content)


def error(account: str, code: str, explanation: str) -> Response:
    content = (
        f"<p>{escape(explanation[:1].upper() + explanation[1:])}.</p>\n<p><code>{escape(code)}</code></p>"
    )
    return _page(400, account, "The application cannot be authorized", content)


def _page(status: int, account: str, title: str, content: str) -> Response:
    html = _PAGE.format(title=escape(title), content=content, account=escape(account))
    headers = [
        (b"cache-control", b"no-store"),
        (
            b"content-security-policy",
            b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    ]
    return Response(status, html.encode(), b"text/html; charset=UTF-8", headers, standing=False)
