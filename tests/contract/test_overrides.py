"""Values set from outside: read as TOML, else taken as text, and never lost in silence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyerace_parity.contract.overrides import Override, apply_overrides, parse_override
from eyerace_parity.core.errors import ContractError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b=0.9", 0.9),
        ("a.b = 3 ", 3),
        ("a.b=true", True),
        ('a.b="0.9"', "0.9"),
        ("a.b=[1, 2]", [1, 2]),
        ("a.b={ c = 1 }", {"c": 1}),
        ("a.b=build/model.onnx", "build/model.onnx"),
        ("a.b=x=y", "x=y"),
        ("a.b=1\nc=2", "1\nc=2"),
    ],
)
def test_a_value_is_toml_or_else_bare_text(text, value):
    """Quotes are for the shell to eat, so a word needs none."""
    override = parse_override(text, "here")
    assert override == Override("a.b", value, "here")
    assert override.keys == ("a", "b")


def test_a_quoted_key_may_hold_dots():
    """As in TOML."""
    assert parse_override('variants."int8.v2".path=x', "here").keys == ("variants", "int8.v2", "path")


@pytest.mark.parametrize("text", ["", "a", "=1", "a=", "a b=1", "a..b=1", "a\nb=1", "[a]=1"])
def test_what_is_no_key_with_a_value_is_refused(text):
    """With the origin, so that one knows which of the layers said it."""
    with pytest.raises(ContractError, match="environment EYERACE_PARITY_SET") as caught:
        parse_override(text, "environment EYERACE_PARITY_SET")
    assert "KEY=VALUE" in caught.value.next_step


def test_a_later_override_wins_and_missing_tables_are_made():
    """In the order in which they are given."""
    document = {"variants": {"int8": {"path": "a"}}}
    given_ = [
        parse_override(text, "o") for text in ("variants.int8.limits.size.kb=1", "variants.int8.limits.size.kb=2")
    ]
    origins = apply_overrides(document, given_)
    assert document == {"variants": {"int8": {"path": "a", "limits": {"size": {"kb": 2}}}}}
    assert origins == {("variants", "int8", "limits", "size", "kb"): "o"}


def test_a_place_in_an_array_is_a_number():
    """Items are changed, not added."""
    document = {"interface": {"inputs": [{"name": "a"}]}}
    apply_overrides(document, [parse_override("interface.inputs.0.name=b", "o")])
    assert document == {"interface": {"inputs": [{"name": "b"}]}}
    with pytest.raises(ContractError, match=r"interface.inputs has no '1'"):
        apply_overrides(document, [parse_override("interface.inputs.1.name=b", "o")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("variants.int9.path=x", "variants has no 'int9'; did you mean 'int8'?"),
        ("preprocess.ap.scale=1", "preprocess has no 'ap'; did you mean 'app'?"),
        ("name.inner=1", "name is a value, it has no 'inner'"),
    ],
)
def test_an_override_that_leads_nowhere_is_refused(text, message):
    """It would change nothing, or make half a variant."""
    document = {"name": "n", "variants": {"int8": {}}, "preprocess": {"app": {}}}
    with pytest.raises(ContractError) as caught:
        apply_overrides(document, [parse_override(text, "o")])
    assert message in str(caught.value)


@given(st.text(max_size=12))
def test_no_text_crashes_the_reader(text):
    """A law: a text is an override or a refusal."""
    try:
        override = parse_override(text, "o")
    except ContractError:
        return
    assert override.keys
    assert override.origin == "o"
