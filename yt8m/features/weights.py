"""The published weight files of the backbone `yt8m`: where they are published, and whether those in a folder are they.

The user brings the files; nothing here downloads. A file inside the .tgz that it is published in is read in place.
"""

import dataclasses
import functools
import hashlib
import os
import tarfile
import zlib

from yt8m.errors import UserError
from yt8m.features.backbones import notice

_MAX_MEMBER = 1 << 30  # bytes of an archive's member that is read
_PIECE = 1 << 22


@dataclasses.dataclass(frozen=True)
class Published:
    """A weight file as it is published.

    Attributes:
        name: of the file.
        address: where it is.
        size: in bytes; None: not known.
        hashes: {"sha256" or "md5": hexadecimal}; {}: none is known.
        archive: name of the .tgz at the address that holds it; "": the address is the file's.
    """

    name: str
    address: str
    size: int | None = None
    hashes: dict = dataclasses.field(default_factory=dict)
    archive: str = ""


_INCEPTION = "http://download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz"
_STARTER = "http://data.yt8m.org/yt8m_pca.tgz"
_MATRICES = "http://data.yt8m.org/pca_matrix_data/"
_AUDIOSET = "https://storage.googleapis.com/audioset/"
_FROZEN_VGGISH = "MediaPipe's generate_vggish_frozen_graph.py, which writes it"

FILES = {
    file.name: file
    for file in (
        Published(
            "classify_image_graph_def.pb",
            _INCEPTION,
            95_673_916,
            {"sha256": "009d6814d1bc560d4e7b236e170e9b2d5ca6f4b57bd8037f6db05776204415c6"},
            "inception-2015-12-05.tgz",
        ),
        *(Published(name, _STARTER, archive="yt8m_pca.tgz") for name in ("mean.npy", "eigenvals.npy", "eigenvecs.npy")),
        *(
            Published(f"{name}_matrix_data.pb", f"{_MATRICES}{name}_matrix_data.pb")
            for name in ("inception3_mean", "inception3_projection", "vggish_mean", "vggish_projection")
        ),
        Published("vggish_model.ckpt", f"{_AUDIOSET}vggish_model.ckpt", None, {"md5": "d1c7011e6366aa34176bb05c705e31a8"}),
        Published("vggish_new.pb", _FROZEN_VGGISH),
        Published(
            "vggish_pca_params.npz", f"{_AUDIOSET}vggish_pca_params.npz", 73_020, {"md5": "c80cae691033abe7c7ecd11ea39fc834"}
        ),
    )
}

# What is needed -> the sets of files that do, the first that is whole being taken. A set that stands later needs no .tgz.
PARTS = {
    "video network": (("classify_image_graph_def.pb",),),
    "video PCA": (
        ("mean.npy", "eigenvals.npy", "eigenvecs.npy"),
        ("inception3_mean_matrix_data.pb", "inception3_projection_matrix_data.pb"),
    ),
    "audio network": (("vggish_model.ckpt",), ("vggish_new.pb",)),
    "audio PCA": (("vggish_pca_params.npz",), ("vggish_mean_matrix_data.pb", "vggish_projection_matrix_data.pb")),
}
VIDEO_PARTS, AUDIO_PARTS = ("video network", "video PCA"), ("audio network", "audio PCA")


class WeightFile:
    """A published file that is in a folder, by itself or in its .tgz.

    Attributes:
        name, address: as it is published.
        path: of the file, or of the .tgz.
    """

    def __init__(self, published, path, archived):
        self.published, self.path, self.archived = published, path, archived
        self.name, self.address = published.name, published.address

    def read(self):
        """Its bytes.

        Raises:
            UserError: it cannot be read.
        """
        return b"".join(self._pieces())

    @functools.cached_property
    def digests(self):
        """({"sha256" and "md5": hexadecimal} of its bytes, their number).

        Raises:
            UserError: it cannot be read.
        """
        hashes = {name: hashlib.new(name, usedforsecurity=False) for name in ("sha256", "md5")}
        size = 0
        for piece in self._pieces():
            size += len(piece)
            for digest in hashes.values():
                digest.update(piece)
        return {name: digest.hexdigest() for name, digest in hashes.items()}, size

    def verify(self):
        """Whether it is the published file: the name of the checksum that says so, or None where none is known.

        Raises:
            UserError: it is another file, or cannot be read.
        """
        size = self.published.size
        if size is not None and not self.archived and os.path.getsize(self.path) != size:
            raise self._another(f"{os.path.getsize(self.path):,} bytes, expected {size:,}")
        hashes, length = self.digests
        if size is not None and length != size:
            raise self._another(f"{length:,} bytes, expected {size:,}")
        for name, expected in self.published.hashes.items():
            if hashes[name] != expected:
                raise self._another(f"{name} {hashes[name]}, expected {expected}")
            return name
        return None

    def _another(self, difference):
        what = f"its {self.name} is" if self.archived else "it is"
        return UserError(f"{self.path}: {what} not the published file ({difference}). Get it again from {self.address}.")

    def _pieces(self):
        try:
            if self.archived:
                yield from _member_pieces(self.path, self.name)
            else:
                with open(self.path, "rb") as file:
                    yield from iter(functools.partial(file.read, _PIECE), b"")
        except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
            raise UserError(f"{self.path}: cannot be read ({error}). Get it again from {self.address}.") from error


def _member_pieces(path, name):
    """The bytes, in pieces, of the file of this name in a .tgz, in whichever folder of it."""
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            if os.path.basename(member.name) == name and member.isfile():
                if member.size > _MAX_MEMBER:
                    raise tarfile.TarError(f"{name} would have {member.size:,} bytes")
                yield from iter(functools.partial(archive.extractfile(member).read, _PIECE), b"")
                return
    raise tarfile.TarError(f"no {name} in it")


def locate(folder, name):
    """The WeightFile of this name in a folder, or None."""
    published = FILES[name]
    for candidate in filter(None, (name, published.archive)):
        path = os.path.join(folder, candidate)
        if os.path.isfile(path):
            return WeightFile(published, path, candidate == published.archive)
    return None


def part(folder, name):
    """The WeightFiles in a folder for a part, of the first set of PARTS[name] that is whole; None where none is."""
    for names in PARTS[name]:
        files = [locate(folder, file) for file in names]
        if all(files):
            return files
    return None


def needed(folder, parts):
    """{part: its WeightFiles} in a folder.

    Raises:
        UserError: there is no such folder, or files are missing; the line says which, and where they are published.
    """
    check_folder(folder)
    files = {name: part(folder, name) for name in parts}
    missing = [names[0] for name in parts if files[name] is None for names in PARTS[name]]
    if missing:
        raise UserError(
            f"--weights_dir={folder}: no {FILES[missing[0]].name} (from {FILES[missing[0]].address}) or what stands in for it. "
            f"`yt8m weights {folder}` lists what is needed."
        )
    return files


def check_folder(folder):
    """Raises UserError unless there is such a folder."""
    if not folder:
        raise UserError(
            "--weights_dir is not given: name the folder of the published weight files; `yt8m weights DIR` lists them."
        )
    if not os.path.isdir(folder):
        raise UserError(
            f"--weights_dir={folder}: no such folder. Make it and put the published files there; see docs/backbones.md."
        )


def verify(files):
    """Checks WeightFiles against the published checksums; says on standard error for which none is known.

    Raises:
        UserError: a file is not the published one.
    """
    unknown = [file.name for file in files if file.verify() is None]
    if unknown:
        notice(f"warning: no checksum is known of {', '.join(unknown)}: only their shapes are checked.")
