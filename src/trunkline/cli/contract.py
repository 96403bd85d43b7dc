"""``trunkline contract``: how much of the reference we serve, from the running declarations."""

from __future__ import annotations

import click
import orjson

from trunkline.apis.catalogue import SERVICE_SPECS
from trunkline.apis.contract_coverage import ApiCoverage, MethodCoverage, coverage


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, with every method of the reference.")
@click.option("--all", "show_all", is_flag=True, help="Also list methods that are not implemented.")
def contract(*, as_json: bool, show_all: bool) -> None:
    """Show how much of each method of the API reference is served."""
    found = coverage(SERVICE_SPECS)
    if as_json:
        report = {str(api): part.as_json() for api, part in found.items()}
        click.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
        return
    for api, part in found.items():
        click.echo(f"{api}: {part.served} of {len(part.methods)} methods")
        for line in _lines(part, show_all=show_all):
            click.echo(line)


def _lines(part: ApiCoverage, *, show_all: bool) -> list[str]:
    return [
        line
        for name, method in sorted(part.methods.items())
        if method.served or show_all
        for line in _method_lines(name, method)
    ]


def _method_lines(name: str, method: MethodCoverage) -> list[str]:
    if not method.served:
        return [f"  {name}: not served"]
    if method.complete:
        return [f"  {name}: complete"]
    parts = (
        ("parameters", method.missing_params),
        ("fields", method.missing_fields),
        ("errors", method.missing_errors),
    )
    return [
        f"  {name}: incomplete",
        *(f"    {kind} missing: {'; '.join(names)}" for kind, names in parts if names),
    ]
