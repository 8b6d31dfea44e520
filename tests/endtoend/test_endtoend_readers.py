"""Analysts read while runs write: an open file is not disturbed, one that is opened anew is whole."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from endtoend_tools import World, books, plain_environment, run

MONTH = "2026-10"

#: Asks the published file again and again until the stop file is there; `held` keeps its first connection.
_READER = """
import duckdb, json, pathlib, sys, time
path, stop, mode = sys.argv[1:]
ask = '''SELECT (SELECT count(*) FROM write_history), (SELECT count(*) FROM outcomes), (SELECT count(*) FROM plan),
    (SELECT count(*) FROM documents), (SELECT sum(netsuite_total)::VARCHAR FROM documents)'''
held = duckdb.connect(path, read_only=True) if mode == "held" else None
seen, times = [], 0
while True:
    last = pathlib.Path(stop).exists()
    connection = held or duckdb.connect(path, read_only=True)
    row = connection.execute(ask).fetchone()
    if held is None:
        connection.close()
    times += 1
    if not seen or seen[-1] != list(row):
        seen.append(list(row))
        print("reading", flush=True)
    if last:
        break
    time.sleep(0.05)
print(json.dumps({"seen": seen, "times": times}), flush=True)
"""


def reader(here: World, mode: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _READER, str(here.published), str(here.folder / "stop"), mode],
        env=plain_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "reading\n"
    return process


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    answer: dict[str, Any] = json.loads(out.splitlines()[-1])
    return answer


def test_readers_and_a_whole_run_do_not_disturb_each_other(globex: World) -> None:
    before = Path(globex.published).stat().st_ino
    # Each request takes a while, as in life, so that those in flight together can be counted.
    globex.view("globex").govern(latency_ms=20)
    holds, opens_anew = reader(globex, "held"), reader(globex, "anew")
    try:
        run("write_back", "globex", MONTH)
        time.sleep(0.05)
    finally:
        (globex.folder / "stop").touch()
    held, anew = told(holds), told(opens_anew)

    assert held["times"] > 10
    assert len(held["seen"]) == 1, "the file changed below an open connection"
    assert held["seen"][0][:2] == [0, 0]
    # The one version or the other, nothing between, and never a moment without a file.
    assert len(anew["seen"]) == 2
    assert anew["seen"][0] == held["seen"][0]
    written = len({each.external_id or each.what for each in books("globex").planted})
    assert anew["seen"][1][:2] == [written, written]
    assert globex.published.stat().st_ino != before
    left = sorted(path.name for path in globex.published.parent.iterdir() if "building" in path.name)
    assert left == []

    # Four at once at most: the account's five, less the one that is left to other integrations.
    quota = globex.view("globex").stats()
    assert 2 <= quota["in_flight_peak"] <= 4
    assert quota["rejections"] == 0
