"""Do the papers' orderings come out where the truth is known? Montages of real videos, over several seeds.

Montages (benchmarks/montages.py) are made once from a folder of YouTube-8M's video-level shards, of disjoint sources for
training, rated, held-out and test montages. Every row of a group has the same recipe and the same number of steps, all of them in
benchmarks/montage_rows.py, chosen without the test part. A row is trained and measured once for each seed: what
is done is kept in the work folder and not done again by the same version of the code; rows of other versions are not looked at.

  python benchmarks/montage.py --data DIR                            all groups, 3 seeds; not yet run whole, hours on two cores
  python benchmarks/montage.py --data DIR --only phases context      some of them
  python benchmarks/montage.py --data DIR --json FILE                the rows, with each seed's values
  python benchmarks/montage.py --data DIR --quick                    tiny montages, a few steps, one seed: minutes
"""

import dataclasses
import json
import os
import statistics
import subprocess
import sys

import report
from montage_groups import GROUPS, KEPT

from yt8m.files import write_text

QUICK = dict(num_train_videos=40, num_rated_videos=24, num_held_out_videos=16, num_test_videos=24, num_classes=20,
             num_segment_classes=8, lengths=(30, 40, 50, 60, 60))  # fmt: skip
QUICK_GROUPS = ("phases", "context", "ensemble")

# ---------------------------------------------------------------- the table

MEASURES = ("map", "auc", "held_out_map", "map_all", "smoothed", "video_mean", "within")


def rows_of(records, comparisons, seeds):
    """Rows of the table.

    Args:
        records: {(row, seed): record}; comparisons: (row, compared with, goal); seeds: that every row of the table has.

    Returns:
        rows of report.show, each with its seeds' values and measures; a row that lacks a seed is left out.
    """
    rows, shown = [], set()

    def values(name, measure="map"):
        return [records[name, seed][measure] for seed in seeds]

    def add(name, baseline="", goal=""):
        if any((row, seed) not in records for row in (name, baseline) if row for seed in seeds):
            return
        ours, more = values(name), {}
        if baseline:
            theirs = values(baseline)
            gains = [a - b for a, b in zip(ours, theirs)]
            certainty = f"{statistics.mean(gains):+.4f}" + (f" ±{report.error(gains):.4f}" if len(gains) > 1 else "")
            more = dict(gain=statistics.mean(gains), gain_spread=report.error(gains))
            row = report.row(name, statistics.mean(ours), f"MAP ({certainty})", baseline, statistics.mean(theirs), None, goal,
                             report.reached(goal, gains), report.error(ours))  # fmt: skip
        else:
            row = report.row(name, statistics.mean(ours), "MAP", spread=report.error(ours))
        of_seeds = [records[name, seed] for seed in seeds]
        measures = {measure: statistics.mean(values(name, measure)) for measure in MEASURES}
        for what in ("localization", "attention", "attention_by_segment"):
            if what in of_seeds[0]:
                measures[what] = {key: statistics.mean(of[what][key] for of in of_seeds) for key in of_seeds[0][what]}
        for what in ("parameters", "seconds", "cpu_seconds", "sets_alive", "num_labels", "precision"):
            if of_seeds[0].get(what) is not None:
                measures[what] = statistics.mean(of[what] for of in of_seeds)
        if of_seeds[0].get("set_shares"):  # of the set that wins most, the second, and so on
            measures["set_shares"] = [
                statistics.mean(of_sets) for of_sets in zip(*(sorted(of["set_shares"], reverse=True) for of in of_seeds))
            ]
        rows.append({**row, **more, "group": of_seeds[0]["group"], "seeds": ours, "measures": measures})
        shown.add(name)

    for name, baseline, goal in comparisons:
        if baseline not in shown:
            add(baseline)
        add(name, baseline, goal)
    return rows


# ---------------------------------------------------------------- the command


