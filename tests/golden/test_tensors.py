"""Recorded tensors are fed sample by sample, or refused with what is wrong with them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import GoldenError
from eyerace_parity.evidence import npz
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.golden.tensors import TensorGolden
from tests.bundles import TENSOR_CONTRACT, make_tensor_bundle
from tests.golden.golden_bundle import contract_of, opened

if TYPE_CHECKING:
    from pathlib import Path

LABELLED = TENSOR_CONTRACT.replace('name = "tiny-ranks"', 'name = "tiny-ranks"\nclasses = ["a", "b", "c", "d"]')


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny tensor bundle, standing in it, so that messages name files shortly."""
    folder = make_tensor_bundle(tmp_path / "bundle")
    monkeypatch.chdir(folder)
    return folder


def refusal(bundle: Path, **golden: object) -> str:
    """The message with which the set is refused when it is opened."""
    with pytest.raises(GoldenError) as caught:
        opened(bundle, **golden)
    assert caught.value.next_step
    return caught.value.reason


def record(bundle: Path, **changed: object) -> None:
    """Write the first file again with other arrays; ``None`` leaves one out."""
    file = bundle / "golden" / "races-0.npz"
    with np.load(file) as recorded:
        arrays = {**recorded, **changed}
    np.savez(file, **{name: array for name, array in arrays.items() if array is not None})


def test_every_sample_is_its_row(bundle):
    """Over the border of two files, of any rank, without the axis that counts samples."""
    golden = opened(bundle)
    rows = []
    for number in range(2):
        with np.load(bundle / "golden" / f"races-{number}.npz") as recorded:
            rows += list(zip(recorded["features"], recorded["bird"], strict=True))
    assert len(golden) == len(rows) == 19
    assert golden.ids[6:8] == ("races-0.npz[6]", "races-1.npz[0]")
    for index, (features, bird) in enumerate(rows):
        feeds = golden.feeds(index, None)
        assert feeds["features"].dtype == np.float32
        assert feeds["bird"].dtype == np.int64
        assert feeds["bird"].shape == ()
        assert np.array_equal(feeds["features"], features)
        assert feeds["bird"] == bird
        assert feeds["features"].base is None, "a sample does not keep its file in memory"


def test_an_unlabelled_set_says_so(bundle):
    """No labels, no clusters, no columns."""
    golden = opened(bundle)
    facts = golden.facts()
    assert (facts.labels, facts.clusters, facts.classes) == (None, None, ())
    assert facts.columns == {}
    with pytest.raises(IndexError):
        golden.feeds(19, None)
    with pytest.raises(IndexError):
        golden.feeds(-1, None)


def test_memory_holds_two_files_at_most(bundle, monkeypatch):
    """Whatever the order; in order, each file is read once."""
    for number in range(2, 6):
        np.savez(
            bundle / "golden" / f"races-{number}.npz",
            features=np.full((5, 8), number, np.float32),
            bird=np.arange(5),
        )
    golden = opened(bundle)
    read: list[str] = []

    def counted(content: bytes, place: str, names: list[str]) -> dict[str, np.ndarray]:
        read.append(place.rpartition("/")[2])
        return npz.read_arrays(content, place, names)

    monkeypatch.setattr("eyerace_parity.golden.tensors.read_arrays", counted)
    for index in range(len(golden)):
        golden.feeds(index, None)
    assert read == [f"races-{number}.npz" for number in range(6)]
    with ThreadPoolExecutor(4) as pool:
        for index, feeds in enumerate(pool.map(lambda index: golden.feeds(index, None), range(len(golden)))):
            assert np.array_equal(feeds["features"], golden.feeds(index, None)["features"])
            assert len(golden._kept) <= 2  # type: ignore[attr-defined]


def test_the_digest_covers_the_files(bundle):
    """Their places and their bytes."""
    digest = opened(bundle).digest
    assert opened(bundle, digest=digest).digest == digest
    (bundle / "golden" / "races-1.npz").rename(bundle / "golden" / "races-2.npz")
    said = refusal(bundle, digest=digest)
    assert digest in said
    assert opened(bundle).digest in said


