"""How long a command takes before it does what it is for: --help, `import yt8m`, the first training step on the built-in sample.

Beside each stands what the same interpreter takes for less: to start at all, and to import TensorFlow. Seconds by the clock, the
fastest of --repeats in turn, and CPU seconds of the process, which say more on a machine that is not quiet.

  PYTHONPATH=$PWD python benchmarks/start.py --json docs/results/start.json
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import report

from yt8m.sample.sample import ensure_sample

ROOT = pathlib.Path(__file__).parent.parent
TICK = os.sysconf("SC_CLK_TCK")
STEP = "training step"
EMPTY, TENSORFLOW = "python -c pass", "import tensorflow"
# name -> (arguments of python, what its output holds when it is there; None: it ends)
COMMANDS = {
    EMPTY: (["-c", "pass"], None),
    TENSORFLOW: (["-c", "import tensorflow"], None),
    "import yt8m": (["-c", "import yt8m"], None),
    "yt8m --help": (["-m", "yt8m.cli.app", "--help"], None),
    "yt8m train --help": (["-m", "yt8m.cli.app", "train", "--help"], None),
    "yt8m train, first step": (["train.py", "--model=MultiAttentionModel", "--max_steps=1", "--log_steps=1"], STEP),
}
# name -> (what it is shown beside, most seconds)
ROWS = {
    "import yt8m": (EMPTY, 0.1),
    "yt8m --help": (EMPTY, 0.3),
    "yt8m train --help": (EMPTY, 0.3),
    "yt8m train, first step": (TENSORFLOW, 15.0),
}


def seconds_until(arguments, sign, folder):
    """(seconds, CPU seconds) that a Python process takes until it has printed `sign`, or ends."""
    if sign:
        arguments = [*arguments, f"--train_dir={tempfile.mkdtemp(dir=folder)}"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    before, begin = os.times(), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    for line in process.stdout:
        if sign and sign in line:
            seconds, cpu = time.perf_counter() - begin, cpu_seconds(process.pid)
            process.kill()
            process.wait()
            process.stdout.close()
            return seconds, cpu
    status, after = process.wait(), os.times()
    if sign or status:
        sys.exit(f"{' '.join(arguments)}: exit status {status}; run it by itself to see why")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - begin, cpu


def cpu_seconds(pid):
    """CPU seconds of a living process so far, all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    ensure_sample("small")
    best = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2 if options.quick else options.repeats):
            for name, (arguments, sign) in COMMANDS.items():
                pair = seconds_until(arguments, sign, folder)
                best[name] = tuple(map(min, best.get(name, pair), pair))
    rows = []
    for name, (beside, most) in ROWS.items():
        (seconds, cpu), (least, least_cpu) = best[name], best[beside]
        goal = f"at most {most:g} s"
        row = report.row(name, seconds, "s", beside, least, goal=goal, met=seconds <= most)
        rows.append({**row, "cpu": cpu, "baseline_cpu": least_cpu})
        print(f"{name}: {cpu:.2f} CPU s, {beside}: {least_cpu:.2f}", flush=True)
    report.show("From the command to what it is for", rows, options.json)


if __name__ == "__main__":
    main()
