"""Writes a trained model as files that run without this package, and says what each of them costs.

  python export_model.py                                                       the latest sample run, into its folder `export`
  python export_model.py --train_dir=DIR --output_dir=OUT --eval_data_pattern='.../validate*.tfrecord'
  python export_model.py --train_dir=DIR --formats=mediapipe --output_dir=OUT           for MediaPipe's youtube8m graphs

SavedModel (video in, top segments out; also the starter's signatures) and LiteRT files; docs/export.md has them all.
"""

import contextlib
import dataclasses
import os

from yt8m import flags


def define(fv):
    """Flags of the export alone."""
    from absl import flags as absl_flags

    group = {"flag_values": fv, "module_name": "Export"}
    absl_flags.DEFINE_string("model", None, "Refuse any other model than this. Default: the train_dir's.", **group)
    absl_flags.DEFINE_string("checkpoint", None, "Export this checkpoint of the run. Default: the newest.", **group)
    absl_flags.DEFINE_string("output_dir", None, "Folder to make. Default: export in the train_dir.", **group)
    absl_flags.DEFINE_bool("overwrite", False, "Replace an earlier export in the output_dir.", **group)
    absl_flags.DEFINE_list(
        "formats",
        None,
        "Some of saved_model, mediapipe (a SavedModel for MediaPipe's graphs) and the LiteRT formats float32, float16, int8, "
        "dynamic (8-bit weights, float activations). Default: saved_model,float32,float16,int8; int8 where there are shards to "
        "calibrate on.",
        **group,
    )
    absl_flags.DEFINE_integer("top_k", 20, "Best (segment, class) pairs a video that serving gives.", **group)
    absl_flags.DEFINE_string(
        "calibration_data_pattern",
        None,
        "Rated shards from which int8 learns the ranges of activations. Default: the sample's, if the model was trained on it.",
        **group,
    )
    absl_flags.DEFINE_integer("calibration_segments", 300, "Segments of them to use.", **group)


def main(fv):
    """Restores the model, exports it, prints the table."""
    import tensorflow as tf

    from yt8m.export import export
    from yt8m.scoring.classes import columns_of, predicted_label_ids, scored_label_ids
    from yt8m.training import restore

    with contextlib.suppress(RuntimeError):  # the process has used its GPU already: export refuses what only GPUs could run
        tf.config.set_visible_devices([], "GPU")
    flags.check_positive(fv, "batch_size", "top_k", "calibration_segments")
    folder = flags.train_dir(fv)
    output = os.path.expanduser(fv.output_dir or os.path.join(folder, "export"))
    export.check_output_dir(output, fv.overwrite)
    trained = restore.newest(folder, fv.checkpoint, flags.expected(fv))
    sample = restore.sample_of(trained.config)
    calibration = fv.calibration_data_pattern or (sample.rated_pattern if sample else "")
    label_ids = scored_label_ids([trained.config], fv.segment_label_ids_file) or predicted_label_ids(trained.config)
    options = export.ExportConfig(
        output_dir=output,
        formats=formats(fv, calibration),
        label_ids=label_ids,
        columns=tuple(columns_of(trained.config, label_ids)),
        top_k=fv.top_k,
        eval_data_pattern=fv.eval_data_pattern or (sample.held_out_pattern if sample else ""),
        calibration_data_pattern=calibration,
        calibration_segments=fv.calibration_segments,
        batch_size=fv.batch_size or 16,
        overwrite=fv.overwrite,
    )
    export.export(in_float32(trained), trained.config, options, trained.prefix)
    print(f"Wrote {output}. Next: docs/export.md says how to call what is in it.")


def formats(fv, calibration):
    """--formats, or the default ones; UserError for an unknown one."""
    from yt8m.export.formats import DEFAULT_FORMATS, FORMATS

    chosen = tuple(dict.fromkeys(name.strip() for name in fv.formats or DEFAULT_FORMATS))
    unknown = [name for name in chosen if name not in FORMATS]
    if unknown:
        raise flags.UserError(f"--formats={unknown[0]}: unknown. Use some of {', '.join(FORMATS)}.")
    if not fv.formats and not calibration:
        print("int8 is left out: there is no --calibration_data_pattern.")
        return tuple(name for name in chosen if name != "int8")
    return chosen


def in_float32(trained):
    """The model with float32 arithmetic, whatever it was trained with."""
    from yt8m.stages.train import build

    if trained.config.precision == "float32":
        return trained.model
    model = build(dataclasses.replace(trained.config, precision="float32"))
    model.set_weights(trained.model.get_weights())
    return model


FLAGS = (lambda fv: flags.define_files(fv, "eval_data_pattern"), flags.define_features, define, flags.define_output)

if __name__ == "__main__":
    flags.run(main, __doc__, FLAGS)