def test_labels_are_numbers_of_classes(bundle):
    """One a sample; the array is no input."""
    (bundle / "contract.toml").write_text(LABELLED, encoding="utf-8")
    record(bundle, grade=np.array([0, 1, 2, 3, 0, 1, 2], np.uint8))
    second = bundle / "golden" / "races-1.npz"
    second.unlink()
    facts = opened(bundle, labels="grade").facts()
    assert facts.labels is not None
    assert facts.labels.dtype == np.int64
    assert facts.labels.tolist() == [0, 1, 2, 3, 0, 1, 2]
    assert set(opened(bundle, labels="grade").feeds(0, None)) == {"features", "bird"}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            np.array([0, 1, 2, 4, 0, 1, -1]),
            "sample races-0.npz[3]: label 4 is no class\nsample races-0.npz[6]: label -1",
        ),
        (np.zeros(7, np.float32), "the labels 'grade' are float32 [7], not one integer a sample"),
        (np.zeros((7, 1), np.int64), "the labels 'grade' are int64 [7, 1], not one integer a sample"),
        (np.zeros(6, np.int64), "arrays differ in their number of samples: bird 7, features 7, grade 6"),
        (None, "golden/races-0.npz: there is no array 'grade'; found: features, bird"),
    ],
)
def test_labels_that_are_none_are_refused(bundle, labels, message):
    """Out of range, of another type or shape, too few, or missing."""
    (bundle / "contract.toml").write_text(LABELLED, encoding="utf-8")
    (bundle / "golden" / "races-1.npz").unlink()
    record(bundle, grade=labels)
    assert message in refusal(bundle, labels="grade")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bird": None, "brid": np.zeros(7, np.int64)}, "there is no array 'bird'; did you mean 'brid'?; found: "),
        ({"more": np.zeros(7)}, "golden/races-0.npz: 'more' is no input of the model"),
        ({"features": np.zeros((7, 8))}, "'features' is float64, but the interface says float32"),
        ({"features": np.zeros((7, 8), ">f4")}, "'features' is >f4, but the interface says float32"),
        ({"bird": np.zeros(7, np.int32)}, "'bird' is int32, but the interface says int64"),
        ({"features": np.zeros((7, 9), np.float32)}, "has shape [7, 9], but the interface says [samples, 8]"),
        ({"features": np.zeros(7, np.float32)}, "has shape [7], but the interface says [samples, 8]"),
        ({"features": np.float32(1)}, "has shape [], but the interface says [samples, 8]"),
        ({"bird": np.zeros(6, np.int64)}, "arrays differ in their number of samples: bird 6, features 7"),
        (
            {"bird": np.zeros(0, np.int64), "features": np.zeros((0, 8), np.float32)},
            "golden/races-0.npz holds no samples",
        ),
        ({"bird": np.array([object()] * 7)}, "holds pickled Python objects, which are never loaded"),
    ],
)
def test_arrays_must_be_what_the_interface_takes(bundle, changed, message):
    """Names, types, ranks, extents and numbers of samples, before a single one is fed."""
    record(bundle, **changed)
    assert message in refusal(bundle)


def test_axes_of_one_name_have_one_extent(bundle):
    """Else the model would be fed what it cannot take."""
    text = TENSOR_CONTRACT.replace('shape = ["rows", 8]', 'shape = ["rows", "n"]')
    text = text.replace('dtype = "int64", shape = ["rows"]', 'dtype = "int64", shape = ["rows", "n"]')
    (bundle / "contract.toml").write_text(text, encoding="utf-8")
    (bundle / "golden" / "races-1.npz").unlink()
    record(bundle, bird=np.zeros((7, 5), np.int64))
    assert refusal(bundle) == "golden/races-0.npz: the axis 'n' is 8 in 'features' and 5 in 'bird'"
    record(bundle, bird=np.zeros((7, 8), np.int64))
    assert opened(bundle).feeds(0, None)["bird"].shape == (8,)


def test_an_input_without_an_axis_for_samples_is_fed_whole(bundle):
    """Of a scalar, and of a fixed first axis, the set still holds one a sample."""
    text = TENSOR_CONTRACT.replace('shape = ["rows", 8]', "shape = [4, 8]").replace(
        'dtype = "int64", shape = ["rows"]', 'dtype = "int64", shape = []'
    )
    (bundle / "contract.toml").write_text(text, encoding="utf-8")
    (bundle / "golden" / "races-1.npz").unlink()
    record(bundle, features=np.zeros((7, 4, 8), np.float32))
    feeds = opened(bundle).feeds(0, None)
    assert (feeds["features"].shape, feeds["bird"].shape) == ((4, 8), ())


def test_a_nan_is_refused_with_its_sample(bundle):
    """It would make every comparison meaningless; an infinity may be a mask."""
    features = np.zeros((7, 8), np.float32)
    features[1] = -np.inf
    record(bundle, features=features)
    assert opened(bundle).feeds(1, None)["features"][0] == -np.inf
    features[4, 2] = np.nan
    record(bundle, features=features)
    with pytest.raises(GoldenError, match=r"the input 'features' holds NaN in 1 samples, first in races-0.npz\[4\]"):
        opened(bundle).feeds(0, None)


def test_the_same_file_twice_is_refused(bundle):
    """A sample that counts twice weighs twice."""
    (bundle / "golden" / "copy.npz").write_bytes((bundle / "golden" / "races-0.npz").read_bytes())
    assert refusal(bundle) == "golden/races-0.npz is the same as golden/copy.npz"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["golden/*.npy"], "golden.files: 'golden/*.npy' names no file below "),
        (["golden/*.npz", "*.py"], "tiny_ranker.py is no .npz file"),
    ],
)
def test_patterns_must_name_archives(bundle, files, message):
    """A pattern that names nothing is a mistake, not an empty set."""
    assert message in refusal(bundle, files=files)


def test_files_elsewhere_are_found_and_told_apart(bundle, tmp_path):
    """Absolute patterns work; ids are places where names would not do."""
    other = tmp_path / "other"
    other.mkdir()
    (bundle / "golden" / "races-1.npz").rename(bundle / "races-0.npz")
    golden = opened(bundle, files=[(bundle / "*.npz").as_posix(), "golden/*.npz"])
    assert golden.ids[0] == "golden/races-0.npz[0]"
    assert golden.ids[-1] == "races-0.npz[11]"


def test_a_profile_means_nothing_to_tensors(bundle):
    """They are fed as they are."""
    contract = contract_of(bundle)
    assert contract.preprocess_of("fp32") is None
    assert len(open_golden(contract)) == 19


def test_an_empty_set_is_refused(bundle, monkeypatch):
    """Whatever reads it, of an extension too: nothing holds on none."""
    contract = open_contract(bundle / "contract.toml")
    monkeypatch.setattr(TensorGolden, "__len__", lambda _self: 0)
    with pytest.raises(GoldenError, match="the golden set is empty"):
        open_golden(contract)