def comparisons_of(groups):
    """What the groups compare, without training anything."""

    class Nothing:
        """A Runs that does nothing."""

        rows, seed = type("All", (), {"__contains__": lambda self, name: True})(), 1

        def __getattr__(self, name):
            return lambda *arguments, **options: ""

    return [comparison for name in groups for comparison in GROUPS[name](Nothing())]


def settings_of(options):
    """montages.Settings of the command's flags."""
    import montages

    return montages.Settings(**QUICK) if options.quick else montages.Settings()


def run_group(options, group, seed):
    """One group of one seed; in a process of its own, whose memory goes with it."""
    import montage_files
    import montage_runs

    made = montage_files.ensure_montages(options.work, options.data, settings_of(options))
    runs = montage_runs.Runs(options.work, made, f"{report.version_of_code()} {made.key}", seed, options.quick)
    runs.group = group
    list(GROUPS[group](runs))
    runs.drop(*KEPT)  # in the end: what a later group needs and is not kept is trained again


def train_group(options, group, seeds):
    """A group of rows, a process a seed; one that fails is said, and the others go on."""
    flags = [f"--data={options.data}", f"--work={options.work}", *(["--quick"] if options.quick else [])]
    for seed in range(1, seeds + 1):
        command = [sys.executable, os.path.abspath(__file__), *flags, "--run", group, str(seed)]
        code = subprocess.run(command, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}).returncode
        if code:
            print(f"{group}, seed {seed}: ended with {code}; its rows are left out.", flush=True)


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--work", default="montage_work", help="folder of montages, checkpoints, scores and rows")
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="GROUP", help=f"groups of rows: {', '.join(GROUPS)}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="train nothing: the table of what is done")
    parser.add_argument("--version", help="with --table: rows of this version of the code, a commit; default: of this one")
    parser.add_argument("--run", nargs=2, metavar=("GROUP", "SEED"), help="one group of one seed, without a table")
    options = parser.parse_args()
    if not options.data:
        parser.error("--data: name a folder of YouTube-8M's video-level shards (*.tfrecord)")
    if options.version and not options.table:
        parser.error(f"--version={options.version}: only with --table; other rows are of this version")
    if options.run:
        run_group(options, options.run[0], int(options.run[1]))
        return
    groups = options.only or (QUICK_GROUPS if options.quick else tuple(GROUPS))
    seeds = 1 if options.quick else options.seeds
    import montage_files
    import montage_runs
    import montage_statistics

    made = montage_files.ensure_montages(options.work, options.data, settings_of(options))
    for group in () if options.table else groups:
        train_group(options, group, seeds)
    facts = montage_statistics.ensure_facts(made, options.data, settings_of(options), quick=options.quick)
    montage_statistics.show(facts)
    version = f"{options.version or report.version_of_code()} {made.key}"
    records = montage_runs.read_rows(options.work, version)
    if options.version and not records:
        parser.error(f"--version={options.version}: no row of it in {options.work}. Name a commit as rows.jsonl has it.")
    rows = [report.row(name, facts[key], "MAP") for name, key in montage_statistics.CEILINGS.items() if key in facts]
    rows += rows_of(records, comparisons_of(groups), range(1, seeds + 1))
    missing = {name for name, _, _ in comparisons_of(groups) for seed in range(1, seeds + 1) if (name, seed) not in records}
    if missing:
        print(f"Not there yet for all {seeds} seeds, and left out: {', '.join(sorted(missing))}.", flush=True)
    report.show(f"Montages, test part, {seeds} seeds, version {version}", rows, options.json)
    if options.json:
        with open(options.json, encoding="utf-8") as file:
            written = json.load(file)
        settings = dataclasses.asdict(settings_of(options))
        more = {"version": version, "settings": settings, "facts": facts, "measured": montage_statistics.MEASURED}
        write_text(options.json, json.dumps({**written, **more}, indent=1))


if __name__ == "__main__":
    main()
