"""``trunkline bench``: how fast the product is, against a bare peer on this machine."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from trunkline import __version__
from trunkline.bench import parts
from trunkline.bench.setting import Finding, Setting
from trunkline.cli.settings import load_settings
from trunkline.core import log
from trunkline.runtime import asterisk
from trunkline.runtime.progress import PrintedProgress
from trunkline.testing import foreign


@click.command()
@click.option("--quick", is_flag=True, help="A shorter run with less precision.")
@click.option(
    "--part",
    "chosen",
    multiple=True,
    type=click.Choice(list(parts.PARTS)),
    help="Only this part; may be repeated. Default: all.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("bench-report.json"),
    show_default=True,
    help="Path of the report.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep everything (data, logs) here; default: a new temporary folder.",
)
def bench(quick: bool, chosen: tuple[str, ...], report: Path, folder: Path | None) -> None:
    """Measure against a bare peer on this machine. Exit code 1 for lost calls, wrong results or leaks."""
    log.configure("bench", json=False, level="warning")
    settings = load_settings()
    progress = PrintedProgress()
    try:
        install = asterisk.ensure(settings, progress)
        phones = foreign.ensure(settings.runtime, progress)
    finally:
        progress.close()
    place = (folder or Path(tempfile.mkdtemp(prefix="trunkline-bench-"))).absolute()
    began = datetime.now(UTC)
    findings = asyncio.run(parts.run(chosen, Setting(install, phones, place, quick, click.echo)))
    data = {**_head(began, install.version, findings), "parts": parts.report(findings)}
    report.write_text(json.dumps(data, indent=2) + "\n")
    click.echo(f"\n{parts.tables(findings)}\nreport: {report.absolute()}")
    if not data["ok"]:
        sys.exit(1)


def _head(began: datetime, engine: str, findings: Mapping[str, Finding]) -> dict[str, Any]:
    return {
        "ok": all(found.ok for found in findings.values()),
        "started": began.isoformat(),
        "seconds": round((datetime.now(UTC) - began).total_seconds(), 1),
        "version": __version__,
        "engine": engine,
        "machine": {"cpus": os.cpu_count(), "load": os.getloadavg(), "kernel": platform.release()},
    }
