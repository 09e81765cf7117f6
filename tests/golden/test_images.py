"""A set of photographs is opened whole, or refused with what is wrong with it."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageFile

from eyerace_parity.core.errors import GoldenError
from tests.bundles import make_image_bundle
from tests.golden.golden_bundle import contract_of, opened

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny image bundle, standing in it, so that messages name files shortly."""
    folder = make_image_bundle(tmp_path / "bundle")
    monkeypatch.chdir(folder)
    return folder


def refusal(bundle: Path, **golden: object) -> str:
    """The message with which the set is refused when it is opened."""
    with pytest.raises(GoldenError) as caught:
        opened(bundle, **golden)
    assert caught.value.next_step
    return caught.value.reason


def rows(bundle: Path) -> list[str]:
    """Lines of the table."""
    return (bundle / "labels.csv").read_text(encoding="utf-8").splitlines()


def write(bundle: Path, lines: list[str]) -> None:
    """Write the table again."""
    (bundle / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_set_states_its_facts(bundle):
    """Ids, labels as numbers of classes, clusters, further columns: all in one order."""
    golden = opened(bundle)
    facts = golden.facts()
    assert len(golden) == len(facts.ids) == 24
    assert facts.classes == ("red", "green", "blue")
    assert facts.labels is not None
    assert facts.labels.dtype == np.int64
    for name, label, blot in zip(facts.ids, facts.labels, facts.columns["blot"], strict=True):
        assert name.startswith(facts.classes[label])
        assert blot.startswith(facts.classes[label])
    assert facts.clusters == facts.columns["blot"]
    assert set(facts.columns) == {"blot", "focus"}


def test_every_sample_is_the_preprocessed_photograph(bundle):
    """Fed to the one input, without the axis that counts samples."""
    contract = contract_of(bundle)
    golden = opened(bundle)
    feeds = golden.feeds(3, contract.preprocess_of("int8"))
    with Image.open(bundle / "images" / golden.ids[3]) as image:
        pixels = np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR))
    expected = (pixels * np.float32(1 / 255) - np.float32(0.5)) / np.float32(0.25)
    assert list(feeds) == ["pixel_values"]
    assert np.array_equal(feeds["pixel_values"], expected.transpose(2, 0, 1))
    assert np.array_equal(golden.feeds(3, None)["pixel_values"], feeds["pixel_values"])


def test_threads_may_share_a_set(bundle):
    """What several make at once is what one makes."""
    golden = opened(bundle)
    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(lambda index: golden.feeds(index, None)["pixel_values"], [*range(len(golden))] * 4))
    for index, tensor in enumerate(at_once):
        assert np.array_equal(tensor, golden.feeds(index % len(golden), None)["pixel_values"])


def test_the_digest_covers_what_it_says(bundle):
    """Not the order of lines, not a further column; but names, labels, clusters and bytes."""
    digest = opened(bundle).digest
    lines = rows(bundle)
    write(bundle, [lines[0], *reversed(lines[1:])])
    assert opened(bundle).digest == digest
    write(bundle, [line.rpartition(",")[0] + ",0.00" if number else line for number, line in enumerate(lines)])
    assert opened(bundle).digest == digest
    seen = {digest}
    for old, new in (("red-0.jpg,red,red-0", "red-0.jpg,blue,red-0"), ("red-0.jpg,red,red-0", "red-0.jpg,red,red-1")):
        write(bundle, [line.replace(old, new) for line in lines])
        seen.add(opened(bundle).digest)
    write(bundle, lines)
    (bundle / "images" / "red-0.jpg").rename(bundle / "images" / "red.jpg")
    write(bundle, [line.replace("red-0.jpg", "red.jpg") for line in lines])
    seen.add(opened(bundle).digest)
    with (bundle / "images" / "red.jpg").open("ab") as file:
        file.write(b"\0")
    seen.add(opened(bundle).digest)
    assert len(seen) == 5


def test_a_set_that_is_not_the_contracts_is_refused(bundle):
    """Both digests are named, so that a meant change can be stated."""
    digest = opened(bundle).digest
    assert opened(bundle, digest=digest).digest == digest
    write(bundle, [line.replace("red-0.jpg,red,", "red-0.jpg,blue,") for line in rows(bundle)])
    said = refusal(bundle, digest=digest)
    assert digest in said
    assert opened(bundle).digest in said
    assert "labels, clusters or images changed" in said


def test_an_image_that_is_missing_or_unlabelled_is_named(bundle):
    """Neither is passed over."""
    (bundle / "images" / "red-0.jpg").rename(bundle / "images" / "Red-0.jpg")
    assert refusal(bundle) == "labels.csv:2: there is no image 'red-0.jpg' in images; did you mean 'Red-0.jpg'?"
    (bundle / "images" / "Red-0.jpg").rename(bundle / "images" / "red-0.jpg")
    shutil.copy(bundle / "images" / "red-0.jpg", bundle / "images" / "more.JPG")
    (bundle / "images" / ".DS_Store").touch()
    (bundle / "images" / "notes.txt").touch()
    assert refusal(bundle) == "images/more.JPG has no row in labels.csv"


def test_many_missing_images_are_counted(bundle):
    """The message stays readable."""
    for name in ("red", "blue"):
        for number in range(8):
            (bundle / "images" / f"{name}-{number}.jpg").unlink()
    said = refusal(bundle).splitlines()
    assert len(said) == 11
    assert said[-1] == "… and 6 more"


def test_an_image_that_counts_twice_is_refused(bundle):
    """Equal bytes under two names, and what the table says of each."""
    shutil.copy(bundle / "images" / "red-0.jpg", bundle / "images" / "blue-0.jpg")
    said = refusal(bundle)
    assert "red-0.jpg is the same image as blue-0.jpg on line 18, labelled 'blue' there and 'red' here" in said


