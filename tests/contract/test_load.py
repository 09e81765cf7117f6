"""A contract is read whole, or refused with everything that is wrong with it, by file, line and key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eyerace_parity.contract.load import MAX_BYTES, load_contract
from eyerace_parity.contract.overrides import parse_override
from eyerace_parity.core.errors import ContractError
from tests.bundles import IMAGE_CONTRACT, TENSOR_CONTRACT
from tests.limits import FAMILIES, ClosenessLimits, OtherLimits, QualityLimits

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.contract.model import Contract


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a contract and load it from the folder it stands in, so that messages name it shortly."""
    monkeypatch.chdir(tmp_path)

    def write_and_load(text: str, *overrides: str) -> Contract:
        path = tmp_path / "contract.toml"
        path.write_text(text, encoding="utf-8")
        return load_contract(path, FAMILIES, [parse_override(o, "command line --set") for o in overrides])

    return write_and_load


@pytest.fixture
def refusal(load):
    """The message with which a contract is refused."""

    def refused(text: str, *overrides: str) -> str:
        with pytest.raises(ContractError) as caught:
            load(text, *overrides)
        return str(caught.value)

    return refused


def test_limits_take_the_type_of_their_family(load):
    """Every limit is the family's own model, and only the families that were stated are there."""
    variant = load(IMAGE_CONTRACT).variants["fp32"]
    assert variant.limits["quality"] == QualityLimits(f1=0.9, f1_drop=0.0)
    assert variant.limits["closeness"].demanded() == {"max_abs", "top1_agreement"}
    assert set(variant.limits) == {"quality", "closeness", "size"}


def test_a_contract_without_labels_is_one_too(load):
    """Tensors, several inputs and outputs, no classes."""
    contract = load(TENSOR_CONTRACT)
    assert [port.dtype for port in contract.interface.inputs] == ["float32", "int64"]
    assert contract.preprocess_of("int8") is None


def test_shared_limits_reach_every_variant_field_by_field(load):
    """A variant's own field wins, the others are taken over."""
    contract = load(f"{IMAGE_CONTRACT}\n[limits.quality]\nf1 = 0.5\nper_class = {{ red = 0.7 }}")
    for name, variant in contract.variants.items():
        quality = variant.limits["quality"]
        assert isinstance(quality, QualityLimits), name
        assert quality.per_class == {"red": 0.7}
        assert quality.f1 == 0.9


