"""What is in a folder of published weight files: each verified, unverified, wrong or missing."""

import dataclasses
import os

from yt8m.errors import UserError
from yt8m.features import matrices
from yt8m.features.weights import FILES, PARTS, check_folder, locate


@dataclasses.dataclass(frozen=True)
class State:
    """What is known of a published file in a folder.

    Attributes:
        part: what needs it, of weights.PARTS.
        alternative: 0 in the first set of files that do, 1 in the second.
        name: of the file.
        state: "verified" (its checksum is the published file's), "unverified" (none is known), "wrong" or "missing".
        note: the checksum's name; what is wrong; where it is published.
    """

    part: str
    alternative: int
    name: str
    state: str
    note: str


def survey(folder):
    """States of all published files in a folder, in the order of PARTS.

    Raises:
        UserError: there is no such folder.
    """
    check_folder(folder)
    states = []
    for part, sets in PARTS.items():
        for alternative, names in enumerate(sets):
            states += _of_set(part, alternative, [(name, locate(folder, name)) for name in names])
    return states


def is_complete(states):
    """Whether each part has a set of files of which none is missing or wrong."""
    return not _incomplete(states)


def listing(folder, states):
    """Lines for people: the files by part, and whether --backbone=yt8m can be used."""
    complete = set(PARTS) - set(_incomplete(states))
    lines = [f"Weight files of --backbone=yt8m in {folder} (a .tgz may stay as it is)"]
    for part, sets in PARTS.items():
        lines += [
            "",
            f"{part}{', one of two sets' if len(sets) > 1 else ''}: {'complete' if part in complete else 'NOT COMPLETE'}",
        ]
        for alternative in range(len(sets)):
            of_set = [state for state in states if (state.part, state.alternative) == (part, alternative)]
            marks = ["or " if alternative and not number else "   " for number in range(len(of_set))]
            lines += [f"  {mark}{state.name:<39}{state.state:<12}{state.note}" for mark, state in zip(marks, of_set, strict=True)]
    if len(complete) == len(PARTS):
        return [*lines, "", f"Complete. Use it: --backbone=yt8m --weights_dir={folder}"]
    missing = ", ".join(part for part in PARTS if part not in complete)
    return [*lines, "", f"Not complete: {missing}. Nothing is downloaded: get the files from where they are published."]


def _incomplete(states):
    """The parts none of whose sets is whole and right."""
    sets = {(state.part, state.alternative) for state in states}
    sets -= {(state.part, state.alternative) for state in states if state.state in ("missing", "wrong")}
    return [part for part in PARTS if part not in {name for name, _ in sets}]


def _of_set(part, alternative, named):
    """States of a set of files, [(name, WeightFile or None)]; with all of them there, what they hold is looked at, too."""
    states = [State(part, alternative, name, *_state(file, name)) for name, file in named]
    if all(state.state in ("verified", "unverified") for state in states):
        try:
            check_contents(part, [file for _, file in named])
        except UserError as error:
            return [dataclasses.replace(state, state="wrong", note=str(error)) for state in states]
    return states


def _state(file, name):
    """(state, note) of a file."""
    if file is None:
        return "missing", FILES[name].address
    place = f", in {os.path.basename(file.path)}" if file.archived else ""
    try:
        checksum = file.verify()
    except UserError as error:
        return "wrong", str(error).removeprefix(f"{file.path}: ")
    if checksum is None:
        return "unverified", f"no checksum of it is known{place}"
    return "verified", f"{checksum}, {file.digests[1]:,} bytes{place}"


def check_contents(part, files):
    """Looks into files of which no checksum is known.

    Args:
        part: of weights.PARTS.
        files: the WeightFiles of a set of it.

    Raises:
        UserError: arrays of another shape, or a graph without the right nodes.
    """
    if part == "video PCA":
        matrices.video_projection(files)
    elif part == "audio PCA":
        matrices.audio_projection(files)
    elif files[0].name == "vggish_new.pb":
        from yt8m.features.frozen_graphs import read_graph
        from yt8m.features.vggish import FROZEN_INPUT, FROZEN_OUTPUT

        read_graph(files[0], FROZEN_INPUT, FROZEN_OUTPUT)