def test_an_empty_image_is_refused(bundle):
    """Before anything is decoded."""
    (bundle / "images" / "red-0.jpg").write_bytes(b"")
    assert refusal(bundle) == "images/red-0.jpg is empty"


def test_an_image_is_not_larger_than_allowed(bundle):
    """Its bytes are bounded when the set is opened."""
    assert "more than golden.max_bytes" in refusal(bundle, max_bytes=100)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_a_link_may_not_lead_out(bundle):
    """Not by a name, not by a link."""
    outside = bundle / "secret.jpg"
    (bundle / "images" / "red-0.jpg").rename(outside)
    (bundle / "images" / "red-0.jpg").symlink_to(outside)
    assert refusal(bundle) == "images/red-0.jpg is a link that leads out of the folder of images"


def test_a_missing_folder_is_named(bundle):
    """And a file is no folder."""
    assert refusal(bundle, images="pictures") == "pictures: there is no such folder of images"
    assert refusal(bundle, images="labels.csv") == "labels.csv: there is no such folder of images"


@pytest.mark.parametrize("form", ["folder", "list", "bare list", "sha256sum"])
def test_a_golden_image_must_not_be_a_training_image(bundle, form):
    """By content, whatever it is called there."""
    digest = hashlib.sha256((bundle / "images" / "red-0.jpg").read_bytes()).hexdigest()
    training = bundle / "training"
    if form == "folder":
        (training / "deep").mkdir(parents=True)
        shutil.copy(bundle / "images" / "red-0.jpg", training / "deep" / "other.jpg")
        (training / "small.jpg").write_bytes(b"x")
        where = "deep/other.jpg"
    else:
        line = {"list": f"sha256:{digest}", "bare list": digest.upper(), "sha256sum": f"{digest}  a/b c.jpg"}[form]
        training.write_text(f"# seen\n{'0' * 64}\n\n{line}\n", encoding="utf-8")
        where = "a/b c.jpg" if form == "sha256sum" else "line 4"
    said = refusal(bundle, training="training")
    assert said == f"labels.csv:2: red-0.jpg is a training image ({where} of training)"
    shutil.rmtree(training) if form == "folder" else training.write_text(f"{'0' * 64}\n", encoding="utf-8")
    if form != "folder":
        assert len(opened(bundle, training="training")) == 24


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "training: there is no such list or folder"),
        ("", "training names no training image, so it proves nothing"),
        ("# only\n", "training names no training image, so it proves nothing"),
        ("deadbeef\n", "training:1: 'deadbeef' is no SHA-256 digest"),
    ],
)
def test_a_list_of_training_images_that_proves_nothing_is_refused(bundle, content, message):
    """An empty list would hold vacuously."""
    if content is not None:
        (bundle / "training").write_text(content, encoding="utf-8")
    assert refusal(bundle, training="training") == message


# What shows only when a sample is decoded.


def spoil(bundle: Path, content: bytes) -> str:
    """Replace one photograph, and say with which words its sample is refused."""
    (bundle / "images" / "red-0.jpg").write_bytes(content)
    golden = opened(bundle, max_pixels=10_000)
    with pytest.raises(GoldenError) as caught:
        golden.feeds(golden.ids.index("red-0.jpg"), None)
    assert caught.value.next_step
    return caught.value.reason


def png(width: int, height: int) -> bytes:
    """A small file that says it is a large image."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in (header, data)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_a_torn_photograph_is_named(bundle):
    """Cut at its end, cut to a header, or turned into nothing."""
    whole = (bundle / "images" / "red-0.jpg").read_bytes()
    assert spoil(bundle, whole[:-40]).startswith("images/red-0.jpg: cannot be decoded: ")
    assert "cannot be decoded" in spoil(bundle, whole[:10])
    assert "torn or of another kind" in spoil(bundle, b"\0" * 1000)


def test_a_foreign_format_is_not_decoded(bundle):
    """Whatever its suffix says."""
    Image.new("RGB", (4, 4)).save(bundle / "other.gif")
    assert spoil(bundle, (bundle / "other.gif").read_bytes()).startswith(
        "images/red-0.jpg: this is no readable image of JPEG, PNG, WEBP, BMP"
    )


def test_a_bomb_is_refused_before_it_is_decoded(bundle):
    """By the contract's bound, and by Pillow's own above it."""
    assert "the image has 200 x 200 pixels, more than golden.max_pixels = 10000" in spoil(bundle, png(200, 200))
    assert "too large to decode" in spoil(bundle, png(60_000, 60_000))
    assert "too large to decode" in spoil(bundle, png(10_000, 10_000))


def test_a_film_is_refused(bundle):
    """Which of its frames would be meant?"""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(bundle / "film.webp", save_all=True, append_images=frames[1:])
    assert "has several frames" in spoil(bundle, (bundle / "film.webp").read_bytes())


def test_truncated_images_may_not_be_accepted_globally(bundle, monkeypatch):
    """Another library may have told Pillow to look away."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(GoldenError, match="LOAD_TRUNCATED_IMAGES"):
        opened(bundle).feeds(0, None)


def test_a_sample_must_have_the_inputs_shape(bundle):
    """A profile that keeps the image's own size meets an input that wants another."""
    text = (bundle / "contract.toml").read_text(encoding="utf-8")
    text = text.replace("resize = { width = 32, height = 32 }\n", "")
    (bundle / "contract.toml").write_text(text, encoding="utf-8")
    with pytest.raises(GoldenError, match=r"preprocessing gives \[3, 30, 40\], but the input 'pixel_values' takes"):
        opened(bundle).feeds(0, None)
