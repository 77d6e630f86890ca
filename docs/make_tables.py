"""Writes the tables of docs/ that are made from the code or from the logs of benchmarks, between their markers.

python docs/make_tables.py            after a change of yt8m/recipes/defaults.py, of a model's facts or of docs/results/
"""

import functools
import json
import pathlib

from yt8m import models, registry
from yt8m.recipes import defaults

DOCS = pathlib.Path(__file__).parent
COLUMNS = ("recipe", "used for", "stage", "batch", "learning rate", "schedule", "length", "optimizer", "loss")


def recipe_table():
    """The table of RECIPES in Markdown: a line for each recipe and stage, with the models that use it."""
    rows = [COLUMNS, ["---"] * len(COLUMNS)]
    for name, stages in defaults.RECIPES.items():
        same = len(stages) > 1 and all(values == stages["pretrain"] for values in stages.values())
        for stage, values in stages.items():
            first = stage == "pretrain"
            if same and not first:
                continue
            titles = [_title(name), _users(name)] if first else ["", ""]
            rows.append([*titles, "all" if same else f"`{stage}`", *_settings(values, name, "all" if same else stage)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def methods_table(log="methods", left_out=()):
    """The rows of a log of benchmarks/methods.py in Markdown, but for some: each method beside what it is compared with."""

    def order(row):
        return f"{'yes' if row['met'] else '**no**'}: {row['goal']}" if row["goal"] else ""

    return _compared(log, ("method", "compared with", "order"), order, left_out)


def _compared(log, titles, order, left_out=()):
    """A log's rows in Markdown, each beside its base; MAP of all segments and the share of classes below where any row has one.

    Args:
        log: name under docs/results.
        titles: of the row, of its base, and of what `order` says of a row.
        order: function of a row.
        left_out: names of rows.
    """
    logged, (row_title, base_title, order_title) = [row for row in _log(log)["rows"] if row["name"] not in left_out], titles
    worse = ("classes below",) if any(row.get("worse") is not None for row in logged) else ()
    whole = ("all segments",) if any("map_all" in row for row in logged) else ()
    columns = (row_title, "MAP", *whole, base_title, "its MAP", "difference", *worse, order_title)
    rows, compared = [columns, ["---"] * len(columns)], 2 + len(whole)
    for row in logged:
        cells = [row["name"], _number(row["value"], row["spread"]), *[""] * (len(columns) - 2)]
        if "map_all" in row:
            cells[2] = _number(row["map_all"])
        if row["baseline"]:
            gain = _number(row["gain"], row["gain_spread"], sign="+")
            below = "" if row.get("worse") is None else f"{row['worse']:.0%}"
            cells[compared:] = row["baseline"], _number(row["baseline_value"]), gain, *[below for _ in worse], order(row)
        rows.append(cells)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


STAGES = ("pre-trained", "fine-tuned")


def localization_table():
    """The rows of docs/results/localization.json in Markdown: each model after both stages."""
    values = {row["name"]: _number(row["value"], row["spread"]) for row in _log("localization")["rows"]}
    rows = [("model", "pre-trained on whole videos", "fine-tuned on rated segments"), ["---"] * 3]
    for name in dict.fromkeys(name.split(",")[0] for name in values if "," in name):
        rows.append((name, *(values[f"{name}, {stage}"] for stage in STAGES)))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def precision_table():
    """The rows of docs/results/localization_precision.json in Markdown: a model after both stages in each precision."""
    log = _log("localization_precision")
    values = {row["name"]: row for row in log["rows"]}
    rows = [("model", "pre-trained", "fine-tuned", "difference", "s of CPU a run"), ["---"] * 5]
    for label in [name.removesuffix(", fine-tuned") for name in values if name.endswith(", fine-tuned")]:
        stages = [_number(values[f"{label}, {stage}"]["value"], values[f"{label}, {stage}"]["spread"]) for stage in STAGES]
        of_label = [row for name, row in values.items() if name.startswith(f"{label}: difference")]
        difference = "".join(_number(row["value"], row["spread"], sign="+") for row in of_label)
        rows.append((label, *stages, difference, f"{values[f'{label}: a run']['value']:.0f}"))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def audioset_table(log="audioset"):
    """The rows of a log of benchmarks/audioset.py in Markdown: each in cross-validation, beside what it is compared with."""
    rows = [("row", "mAP", "AUC", "d'", "GAP", "parameters", "compared with", "difference", "order"), ["---"] * 9]
    for row in _log(log)["rows"]:
        measures = [_number(row["auc"]), f"{row['d_prime']:.2f}", _number(row["gap"])]
        measures.append(f"{row['parameters']:,}")
        gain = _number(row["gain"], row["gain_spread"], sign="+") if row["baseline"] else ""
        order = "" if row["met"] is None else f"{'yes' if row['met'] else '**no**'}: {row['goal']}"
        rows.append((row["name"], _number(row["value"], row["spread"]), *measures, row["baseline"], gain, order))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def published_audioset_table():
    """The rows of benchmarks/audioset_published.json in Markdown."""
    path = DOCS.parent / "benchmarks" / "audioset_published.json"
    rows = [("system", "trained on", "mAP", "AUC", "d'", "source"), ["---"] * 6]
    for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
        measures = [_number(row["map"]), "" if row["auc"] is None else _number(row["auc"])]
        measures.append("" if row["d_prime"] is None else f"{row['d_prime']:.2f}")
        rows.append((row["name"], row["trained_on"], *measures, row["source"]))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def montage_table(log="montage"):
    """The rows of a log of benchmarks/montage.py in Markdown: each beside what it is compared with."""
    columns = ("row", "MAP", "all segments", "compared with", "difference", "order", "million parameters", "CPU minutes")
    rows, shown = [columns, ["---"] * len(columns)], set()
    for row in _log(log)["rows"]:
        measures, facts = row.get("measures", {}), ["", "", ""]
        if measures and row["name"] not in shown:
            parameters, seconds = (measures.get(key) for key in ("parameters", "cpu_seconds"))
            facts = [_number(measures["map_all"]), f"{parameters / 1e6:.2f}" if parameters else "",
                     f"{seconds / 60:.1f}" if seconds else ""]  # fmt: skip
        shown.add(row["name"])
        gain = _number(row["gain"], row["gain_spread"], sign="+") if row["baseline"] else ""
        order = f"{'yes' if row['met'] else '**no**'}: {row['goal']}" if row["goal"] else ""
        rows.append((row["name"], _number(row["value"], row["spread"]), facts[0], row["baseline"], gain, order, *facts[1:]))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def montage_time_table():
    """What time says of the rows of docs/results/montage.json: smoothing, the montage's mean, and localisation."""
    columns = ("row", "MAP", "smoothed", "montage's mean", "within", "IoU", "pointing", "AP@.3", "AP@.5", "AP@.7",
               "attention: IoU", "pointing", "AP@.3", "AP@.5", "AP@.7")  # fmt: skip
    rows, shown = [columns, ["---"] * len(columns)], set()
    places = ("iou", "pointing", "ap@0.3", "ap@0.5", "ap@0.7")
    for row in _log("montage")["rows"]:
        measures = row.get("measures")
        if measures and row["name"] not in shown:
            shown.add(row["name"])
            cells = [_number(measures[key]) for key in ("map", "smoothed", "video_mean", "within")]
            cells += [_number(measures["localization"][key]) for key in places]
            cells += [_number(measures["attention"][key]) if "attention" in measures else "" for key in places]
            rows.append((row["name"], *cells))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def montage_attention_segments_table():
    """Attention's intervals by seconds and by segments beside the scores', from docs/results/montage_phases.json."""
    columns = ("row", "MAP", "scores: pointing", "AP@.3", "AP@.5", "attention by seconds: pointing", "AP@.3", "AP@.5",
               "by segments: pointing", "AP@.3", "AP@.5", "share of pairs that each set wins")  # fmt: skip
    rows, shown = [columns, ["---"] * len(columns)], set()
    for row in _log("montage_phases")["rows"]:
        measures = row.get("measures", {})
        if "attention_by_segment" in measures and row["name"] not in shown:
            shown.add(row["name"])
            cells = [
                _number(measures[of][key])
                for of in ("localization", "attention", "attention_by_segment")
                for key in ("pointing", "ap@0.3", "ap@0.5")
            ]
            shares = ", ".join(_number(share, places=2) for share in measures["set_shares"])
            rows.append((row["name"], _number(measures["map"]), *cells, shares))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def montage_sets_table():
    """The rows of docs/results/montage_sets.json in Markdown: numbers of sets, and sets that are kept apart."""
    columns = ("row", "MAP", "all segments", "difference in MAP", "sets that win", "attention: pointing", "million parameters")
    rows = [columns, ["---"] * len(columns)]
    for row in _log("montage_sets")["rows"]:
        if "attention" in row.get("measures", {}):
            measures, gain = row["measures"], _number(row["gain"], row["gain_spread"], sign="+") if row["baseline"] else ""
            cells = [
                _number(measures["map_all"]),
                gain,
                f"{measures['sets_alive']:.1f}",
                _number(measures["attention"]["pointing"]),
            ]
            rows.append((row["name"], _number(row["value"], row["spread"]), *cells, f"{measures['parameters'] / 1e6:.2f}"))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def montage_facts_table():
    """What the montages are like beside the real data, from docs/results/montage.json."""
    rows = [("statistic", "montages", "measured on real data"), ["---"] * 3]
    log = _log("montage")
    for name, value in log["facts"]["statistics"].items():
        real = log["measured"].get(name)
        rows.append((name, f"{value:.3g}", "" if real is None else f"{real:.3g}"))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def montage_attention_table():
    """The rows of docs/results/montage_attention.json in Markdown: a line a model."""
    by_row, names = {}, {}
    for row in _log("montage_attention")["rows"]:
        by_row.setdefault(row["row"], {})[row["measure"]] = row
        names[row["measure"]] = row["name"].split(": ")[1]
    rows = [("row", *names.values()), ["---"] * (1 + len(names))]
    for name, of_row in by_row.items():
        cells = [_number(of_row[key]["value"], of_row[key]["spread"]) if key in of_row else "" for key in names]
        rows.append((name, *cells))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def beyond_table(log="beyond"):
    """The rows of a log in Markdown, of benchmarks/beyond.py or candidates.py: each beside its base."""
    return _compared(log, ("row", "beside", "above"), lambda row: "yes" if row["met"] else "**no**")


def best_table(log="best"):
    """The rows of a log of benchmarks/best.py in Markdown: each beside what it is compared with."""
    rows, places = (
        [("what", "value", "", "beside", "difference", "goal"), ["---"] * 6],
        {"MAP": 3, "": 3, "segments a CPU second": 0},
    )
    for row in _log(log)["rows"]:
        value = _number(row["value"], row["spread"] or None, places=places.get(row["unit"], 1))
        beside = ["", ""]
        if row["baseline"]:
            beside = [f"{row['baseline']}: {_number(row['baseline_value'])}", _number(row["gain"], row["gain_spread"], sign="+")]
        goal = "" if row["met"] is None else f"{'yes' if row['met'] else '**no**'}: {row['goal']}"
        rows.append((row["name"], value, row["unit"], *beside, goal))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def on_machine(log, table):
    """A line that says what a log was measured on, and a table under it.

    Args:
        log: name under docs/results.
        table: function that makes the table.
    """
    machine = _log(log)["machine"]
    line = f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']:.1f} when the run ended, its own included"
    return f"Measured on {machine['time'][:10]}: {line}.\n\n{table()}"


def speed_table():
    """The steps of docs/results/train_step.json in Markdown: a line a model, each precision's CPU time, share and memory.

    The matrix rate is that of the step's own process. Shares that miss their goal are bold.
    """
    columns = ("model", "million weights", "GFLOP a step", "optimizer: ms of CPU",
               "float32: ms of CPU", "matrix rate", "share", "GB",
               "bfloat16: ms of CPU", "matrix rate", "share", "GB", "faster")  # fmt: skip
    rows, steps, logged = [columns, ["---"] * len(columns)], {}, _log("train_step")["rows"]
    missed = {row["name"] for row in logged if row["met"] is False}
    for row in logged:
        if "precision" in row:
            steps.setdefault(row["model"], {})[row["precision"]] = row
    for name, by_precision in steps.items():
        full, half = by_precision["float32"], by_precision["mixed_bfloat16"]
        cells = [f"{full['parameters'] / 1e6:.1f}", f"{full['operations'] / 1e9:.1f}", f"{full['optimizer_ms']:.0f}"]
        for row in (full, half):
            bold = "**" if f"{name}, {row['precision']}: share of the matrix rate" in missed else ""
            share = f"{bold}{row['share']:.0%}{bold}"
            cells += [f"{row['cpu_ms']:,.0f}", f"{row['cpu_rate'] / 1e9:,.0f}", share, f"{row['gb']:.1f}"]
        model, comma, size = name.partition(", ")
        rows.append((f"`{model}`{comma}{size}", *cells, f"{full['cpu_ms'] / half['cpu_ms']:.2f} x"))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def recurrent_table():
    """The steps of docs/results/recurrent.json in Markdown: a line a model and precision, our recurrent layers and Keras'."""
    columns = ("model", "type", "Keras' layers: ms of CPU", "share", "GB", "ours: ms of CPU", "share", "GB", "faster")
    rows = [columns, ["---"] * len(columns)]
    for row in _log("recurrent")["rows"]:
        if "recurrent" in row:
            theirs = f"{row['baseline_value']:,.0f}", f"{row['keras_share']:.0%}", f"{row['keras_gb']:.1f}"
            ours = f"{row['value']:,.0f}", f"{row['share']:.0%}", f"{row['gb']:.1f}"
            rows.append((f"`{row['recurrent']}`", row["type"].removeprefix("mixed_"), *theirs, *ours, f"{row['ratio']:.2f} x"))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def scoring_table():
    """The rows of docs/results/scoring.json in Markdown: segments a CPU second."""
    rows = [("", "segments a CPU second", "share of the matrix rate", "beside", "its", "ratio"), ["---"] * 6]
    for row in _log("scoring")["rows"]:
        share = f"{row['share']:.0%}" if "share" in row else ""
        beside = row["baseline"], f"{row['baseline_cpu_rate']:,.0f}", f"{row['cpu_ratio']:.1f} x"
        values = f"{row['cpu_rate']:,.0f}", share, *beside
        rows.append((row["name"], *values))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def beside_table(log, cpu="", places=2):
    """The rows of a log in Markdown: ours beside another where there is one, in one run.

    Args:
        log: name under docs/results.
        cpu: title of a column of the rows' CPU times; "": there is none.
        places: of the ratios.
    """
    columns = ("", "ours", *filter(None, [cpu]), "beside", "its value", "ours is better by", "goal", "reached")
    rows = [columns, ["---"] * len(columns)]
    for row in _log(log)["rows"]:
        cells = [f"{_grouped(row['value'])} {row['unit']}"]
        if cpu:
            cells.append(_grouped(row["cpu"]) if row.get("cpu") else "")
        beside = ["", "", ""]
        if row["baseline_value"] is not None:
            beside = [row["baseline"], f"{_grouped(row['baseline_value'])} {row['unit']}", f"{row['ratio']:,.{places}f} x"]
        rows.append((row["name"], *cells, *beside, row["goal"], {True: "yes", False: "**no**", None: ""}[row["met"]]))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


reader_table = functools.partial(beside_table, "reader", "us of CPU a segment")
optimizer_table = functools.partial(beside_table, "optimizer")
topn_table = functools.partial(beside_table, "topn", places=0)
metrics_table = functools.partial(beside_table, "metrics", "s of CPU", places=1)


def operations_table():
    """The rows of docs/results/operations.json in Markdown: a way to compute something, beside another."""
    rows = [("", "ms of CPU", "beside", "its ms", "ratio"), ["---"] * 5]
    for row in _log("operations")["rows"]:
        rows.append(
            (row["name"], f"{row['value']:.1f}", row["baseline"], f"{row['baseline_value']:.1f}", f"{row['ratio']:.1f} x")
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def step_profile_table():
    """The rows of docs/results/step_profile.json in Markdown: how a step's time is shared out."""
    kinds = list(_log("step_profile")["rows"][0]["shares"])
    rows = [("model", "type", *kinds, "rate of the products", "longest of the others"), ["---"] * (len(kinds) + 4)]
    for row in _log("step_profile")["rows"]:
        shares = [f"{row['shares'][kind]:.0%}" for kind in kinds]
        longest = ", ".join(f"{operation} {share:.0%}" for operation, share in row["longest"].items())
        kind = "float32" if row["precision"] == "float32" else "bfloat16"
        model, comma, size = row["model"].partition(", ")
        rows.append((f"`{model}`{comma}{size}", kind, *shares, f"{row['product_rate']:.0%}", longest))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _grouped(value):
    """4,200; 31.3; 0.96"""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def _log(name):
    return json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))


def video_level_table(log="video_level"):
    """The rows of a log of benchmarks/video_level.py in Markdown."""
    measures = ("gap", "hit_at_one", "perr", "map")
    rows = [("row", "GAP@20", "Hit@1", "PERR", "MAP", "weights", "compared with", "difference in GAP"), ["---"] * 8]
    for row in _log(log)["rows"]:
        gain = _number(row["gain"], row["gain_spread"], sign="+", places=4) if row["baseline"] else ""
        values = [_number(row["gap"], row["spread"], places=4), *(_number(row[measure]) for measure in measures[1:])]
        rows.append((row["name"], *values, f"{row['parameters'] / 1e6:.1f} M", row["baseline"], gain))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def start_table():
    """The rows of docs/results/start.json in Markdown: seconds of each command, and CPU seconds, beside those of less."""
    rows = [("command", "seconds", "CPU seconds", "beside", "its seconds", "goal", "reached"), ["---"] * 7]
    for row in _log("start")["rows"]:
        seconds = f"{row['value']:.2f}", f"{row['cpu']:.2f}", row["baseline"], f"{row['baseline_value']:.2f}"
        rows.append((row["name"], *seconds, row["goal"], "yes" if row["met"] else "**no**"))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def scaling_table():
    """The rows of docs/results/scaling.json in Markdown, with the arithmetic of what is estimated."""
    rows = [("", "value", "beside", "its value", "arithmetic"), ["---"] * 5]
    for row in _log("scaling")["rows"]:
        beside = f"{_grouped(row['baseline_value'])} {row['unit']}" if row["baseline"] else ""
        rows.append((row["name"], f"{_grouped(row['value'])} {row['unit']}", row["baseline"], beside, row.get("arithmetic", "")))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def starter_table():
    """The rows of benchmarks/video_level_published.json in Markdown."""
    measures = ("gap", "hit_at_one", "perr", "map")
    rows = [("starter code", "GAP@20 on 0070-0079", "GAP@20 on 7,392 others", "Hit@1", "PERR", "MAP"), ["---"] * 6]
    path = DOCS.parent / "benchmarks" / "video_level_published.json"
    for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
        values = [_number(row["test"][measure]) for measure in measures]
        rows.append((row["name"], _number(row["validation"]["gap"]), *values))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _number(value, spread=None, sign="", places=3):
    """.889 ± .005"""
    digits = f"{value:{sign}.{places}f}".replace("0.", ".", 1)
    return digits if spread is None else f"{digits} ± {spread:.{places}f}".replace("± 0.", "± .")


# What is between a page's markers -> (the page, the function that makes it).
CEILINGS = ("chance", "oracle")  # of rated segments, where a table is over all
TABLES = {
    "recipes": (DOCS / "training.md", recipe_table),
    "methods": (DOCS / "results.md", methods_table),
    "methods_losses": (DOCS / "results.md", functools.partial(methods_table, "methods_losses")),
    "methods_student": (DOCS / "results.md", functools.partial(methods_table, "methods_student")),
    "methods_distillation": (DOCS / "results.md", functools.partial(methods_table, "methods_distillation")),
    "methods_em": (DOCS / "results.md", functools.partial(methods_table, "methods_em")),
    "audioset": (DOCS / "results.md", audioset_table),
    "audioset_epochs": (DOCS / "results.md", functools.partial(audioset_table, "audioset_epochs")),
    "audioset_parts": (DOCS / "results.md", functools.partial(audioset_table, "audioset_parts")),
    "audioset_branches": (DOCS / "results.md", functools.partial(audioset_table, "audioset_branches")),
    "audioset_published": (DOCS / "results.md", published_audioset_table),
    "starter": (DOCS / "results.md", starter_table),
    "video_level": (DOCS / "results.md", video_level_table),
    "video_level_plain": (DOCS / "results.md", functools.partial(video_level_table, "video_level_plain")),
    "montage": (DOCS / "results.md", montage_table),
    "montage_sequences": (DOCS / "results.md", functools.partial(montage_table, "montage_sequences")),
    "montage_em": (DOCS / "results.md", functools.partial(montage_table, "montage_em")),
    "montage_every": (DOCS / "results.md", functools.partial(montage_table, "montage_every")),
    "montage_cnn": (DOCS / "results.md", functools.partial(montage_table, "montage_cnn")),
    "montage time": (DOCS / "results.md", montage_time_table),
    "montage attention segments": (DOCS / "results.md", montage_attention_segments_table),
    "montage facts": (DOCS / "results.md", montage_facts_table),
    "montage attention": (DOCS / "results.md", montage_attention_table),
    "montage sets": (DOCS / "results.md", montage_sets_table),
    "localization": (DOCS.parent / "README.md", localization_table),
    "speed": (DOCS / "speed.md", functools.partial(on_machine, "train_step", speed_table)),
    "operations": (DOCS / "speed.md", functools.partial(on_machine, "operations", operations_table)),
    "step_profile": (DOCS / "speed.md", functools.partial(on_machine, "step_profile", step_profile_table)),
    "recurrent": (DOCS / "speed.md", functools.partial(on_machine, "recurrent", recurrent_table)),
    "precision": (DOCS / "speed.md", precision_table),
    "montage precision": (DOCS / "speed.md", functools.partial(montage_table, "montage_precision")),
    "scoring": (DOCS / "speed.md", functools.partial(on_machine, "scoring", scoring_table)),
    "reader": (DOCS / "speed.md", functools.partial(on_machine, "reader", reader_table)),
    "start": (DOCS / "scaling.md", functools.partial(on_machine, "start", start_table)),
    "scaling": (DOCS / "scaling.md", functools.partial(on_machine, "scaling", scaling_table)),
    "beyond": (DOCS / "beyond.md", beyond_table),
    "beyond_ensemble": (DOCS / "beyond.md", functools.partial(beyond_table, "beyond_ensemble")),
    "candidates": (DOCS / "beyond.md", functools.partial(beyond_table, "candidates")),
    "methods_class_conditional": (DOCS / "beyond.md", functools.partial(methods_table, "methods_class_conditional")),
    "methods_rankers": (DOCS / "beyond.md", functools.partial(methods_table, "methods_rankers")),
    "methods_candidates": (DOCS / "beyond.md", functools.partial(methods_table, "methods_candidates", CEILINGS)),
    "best": (DOCS / "beyond.md", best_table),
    "best_embedding": (DOCS / "beyond.md", functools.partial(best_table, "best_embedding")),
    "best_pairwise": (DOCS / "beyond.md", functools.partial(best_table, "best_pairwise")),
    "best_negatives": (DOCS / "beyond.md", functools.partial(best_table, "best_negatives")),
    "candidates_attention": (DOCS / "beyond.md", functools.partial(beyond_table, "candidates_attention")),
    "best_attention": (DOCS / "beyond.md", functools.partial(best_table, "best_attention")),
    "best_class_trees_ranks": (DOCS / "beyond.md", functools.partial(best_table, "best_class_trees_ranks")),
    "best_lists": (DOCS / "beyond.md", functools.partial(best_table, "best_lists")),
    "best_candidates": (DOCS / "beyond.md", functools.partial(best_table, "best_candidates")),
    "best_localizer": (DOCS / "beyond.md", functools.partial(best_table, "best_localizer")),
    "best_class_trees": (DOCS / "beyond.md", functools.partial(best_table, "best_class_trees")),
    "montage_beyond": (DOCS / "beyond.md", functools.partial(montage_table, "montage_beyond")),
    "montage_two_levels": (DOCS / "beyond.md", functools.partial(montage_table, "montage_two_levels")),
    "montage_segment_classes": (DOCS / "beyond.md", functools.partial(montage_table, "montage_segment_classes")),
    "montage_bert": (DOCS / "beyond.md", functools.partial(montage_table, "montage_bert")),
    "methods_beyond": (DOCS / "beyond.md", functools.partial(methods_table, "methods_beyond")),
    "methods_trainings": (DOCS / "beyond.md", functools.partial(methods_table, "methods_trainings")),
    "methods_mixtures": (DOCS / "beyond.md", functools.partial(methods_table, "methods_mixtures")),
    "audioset_beyond": (DOCS / "beyond.md", functools.partial(audioset_table, "audioset_beyond")),
    "audioset_networks": (DOCS / "beyond.md", functools.partial(audioset_table, "audioset_networks")),
    "audioset_mixtures": (DOCS / "beyond.md", functools.partial(audioset_table, "audioset_mixtures")),
    "video_level_folds": (DOCS / "beyond.md", functools.partial(video_level_table, "video_level_folds")),
    "video_level_beyond": (DOCS / "beyond.md", functools.partial(video_level_table, "video_level_beyond")),
    "optimizer": (DOCS / "speed.md", functools.partial(on_machine, "optimizer", optimizer_table)),
    "topn": (DOCS / "speed.md", functools.partial(on_machine, "topn", topn_table)),
    "metrics": (DOCS / "speed.md", functools.partial(on_machine, "metrics", metrics_table)),
}


def page(name):
    """A page as it should be: its text with the table of that name made anew."""
    path, table = TABLES[name]
    begin, end = f"<!-- {name}: made by docs/make_tables.py -->\n", f"<!-- {name}: end -->\n"
    before, rest = path.read_text(encoding="utf-8").split(begin)
    return before + begin + table() + end + rest.split(end)[1]


def _title(name):
    return f"{name} ({defaults.PAPERS[name]})" if name in defaults.PAPERS else name


def _users(name):
    """The models that have a recipe, and how many frames they see beside a segment."""
    if name == "sample":
        return "every model on the built-in sample"
    if name == "starter":
        return "all other models"
    users = []
    for model in defaults.models_of(name):
        frames = registry.get("model", model).SEGMENT_EXPANSION
        users.append(f"{model} (+{frames} frames)" if frames else model)
    return ", ".join(users)


def _settings(values, name, stage):
    """Cells of the training settings."""
    batch, rate = f"{values['batch_size']} {_unit(values, stage)}", f"{values['base_learning_rate']:g}"
    if name == "sample":
        rate += _exceptions("base_learning_rate") if stage == "pretrain" else " and as above"
    schedule = values.get("schedule", "staircase")
    if schedule == "staircase":
        examples = values.get("learning_rate_decay_examples", defaults.DECAY_EXAMPLES)
        schedule = f"x {values['learning_rate_decay']:g} every {examples / 1e6:g}M examples"
    elif "warmup_fraction" in values:
        schedule += f", up over {values['warmup_fraction']:g}"
    length = f"{values['max_steps']:,} steps" if "max_steps" in values else f"{values['num_epochs']} epochs"
    optimizer = values.get("optimizer", "AdamOptimizer").removesuffix("Optimizer")
    if "weight_decay" in values:
        optimizer += f", decay {values['weight_decay']:g}"
    if "optimizer_epsilon" in values:
        optimizer += f", epsilon {values['optimizer_epsilon']:.0e}"
    if "clip_gradient_norm" in values:
        optimizer += f", clip {values['clip_gradient_norm']:g} ({values['clip']})"
    return batch, rate, schedule, length, optimizer, values.get("default_loss", "CrossEntropyLoss").removesuffix("Loss")


def _unit(values, stage):
    """What the batch of a stage counts."""
    if values.get("batch_unit") == "videos" or stage == "pretrain":
        return "videos"
    return "videos; segments" if stage == "all" else "segments"


def _exceptions(fact):
    """The models whose SAMPLE has another value of `fact`, for a cell."""
    groups = {}
    for model in models.model_names():
        sample = registry.get("model", model).SAMPLE
        if fact in sample:
            groups.setdefault(sample[fact], []).append(model)
    return "".join(f"; {value:g}: {', '.join(names)}" for value, names in groups.items())


if __name__ == "__main__":
    for name, (path, _) in TABLES.items():
        path.write_text(page(name), encoding="utf-8")
