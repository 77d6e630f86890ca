"""Files of arrays that may be damaged."""

import io

import numpy as np
import pytest

from yt8m.arrays import read_array, read_arrays


def npy(header, data=b""):
    """Bytes of a .npy file with a header of any text."""
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def archive():
    file = io.BytesIO()
    np.savez(file, values=np.zeros(3))
    return file.getvalue()


@pytest.mark.parametrize("mmap_mode", [None, "r"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"not an array",
        npy("{'descr': '<i8', 'fortran_order': False, 'shape': (3,)"),  # tokenize.TokenError in NumPy
        npy("{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }}"),
        npy("{'descr': '<q9', 'fortran_order': False, 'shape': (3,), }"),
        npy("{'descr': '<i8', 'fortran_order': False, 'shape': (9999999999999,), }"),
        npy("{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }", b"\0" * 7),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"\x80\x04N."),
        archive(),
    ],
)  # fmt: skip
def test_damage_is_a_value_error(tmp_path, content, mmap_mode):
    path = tmp_path / "values.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        read_array(path, mmap_mode)


def test_a_whole_array_comes_as_it_is(tmp_path):
    np.save(tmp_path / "values.npy", np.arange(5))
    np.testing.assert_array_equal(read_array(tmp_path / "values.npy", "r"), np.arange(5))


def test_a_missing_file_is_a_value_error(tmp_path):
    with pytest.raises(ValueError, match=r"No such file"):
        read_array(tmp_path / "none.npy")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        archive()[:-30],
        archive().replace(b"NUMPY", b"NUMPX"),
        npy("{'descr': '<i8', 'fortran_order': False, 'shape': (0,), }"),
    ],
)
def test_damage_of_an_archive_is_a_value_error(content):
    with pytest.raises(ValueError, match=r"."):
        read_arrays(io.BytesIO(content), ["values"])


def test_objects_in_an_archive_are_refused():
    file = io.BytesIO()
    np.savez(file, values=np.array([{}]))
    with pytest.raises(ValueError, match=r"pickle"):
        read_arrays(io.BytesIO(file.getvalue()), ["values"])


def test_arrays_of_an_archive():
    assert {name: array.tolist() for name, array in read_arrays(io.BytesIO(archive()), ["values"]).items()} == {
        "values": [0, 0, 0]
    }
    with pytest.raises(ValueError, match=r"no array 'other', but 'values'"):
        read_arrays(io.BytesIO(archive()), ["other"])
