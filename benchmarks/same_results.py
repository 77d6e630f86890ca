"""Do two checkouts of the project give the same results, bit for bit?

  python benchmarks/same_results.py OLD_CHECKOUT [NEW_CHECKOUT]          NEW_CHECKOUT: this one

Runs the bare commands and those of the starter code's README on the built-in sample's shards, and short runs of models of every
kind, in each checkout, on the CPU. Compares every tensor of the newest checkpoints, and every byte of the CSV files. A checkout's
results are kept in --results and not made again.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import textwrap

HERE = pathlib.Path(__file__).resolve().parent.parent
SHORT = "--max_steps=6 --batch_size=16"
FRAME = "--frame_features --feature_names=rgb,audio --feature_sizes=1024,128"
# (folder of the run, commands in it); {run} is its train_dir, {train} ... shards of the sample
RUNS = {
    "bare": [
        "train.py --model=MultiAttentionModel --train_dir={run}",
        "eval.py --segment_labels --train_dir={run}",
        "inference.py --segment_labels --train_dir={run}",
        "segment_eval_inference.py --train_dir={run}",
    ],
    "starter_frame_level": [
        f"train.py {FRAME} --model=FrameLevelLogisticModel --train_data_pattern={{train}} --num_classes=200 --train_dir={{run}} "
        + SHORT,
        f"train.py --segment_labels {FRAME} --train_data_pattern={{rated}} --num_classes=200 --train_dir={{run}} --max_steps=6",
        "eval.py --segment_labels --eval_data_pattern={held_out} --train_dir={run} --run_once",
        "inference.py --segment_labels --segment_label_ids_file={ids} --input_data_pattern={test} --train_dir={run} "
        "--output_file={run}/submission.csv --scores_output={run}/scores",
        "segment_eval_inference.py --submission_file={run}/submission.csv --eval_data_pattern={test_ratings}",
    ],
    "starter_video_level": [
        "train.py --feature_names=mean_rgb,mean_audio --feature_sizes=1024,128 --model=MoeModel "
        f"--train_data_pattern={{video_train}} --num_classes=200 --train_dir={{run}} {SHORT}",
        "eval.py --eval_data_pattern={video_validate} --train_dir={run} --run_once",
        "inference.py --input_data_pattern={video_validate} --train_dir={run} --output_file={run}/predictions.csv",
    ],
    **{
        model: [
            f"train.py --model={model} --train_dir={{run}} {SHORT} --seed=3 {more}",
            "inference.py --segment_labels --train_dir={run} --segment_max_pred=500",
        ]
        for model, more in (
            ("DbofModel", ""),
            ("GatedDbofModel", "--segment_expansion=3 --augment_virtual_segments=0.4"),
            ("NeXtVladModel", "--label_loss=SampledNegativeLoss"),
            ("NetVladModel", "--ema_momentum=0.9"),
            ("CnnModel", "--folds=2"),
            ("LstmModel", "--learning_rate_multipliers=head=0.5"),
            ("BiGruModel", ""),
            ("TransformerModel", "--hyperparameters=fusion=late"),
            ("ContextAwareModel", ""),
            ("JointContextModel", ""),
            ("LogisticModel", "--segment_classes_only"),
            ("AttentionModel", "--start_time_weight=0.5"),
        )
    },
    "em": [
        f"train.py --stage=em --model=FrameLevelLogisticModel --em_models=TransformerModel,FrameLevelLogisticModel "
        f"--em_iterations=1 --em_threshold=0.2 --train_dir={{run}} {SHORT}",
        "eval.py --segment_labels --train_dir={run}",
    ],
}


def results(checkout, folder, environment):
    """{run: {what: digest}} of a checkout."""
    shards = sample_of(checkout, environment)
    digests = {}
    for name, commands in RUNS.items():
        run = folder / name
        for command in commands:
            words = shlex.split(command.format(run=run, **shards))
            print(f"{checkout}: {' '.join(words)}"[:160], flush=True)
            done = subprocess.run([sys.executable, *words], cwd=checkout, env=environment, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"exit {done.returncode}: {done.stderr.strip()[-1500:]}")
        digests[name] = digests_of(run)
    return digests


def sample_of(checkout, environment):
    """Patterns of the built-in sample's shards."""
    code = textwrap.dedent("""
        import dataclasses, json
        try:
            from yt8m.sample.sample import ensure_sample
        except ImportError:
            from yt8m.readers.sample import ensure_sample
        print(json.dumps(dataclasses.asdict(ensure_sample("small")), default=str))
    """)
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, env=environment, capture_output=True, text=True, check=True)
    sample = json.loads(done.stdout.splitlines()[-1])
    patterns = {name.removesuffix("_pattern"): value for name, value in sample.items() if name.endswith("_pattern")}
    return {**patterns, "ids": sample["segment_label_ids_file"]}


def digests_of(run):
    """{path and tensor: digest} of the checkpoints, CSV files and scores below a folder."""
    import tensorflow as tf

    found = {}
    for path in sorted(run.rglob("*")):
        name = str(path.relative_to(run))
        if path.name == "checkpoint":
            reader = tf.train.load_checkpoint(str(path.parent))
            for tensor in sorted(reader.get_variable_to_shape_map()):
                if tensor != "_CHECKPOINTABLE_OBJECT_GRAPH":
                    value = reader.get_tensor(tensor)
                    found[f"{name}:{tensor}"] = hashlib.sha256(getattr(value, "tobytes", lambda v=value: v)()).hexdigest()[:16]
        elif path.suffix in (".csv", ".scores", ".npy"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new", nargs="?", default=str(HERE))
    parser.add_argument("--results", help="folder for what the checkouts make; default: a temporary one")
    arguments = parser.parse_args()
    folder = pathlib.Path(arguments.results or tempfile.mkdtemp(prefix="same-results-"))
    environment = {**os.environ, "YT8M_CACHE": str(folder / "cache"), "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": ""}
    made = []
    for side, checkout in (("old", arguments.old), ("new", arguments.new)):
        kept = folder / f"{side}.json"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(results(os.path.abspath(checkout), folder / side, environment), indent=1))
        made.append(json.loads(kept.read_text()))
    old, new = made
    different = 0
    for name in old:
        both = sorted(set(old[name]) | set(new[name]))
        differing = [what for what in both if old[name].get(what) != new[name].get(what)]
        different += len(differing)
        print(f"{name:22} {len(both):5} tensors and files, {len(differing)} different {differing[:3] or ''}")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
