"""Expectation and maximisation (paper 004, section 5, Algorithm 1), every step of it resumable."""

import dataclasses
import json
import os

from yt8m import config as configs
from yt8m.files import write_text
from yt8m.readers.patterns import match_files, shards
from yt8m.stages import by_name, em_files, evaluate
from yt8m.stages.estep import e_step
from yt8m.stages.start import remaining
from yt8m.training import hosts, stopping
from yt8m.training.data import segment_spec


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model of the process and how it is trained.

    Attributes:
        name: "F" (pre-trained on videos), "F1" (on labels within the videos' labels) or "F2" (on labels without that prior).
        model: ModelConfig.
        stages: TrainConfigs in their order, of one train_dir; the M-step's pseudo_labels are what the E-step makes.
    """

    name: str
    model: configs.ModelConfig
    stages: tuple

    @property
    def train_dir(self):
        """Folder of its run."""
        return self.stages[0].train_dir

    @property
    def pseudo_labels(self):
        """Folder of the labels of its M-step; F has none."""
        return self.stages[0].pseudo_labels


@dataclasses.dataclass(frozen=True)
class Plan:
    """The whole process; make_plan makes it, with a folder in the train_dir for every step.

    Attributes:
        train_dir: folder.
        data_pattern: shards of whole videos, {(X, y)}.
        rated_pattern: shards with rated segments, {(X_s, y_s)}; the candidates' fold of them is the validation set.
        initial: the Candidate F.
        candidates: (F1, F2) of each iteration of E- and M-step.
        threshold: delta of eq. 18 and 19.
        folds, fold: every folds-th shard of rated_pattern from the fold-th on is for validation.
    """

    train_dir: str
    data_pattern: str
    rated_pattern: str
    initial: Candidate
    candidates: tuple
    threshold: float = 0.9
    folds: int = 8
    fold: int = 0


def make_plan(train_dir, data_pattern, rated_pattern, make_candidate, iterations=2, **options):
    """The Plan of a number of iterations.

    Args:
        train_dir, data_pattern, rated_pattern: as Plan's.
        make_candidate: function (name, train_dir, pseudo_labels) -> Candidate whose stages have that train_dir, and whose M-step
            has these pseudo_labels: of "F", without pseudo-labels (""), and in each iteration of "F1" and "F2".
        iterations: of E- and M-step, at least 1.
        **options: threshold, folds and fold of the Plan.
    """
    initial = make_candidate("F", os.path.join(train_dir, "initial"), "")
    folders = [os.path.join(train_dir, f"iteration-{iteration}") for iteration in range(1, iterations + 1)]
    candidates = tuple(
        tuple(make_candidate(f"F{n}", os.path.join(folder, f"F{n}"), os.path.join(folder, f"labels-{n}")) for n in (1, 2))
        for folder in folders
    )
    return Plan(train_dir, data_pattern, rated_pattern, initial, candidates, **options)


def em(plan, callbacks=()):
    """Algorithm 1. A step whose result is there is not done again; a step that was cut short goes on where it was.

    In the end the train_dir holds the last iteration's F, as a run that eval.py and inference.py can be given. The algorithm's
    sets 1 and 2 of labels are those of eq. 19 and 18; here, as in the equations, set 1 is the one with the videos' labels as a
    prior. Several hosts train together, share the E-step's shards out, and go by what the chief has written.

    Args:
        plan: Plan.
        callbacks: keras.callbacks.Callback objects, for every training.

    Returns:
        The report, a list of dicts (one a trained model), or None when SIGTERM stopped it.

    Raises:
        UserError: no shards, or a train_dir that holds something else.
    """
    check(plan)
    em_files.note_plan(plan)
    f, result = plan.initial, train(plan, plan.initial, callbacks)  # lines 1 to 3: initialise, pre-train, fine-tune
    if result is None:
        return None
    rows = [{"iteration": 0, **result}]
    for iteration, candidates in enumerate(plan.candidates, start=1):  # line 4
        labels = e_step(plan, f.train_dir, [candidate.pseudo_labels for candidate in candidates])  # lines 5, 6: E-step
        results = []
        for candidate in candidates:
            result = train(plan, candidate, callbacks)  # lines 7 to 9: M-step, fine-tune
            if result is None:
                return None
            results.append(result)
        best = max(results, key=lambda result: result["map"])  # line 10
        f = candidates[results.index(best)]
        for its_labels, result in zip(labels, results):
            rows.append({"iteration": iteration, **its_labels, **result, "kept": result is best})
        if hosts.is_chief():
            em_files.write_report(plan, rows)
    if hosts.is_chief():
        em_files.publish(plan, f.train_dir)  # what line 12 predicts with
        em_files.show(rows)
    hosts.wait()
    return rows


def check(plan):
    """Refuses what cannot be done, before anything is trained.

    Raises:
        UserError: a pattern that names no shards, for training or for validation.
    """
    for held_out in (False, True):
        shards(rated_fold(plan, held_out))
    match_files(plan.data_pattern, "train_data_pattern")


def rated_fold(plan, held_out):
    """The DataSpec of the rated shards that the candidates learn from, or of those that judge them."""
    changes = {"pattern_flag": "rated_data_pattern", "fold": (plan.fold, plan.folds), "held_out": held_out}
    return segment_spec(plan.initial.model, plan.rated_pattern, **changes)


def train(plan, candidate, callbacks):
    """Trains a candidate through its stages, from the one on that it is at, and judges it on the validation fold.

    Args:
        plan, callbacks: as em's.
        candidate: Candidate.

    Returns:
        dict: `name`, `model`, `after_mstep` (MAP on the validation fold before fine-tuning), `map` and `auc` after it; None when
        SIGTERM stopped it.
    """
    result = em_files.read_result(candidate.train_dir)
    if result is not None:
        return result
    print(f"{os.path.relpath(candidate.train_dir, plan.train_dir)}: {candidate.model.model}")
    for stage in remaining(candidate.stages):
        model = by_name.FUNCTIONS[stage.stage](stage, candidate.model, callbacks)
        if model is None or stopping.stops_after(stage.stage):
            return None
        if stage.stage == "mstep" and stage is not candidate.stages[-1]:
            write(candidate, em_files.AFTER_MSTEP, validate(plan, model, candidate.model)["map"])
    metrics = validate(plan, model, candidate.model)
    result = {
        "name": candidate.name,
        "model": candidate.model.model,
        "after_mstep": em_files.read_after_mstep(candidate.train_dir),
        "map": metrics["map"],
        "auc": metrics["auc"],
    }
    write(candidate, em_files.RESULT, result)
    return em_files.read_result(candidate.train_dir)


def write(candidate, name, value):
    """Writes a JSON file of a candidate: of several hosts, which may differ in a last bit, the chief's, for which all wait."""
    if hosts.is_chief():
        write_text(os.path.join(candidate.train_dir, name), json.dumps(value) + "\n")
    hosts.wait()


def validate(plan, model, config):
    """MAP and AUC on the validation fold."""
    return evaluate.evaluate_segments(
        model, config, plan.rated_pattern, fold=(plan.fold, plan.folds), pattern_flag="rated_data_pattern"
    )
