"""What every benchmark shares: its three flags, one table, one JSON file."""

import argparse
import contextlib
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from yt8m.files import write_text


def arguments(doc):
    """Parser of `--quick`, `--data DIR`, `--json FILE`; a benchmark may add to it."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smaller version that ends within 5 minutes on two cores")
    parser.add_argument("--data", help="folder with real shards, where the benchmark can use them")
    parser.add_argument("--json", help="write the rows to this file as well")
    return parser


def in_a_process(module, function, *arguments):
    """What a function of a benchmark returns, from a process of its own: for its peak memory, and a fresh start.

    Raises:
        SystemExit: it failed; with the end of what it said.
    """
    code = f"import json, {module}; print(json.dumps({module}.{function}(*{arguments!r})))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=sys.path[0])
    if result.returncode:
        raise SystemExit(f"{module}.{function} failed:\n{result.stderr[-2000:]}")
    return json.loads(result.stdout.splitlines()[-1])


def fastest_in_turn(functions, repeats, clock=time.perf_counter):
    """{name: milliseconds} of functions that are called in turn, the least of each; the first calls, which compile, do not count.

    clock: time.process_time for CPU time.
    """
    best = dict.fromkeys(functions, float("inf"))
    for repeat in range(repeats + 1):
        for name, function in functions.items():
            start = clock()
            function()
            if repeat:
                best[name] = min(best[name], (clock() - start) * 1000)
    return best


def quiet():
    """A context in which nothing is printed."""
    return contextlib.redirect_stdout(io.StringIO())


def version_of_code():
    """The commit that runs, with "+" where files differ from it; "unknown" outside of a repository."""
    git = ["git", "describe", "--always", "--abbrev=10", "--dirty=+", "--exclude=*"]
    folder = os.path.dirname(os.path.abspath(__file__))
    return subprocess.run(git, cwd=folder, capture_output=True, text=True).stdout.strip() or "unknown"


def row(name, value, unit, baseline="", baseline_value=None, ratio=None, goal="", met=None, spread=None):
    """One line of the table: ours beside the alternative, in one run.

    Args:
        name, value, unit: what was measured.
        baseline, baseline_value: the alternative and its value.
        ratio: how many times better ours is; computed by the benchmark, since it depends on the unit.
        goal, met: what was aimed at, and whether it was reached.
        spread: standard error of the value.
    """
    return dict(
        name=name,
        value=value,
        unit=unit,
        baseline=baseline,
        baseline_value=baseline_value,
        ratio=ratio,
        goal=goal,
        met=met,
        spread=spread,
    )


def error(values):
    """Standard error of the mean, None of a single value."""
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None


def reached(goal, gains):
    """Whether gains are above 0 by more than two standard errors; None: no goal, or a single gain.

    A goal that begins with "not" ("not below") is reached unless they are below 0 by as much: no difference at all reaches it.
    """
    if not goal or len(gains) < 2:
        return None
    gain, margin = statistics.mean(gains), 2 * error(gains)
    return gain > -margin if goal.startswith("not") else gain > margin


def share_below(ours, theirs):
    """Share of the classes whose average precision is below another row's, mean over the seeds.

    Args:
        ours, theirs: of each seed float [C], nan of classes without positives.
    """
    shares = [np.mean((of < other)[~np.isnan(other)]) for of, other in zip(ours, theirs, strict=True)]
    return float(np.mean(shares))


def show(title, rows, path=None):
    """Prints the rows as a table, and writes them as JSON if a path is given (whole or not at all)."""
    table = Table(title=title, title_justify="left")
    for column in ("name", "value", "unit", "baseline", "its value", "ratio", "goal", "met"):
        table.add_column(column, justify="right" if column in ("value", "its value", "ratio") else "left")
    for r in rows:
        value = _number(r["value"]) + (f" ±{_number(r['spread'])}" if r["spread"] is not None else "")
        table.add_row(
            r["name"],
            value,
            r["unit"],
            r["baseline"],
            _number(r["baseline_value"]),
            _number(r["ratio"]),
            r["goal"],
            {True: "yes", False: "NO", None: ""}[r["met"]],
        )
    Console(width=140).print(table)
    if path:
        write(rows, path)


def write(rows, path):
    """Writes the rows, what they were measured on and with which version of the code, as JSON (whole or not at all)."""
    write_text(path, json.dumps({"machine": machine(), "code": version_of_code(), "rows": rows}, indent=1))


def machine():
    """What the figures were measured on."""
    from yt8m.recipes.precision import cpu

    return {
        "cpu": cpu(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
    }


def _number(value):
    return (
        "" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) >= 10 else f"{value:.3f}"
    )
