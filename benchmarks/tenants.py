"""Loading, validating and compiling hundreds of tenants, beside bare YAML parsing of the same files.

    .venv/bin/python benchmarks/tenants.py --tenants 500

The files are the shipped tenants under other names, over the shipped base. Figures are CPU seconds of this one process
(user and system), so that other work on the machine does not count; the yardstick is `yaml.load(…, CSafeLoader)` of the
same files, which gives plain values without places, merging or any check.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from netsuite_assets.mapping.compiler import compile_mapping
from netsuite_assets.mapping.lint import lint
from resources.tenants import TenantRegistry

ROOT = Path(__file__).resolve().parent.parent
#: What the product promises for 500 tenants, in seconds of one core.
PROMISED = 2.0


def write(folder: Path, count: int) -> None:
    """`count` tenants: the shipped ones in turn."""
    shipped = sorted(path for path in (ROOT / "tenants").glob("*.yaml"))
    for path in shipped:
        if path.stem.startswith("_"):
            (folder / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    own = [path for path in shipped if not path.stem.startswith("_")]
    for number in range(count):
        path = own[number % len(own)]
        name = f"{path.stem}-{number:04}"
        text = path.read_text(encoding="utf-8").replace(f"tenant: {path.stem}", f"tenant: {name}")
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def seconds(work: Callable[[], object], repeat: int) -> float:
    """CPU seconds of the quickest of several tries."""
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def definitions_seconds() -> float:
    """CPU seconds in which a fresh process loads the code location's definitions, Python's start included."""
    code = (
        "import resource, netsuite_assets.definitions as d; d.build_defs();"
        " u = resource.getrusage(resource.RUSAGE_SELF); print(u.ru_utime + u.ru_stime)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return float(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tenants", type=int, default=500)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder, given.tenants)
        files = sorted(folder.glob("*.yaml"))

        def bare() -> object:
            return [yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) for path in files]

        def loaded() -> object:
            registry = TenantRegistry(folder)
            return [registry.load(name) for name in registry.names()]

        registry = TenantRegistry(folder)
        tenants = [registry.load(name) for name in registry.names()]
        yardstick = seconds(bare, given.repeat)
        rows = [
            ("bare YAML (CSafeLoader)", yardstick),
            ("list the names", seconds(lambda: TenantRegistry(folder).names(), given.repeat)),
            ("load and validate", seconds(loaded, given.repeat)),
            (
                "load again, files unchanged",
                seconds(lambda: [registry.load(one.name) for one in tenants], given.repeat),
            ),
            (
                "compile the mappings",
                seconds(lambda: [compile_mapping(one) for one in tenants], given.repeat),
            ),
            ("recon lint", seconds(lambda: lint(TenantRegistry(folder)), given.repeat)),
        ]
    for what, took in rows:
        say(f"{what:<30} {took:8.3f} s  {took / yardstick:6.1f} x bare YAML")
    say(f"{'definitions, fresh process':<30} {definitions_seconds():8.3f} s")
    took = dict(rows)["load and validate"]
    if given.tenants == 500 and took > PROMISED:
        say(f"Loading 500 tenants took {took:.2f} s; promised are {PROMISED} s.")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
