"""`recon tenant`: a tenant's settings and rules as they count after everything that its file extends.

Here: arguments and what is printed. Not here: how the values come about (`resources/tenants`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from resources.tenants import EffectiveValue

out = Console(highlight=False)
Messages = Callable[[], AbstractContextManager[None]]


def register(app: typer.Typer, messages: Messages) -> None:
    """Add the command to `app`; `messages` turns errors into what is printed."""

    @app.command()
    def tenant(
        name: Annotated[
            str, typer.Argument(metavar="TENANT", help="The tenant, as its file in tenants/ is called.")
        ],
        effective: Annotated[
            bool,
            typer.Option(
                "--effective/--own", help="With everything that the file extends, or what it says itself."
            ),
        ] = True,
        subsidiary: Annotated[
            str | None,
            typer.Option(help="The records' rules as they are for this legal entity (by_subsidiary)."),
        ] = None,
        only: Annotated[str, typer.Option(help="Only what begins so, such as records.invoice.")] = "",
    ) -> None:
        """Print each value that counts for a tenant, with the file and line that give it."""
        with messages():
            from resources.as_dagster import TenantsResource
            from resources.tenants.effective import effective_values, entities

            loaded = TenantsResource().get().load(name)
            known = entities(loaded)
            if subsidiary is not None and subsidiary not in known:
                raise typer.BadParameter(
                    f"no rule of {name} differs for '{subsidiary}'; there are {', '.join(known) or 'none'}."
                )
            file = loaded.place("tenant").file
            values = [
                value
                for value in effective_values(loaded, subsidiary)
                if value.path.startswith(only) and (effective or value.place.file == file)
            ]
            print_values(out, values)


def print_values(console: Console, values: list[EffectiveValue]) -> None:
    """Print one value a line: its path and value, and where it is written."""
    told = [(f"{value.path}: {_shown(value)}", f"{value.place.file}:{value.place.line}") for value in values]
    width = max((len(text) for text, _ in told if len(text) <= 80), default=0)
    for text, place in told:
        console.print(f"{text.ljust(width)}  # {place}", markup=False, soft_wrap=True)


def _shown(value: EffectiveValue) -> str:
    """The value as YAML takes it."""
    import yaml

    plain = (
        value.value if isinstance(value.value, str | int | bool) or value.value is None else str(value.value)
    )
    return yaml.safe_dump(plain, allow_unicode=True, width=10_000).removesuffix("\n...\n").removesuffix("\n")