def test_an_array_becomes_a_tuple_and_a_whole_number_a_float(load):
    """What TOML cannot say differently is not held against it."""
    contract = load(f"{IMAGE_CONTRACT}\n[limits.interface]\naxes = ['batch']\n[limits.closeness]\nsqnr_db = 20")
    assert contract.variants["torch"].limits["interface"] == OtherLimits(axes=("batch",))
    assert contract.variants["torch"].limits["closeness"] == ClosenessLimits(sqnr_db=20.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "f1_drop = 0.2",
            "f1_dorp = 0.05",
            (
                "variants.int8.limits.quality.f1_dorp: unknown key (found 0.05); did you "
                "mean 'f1_drop'? allowed: f1, f1_drop, per_class"
            ),
        ),
        (
            "[variants.int8.limits.interface]",
            "[variants.int8.limits.interfase]",
            "variants.int8.limits.interfase: unknown key (found a table); did you mean 'interface'? allowed: quality,",
        ),
        ("opset = 17", "opset = true", "interface.opset: found true; allowed: a whole number"),
        ("opset = 17", "opset = 17.5", "interface.opset: found 17.5; allowed: a whole number"),
        ("opset = 17", 'opset = "17"', 'interface.opset: found "17"; allowed: a whole number'),
        ("opset = 17", "opset = 3", "interface.opset: found 3; allowed: at least 7"),
        ("opset = 17", "opset = 1979-05-27", "interface.opset: found the date or time 1979-05-27"),
        ("sqnr_db = 20.0", "sqnr_db = nan", "variants.int8.limits.closeness.sqnr_db: found nan; allowed: finite"),
        ("sqnr_db = 20.0", "sqnr_db = true", "variants.int8.limits.closeness.sqnr_db: found true; allowed: a number"),
        ("schema = 1", "schema = 2", "schema: not a known value (found 2); allowed: 1"),
        ('name = "tiny-colours"', 'name = "a::b"', 'name: found "a::b"; allowed: a name of letters, digits'),
        (
            'kind = "images"',
            'kind = "image"',
            "golden.kind: not a known value (found \"image\"); did you mean 'images'? allowed: images, tensors",
        ),
        ('kind = "images"\n', "", "golden.kind: missing; allowed: images, tensors"),
        (
            'factory = "tiny_classifier:TinyClassifier"',
            'factory = "tiny_classifier"',
            "variants.torch.factory: found \"tiny_classifier\"; allowed: 'module:callable'",
        ),
        (
            'shape = ["batch", 3]',
            'shape = ["batch", 0]',
            "interface.outputs[0].shape[1]: found 0; allowed: an extent above 0, or the name of a dynamic axis",
        ),
        (
            "width = 32,",
            "width = 32, hight = 3,",
            "preprocess.app.resize.hight: unknown key (found 3); did you mean 'height'?",
        ),
        ("mean = [0.5, 0.5, 0.5]", "mean = [0.5, 0.5]", "preprocess.app: mean has 2 numbers, but RGB"),
        (
            "mean = [0.5, 0.5, 0.5]",
            "mean = []",
            "preprocess.app.mean: found an array of 0; allowed: at least 1 item(s)",
        ),
        ("count = 32", "cuont = 32", "variants.int8.recipe.calibration.cuont: unknown key (found 32); did you mean"),
        ('path = "tiny.safetensors"', "path = 3", "variants.torch.path: found 3; allowed: a text"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(refusal, old, new, message):
    """File, line, key, what was found, what is allowed, and what was probably meant."""
    assert old in IMAGE_CONTRACT
    text = IMAGE_CONTRACT.replace(old, new, 1)
    said = refusal(text)
    assert message in said
    assert "\n" not in said, "one mistake, one line"
    line = int(said.removeprefix("contract.toml:").partition(":")[0])
    key = message.partition(":")[0].rpartition(".")[2].partition("[")[0].strip('"')
    place = text.splitlines()[line - 1]
    assert key in place or place.startswith("[") or key == "kind"


def test_a_name_that_cannot_stand_in_an_id_is_refused(refusal):
    """The key itself is wrong, not its value."""
    said = refusal(IMAGE_CONTRACT.replace("[variants.fp32]", '[variants."a b"]'))
    assert """variants."a b": 'a b' cannot be a name; allowed: a name of letters""" in said


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(refusal):
    """Nobody corrects a file one error a run."""
    text = IMAGE_CONTRACT.replace("opset = 17", "opzet = 17").replace("count = 32", "count = 0") + "\n[limits.qualty]"
    said = refusal(text).splitlines()
    assert [line.split(": ")[1] for line in said] == [
        "interface.opzet",
        "variants.int8.recipe.calibration.count",
        "limits.qualty",
    ]
    assert "did you mean 'quality'?" in said[2]


def test_a_missing_key_is_said_of_the_table_that_lacks_it(refusal):
    """There is no line of its own to point at."""
    text = IMAGE_CONTRACT.replace('path = "build/tiny.fp32.onnx"\n', "")
    line = text.splitlines().index("[variants.fp32]") + 1
    assert refusal(text) == f"contract.toml:{line}: variants.fp32.path: missing"
    assert refusal('schema = 1\nname = "x"').startswith("contract.toml:1: golden: missing")


def test_a_mistake_in_a_shared_limit_is_told_once_where_it_was_said(refusal):
    """Not once for every variant that takes it over."""
    text = f"{IMAGE_CONTRACT}\n[limits.closeness]\nsqnr_db = 'many'"
    line = len(text.splitlines())
    assert refusal(text) == f'contract.toml:{line}: limits.closeness.sqnr_db: found "many"; allowed: a number'


@pytest.mark.parametrize("wrong", ["limits = 3", "[limits]\nquality = 3"])
def test_limits_are_tables(refusal, wrong):
    """A number where a table belongs is no crash."""
    text = f"{wrong}\n{IMAGE_CONTRACT}" if wrong.startswith("limits") else f"{IMAGE_CONTRACT}\n{wrong}"
    assert "found 3; allowed: a table" in refusal(text)


def test_an_override_wins_and_bears_the_blame(load, refusal):
    """What the command line said is not blamed on the file."""
    contract = load(IMAGE_CONTRACT, "variants.int8.limits.quality.f1=0.8", "variants.int8.limits.quality.f1=0.7")
    assert contract.variants["int8"].limits["quality"] == QualityLimits(f1=0.7, f1_drop=0.2)
    said = refusal(IMAGE_CONTRACT, "variants.int8.limits.quality.f1=7")
    assert said == "command line --set: variants.int8.limits.quality.f1: found 7; allowed: at most 1.0"
    said = refusal(IMAGE_CONTRACT, "variants.int9.limits.quality.f1=0.7")
    assert "command line --set: variants.int9.limits.quality.f1: variants has no 'int9'; did you mean 'int8'?" in said


def test_the_digest_follows_the_meaning_not_the_layout(load):
    """Comments, order and spelling do not count; a value does, wherever it was set."""
    plain = load(IMAGE_CONTRACT).digest
    assert load(f"# remark\r\n{IMAGE_CONTRACT}".replace("f1 = 0.9", "'f1'   = 0.9")).digest == plain
    assert load(IMAGE_CONTRACT, "variants.int8.limits.quality.f1=0.9").digest == plain
    changed = load(IMAGE_CONTRACT, "variants.int8.limits.quality.f1=0.8").digest
    assert changed == load(IMAGE_CONTRACT.replace("f1 = 0.9\nf1_drop = 0.2", "f1 = 0.8\nf1_drop = 0.2")).digest
    assert changed != plain


def test_the_contract_knows_where_it_stands(load, tmp_path):
    """Paths of the contract are relative to its own folder."""
    contract = load(IMAGE_CONTRACT)
    assert contract.file == tmp_path / "contract.toml"
    assert contract.path(contract.variants["fp32"].path) == tmp_path / "build" / "tiny.fp32.onnx"


def test_a_byte_order_mark_and_foreign_line_ends_do_no_harm(tmp_path):
    """As some editors write them."""
    path = tmp_path / "contract.toml"
    path.write_bytes(b"\xef\xbb\xbf" + IMAGE_CONTRACT.replace("\n", "\r\n").encode())
    assert load_contract(path, FAMILIES).name == "tiny-colours"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "contract.toml is empty"),
        (b" \n", "contract.toml is empty"),
        (b"a = 1\n\xff\xfe\x00", "contract.toml:2: byte 6 is not UTF-8"),
        (b"a = 1\nb = [1,\n", "contract.toml:3: at the end of the file: not TOML"),
        (b"a = 1\nb c = 2\n", "contract.toml:2: column 3: not TOML"),
        (b"a = 1\na = 2\n", "contract.toml:2: column 6: not TOML: cannot overwrite a value"),
        (b"a = " + b"[" * 5000, "contract.toml: arrays or tables are nested too deep"),
        (b"a = " + b"[" * 100 + b"]" * 100, "found something nested 64 deep"),
        (b"a = 1" + b"0" * 5000, "contract.toml: a number in it has too many digits"),
        (b"#" * (MAX_BYTES + 1), f"a contract has at most {MAX_BYTES}"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_a_file_that_is_no_contract_is_refused(tmp_path, monkeypatch, content, message):
    """Torn, foreign, empty and hostile files each get their own words."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "contract.toml").write_bytes(content)
    with pytest.raises(ContractError) as caught:
        load_contract(tmp_path / "contract.toml", FAMILIES)
    assert message in str(caught.value)


def test_a_missing_contract_says_how_to_get_one(tmp_path):
    """And whether a neighbour was meant."""
    (tmp_path / "contract.toml").touch()
    with pytest.raises(ContractError, match="there is no such file; did you mean") as caught:
        load_contract(tmp_path / "contrakt.toml", FAMILIES)
    assert "eyerace-parity init" in caught.value.next_step
    with pytest.raises(ContractError, match="is a folder"):
        load_contract(tmp_path, FAMILIES)
