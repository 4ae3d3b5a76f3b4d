"""The recipe: what it refuses and in which words, and that what it writes it reads."""

from __future__ import annotations

import copy
import difflib
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import BaseModel

from ojak.config import (
    Attention,
    Recipe,
    RecurrentConfig,
    SearchConfig,
    TrainConfig,
    TransformerConfig,
    keys,
    merge,
    read_overrides,
    read_recipe,
    read_toml,
    write_toml,
)
from ojak.errors import ConfigError
from ojak.presets import preset

ARCHITECTURES = {"recurrent": RecurrentConfig, "transformer": TransformerConfig}


def refused(*layers: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as told:
        read_recipe(*layers)
    return str(told.value)


# ---------------------------------------------------------------- refusals


EVERY_KEY = sorted(keys(Recipe))


def slips(key: str) -> set[str]:
    """The key with the letter in the middle of its name doubled, and without it."""
    start, middle = len(key.rpartition(".")[0]), (len(key) + key.rfind(".") + 1) // 2
    assert start < middle < len(key)
    return {key[:middle] + key[middle] + key[middle:], key[:middle] + key[middle + 1 :]} - {key}


@pytest.mark.parametrize(("wrong", "key"), [(slip, key) for key in EVERY_KEY for slip in sorted(slips(key))])
def test_a_slip_of_the_pen_is_answered_with_the_key_that_was_meant(wrong: str, key: str) -> None:
    settings = read_overrides([f"{wrong}=1"])
    if key.startswith("model."):
        name = key.removeprefix("model.")
        settings["model"]["architecture"] = next(
            k for k, config in ARCHITECTURES.items() if name in config.model_fields
        )
    message = refused(settings)
    assert message.startswith(f"{wrong}: there is no such key")
    if difflib.SequenceMatcher(None, wrong, key).ratio() >= 0.85:
        assert "did you mean " in message and key in message


@pytest.mark.parametrize("key", [key for key in EVERY_KEY if "." in key and not key.startswith("model.")])
def test_a_key_without_its_section_is_answered_with_the_section(key: str) -> None:
    assert key in refused({key.rpartition(".")[2]: 1}).partition("did you mean ")[2]


@pytest.mark.parametrize(("one", "other"), [("recurrent", "transformer"), ("transformer", "recurrent")])
def test_a_key_of_the_other_architecture_is_told_as_such(one: str, other: str) -> None:
    for name in sorted(ARCHITECTURES[other].model_fields.keys() - ARCHITECTURES[one].model_fields.keys()):
        message = refused({"model": {"architecture": one, name: 1}})
        told = f"model.{name}: there is no such key for model.architecture={one}; it belongs to {other}"
        alike = sorted(f"model.{key}" for key in ARCHITECTURES[one].model_fields if name in key)
        assert message == (f"{told}, and {one} has {' and '.join(alike)}." if alike else f"{told}.")
        # and so it is: there it is a known key
        assert "no such key" not in refused({"model": {"architecture": other, name: "nonsense"}})


def test_what_is_like_nothing_is_not_guessed_at() -> None:
    assert refused({"zzzz": 1}) == "zzzz: there is no such key; docs/configuration.md has them all."
    assert refused({"train": {"zzzz": 1}}) == "train.zzzz: there is no such key; docs/configuration.md has them all."


def test_what_is_to_be_a_list_is_shown_as_one() -> None:
    words = "data.pairs=x.tsv", 'data.pairs=["x.tsv"]'
    assert refused(read_overrides([words[0]])) == f"data.pairs: must be a list, such as '{words[1]}'; found 'x.tsv'."
    assert read_recipe(read_overrides([words[1]])).data.pairs == ("x.tsv",)


def test_all_faults_are_told_at_once() -> None:
    message = refused(
        {
            "sede": 3,
            "text": {"size": 2, "kind": "syllable"},
            "train": {"update": 3, "clip": -1, "betas": [0.9]},
            "search": {"beam": 2, "n_best": 3},
            "model": {"architecture": "recurrent", "width": 7, "heads": 2},
        }
    )
    lines = message.split("\n")
    told = {line.strip().partition(":")[0] for line in lines[1:]}
    assert told >= {"sede", "text.size", "text.kind", "train.update", "train.clip", "search", "model.heads"}
    assert any(place.startswith("train.betas") for place in told)
    assert lines[0] == f"{len(lines) - 1} settings are wrong:"


@pytest.mark.parametrize("attention", ["dot", "scaled_dot"])
def test_dot_needs_equal_widths_and_says_so(attention: str) -> None:
    model = {"architecture": "recurrent", "attention": attention, "width": 32, "encoder_width": 48}
    message = refused({"model": model})
    for part in (f"attention={attention}", "width is 32", "encoder_width is 48", "general or additive"):
        assert part in message
    for remedy in ({"encoder_width": 32}, {"width": 48}, {"attention": "general"}, {"attention": "additive"}):
        read_recipe({"model": model}, {"model": remedy})  # what the message proposes is taken


def test_widths_that_cannot_be_shared_out_are_told() -> None:
    assert "must be even, but is 33" in refused({"model": {"architecture": "recurrent", "width": 33}})
    read_recipe({"model": {"architecture": "recurrent", "width": 33, "bidirectional": False}})
    message = refused({"model": {"width": 100, "heads": 8}})
    assert "width is 100 and heads is 8" in message and "width=512" in message
    read_recipe({"model": {"width": 512, "heads": 8}})
    assert "rotary turns pairs" in refused({"model": {"width": 12, "heads": 4}})
    read_recipe({"model": {"width": 12, "heads": 4, "positions": "sinusoid"}})
    assert "even width" in refused({"model": {"width": 9, "heads": 3, "positions": "sinusoid"}})


def test_input_feeding_needs_attention_after_the_cell() -> None:
    model = {"architecture": "recurrent", "input_feeding": True}
    for wrong in ({}, {"attention": "none", "acts": "after"}, {"acts": "before"}):
        assert "set acts=after and an attention" in refused({"model": {**model, **wrong}})
    read_recipe({"model": {**model, "acts": "after"}})


def test_the_transformer_names_the_way_to_other_mechanisms() -> None:
    for attention in set(get_args(Attention)) - {"scaled_dot"}:
        message = refused({"model": {"attention": attention}})
        assert "scaled_dot" in message and f"found {attention!r}" in message
        assert "model.architecture=recurrent" in message
        read_recipe({"model": {"attention": attention, "architecture": "recurrent"}})


@pytest.mark.parametrize("wrong", ["mamba", "", 3, None, ["recurrent"], {"a": 1}, True])
def test_an_architecture_that_is_none_is_told(wrong: Any) -> None:
    assert "must be recurrent or transformer" in refused({"model": {"architecture": wrong}})


@pytest.mark.parametrize("section", ["data", "text", "model", "train", "search"])
@pytest.mark.parametrize("wrong", [3, "x", [1], None])
def test_a_section_that_is_none_is_told(section: str, wrong: Any) -> None:
    assert refused({section: wrong, "unknown": 1}).count("\n") == 2  # both faults, whatever stands in the section


def test_adam_does_not_decay_and_says_who_does() -> None:
    assert "set optimizer=adamw" in refused({"train": {"weight_decay": 0.1}})
    read_recipe({"train": {"weight_decay": 0.1, "optimizer": "adamw"}})
    assert "raise beam" in refused({"search": {"beam": 1, "n_best": 2}})


def test_what_torch_would_refuse_is_refused_first() -> None:
    import torch

    for betas in ([1.0, 0.9], [0.9, -0.1], [2, 2]):
        assert "train.betas" in refused({"train": {"betas": betas}})
        with pytest.raises(ValueError):
            torch.optim.Adam([torch.zeros(1)], betas=(betas[0], betas[1]))
    assert "seed" in refused({"seed": 2**64})
    torch.manual_seed(read_recipe({"seed": 2**32 - 1}).seed)


def test_a_recipe_cannot_be_changed() -> None:
    recipe = read_recipe({})
    for section, key in ((recipe, "seed"), (recipe.train, "updates"), (recipe.model, "width")):
        with pytest.raises(ValueError, match="frozen"):
            setattr(section, key, 1)


# ---------------------------------------------------------------- layers


def test_later_layers_win() -> None:
    layers = [{"seed": 2, "train": {"updates": 5, "clip": 2.0}}, {"train": {"updates": 6}}, {"seed": 3}]
    recipe = read_recipe(*layers)
    assert (recipe.seed, recipe.train.updates, recipe.train.clip) == (3, 6, 2.0)
    assert read_recipe(*reversed(layers)).train.updates == 5


def test_reading_changes_no_layer() -> None:
    layers: list[dict[str, Any]] = [
        preset(100),
        {"model": {"width": 64}},
        {"model": {"heads": 2}, "train": {"clip": 0}},
    ]
    before = copy.deepcopy(layers)
    read_recipe(*layers)
    assert layers == before


def test_a_model_of_another_architecture_replaces_the_one_below() -> None:
    below = {"model": {"architecture": "transformer", "heads": 2, "width": 64, "dropout": 0.4}}
    above = {"model": {"architecture": "recurrent", "cell": "lstm"}}
    recipe = read_recipe(below, above)
    assert recipe.model == RecurrentConfig(cell="lstm")  # not even the keys that both know
    same = read_recipe(below, {"model": {"architecture": "transformer", "heads": 4}}).model
    assert same == TransformerConfig(heads=4, width=64, dropout=0.4)
    unsaid = read_recipe(below, {"model": {"heads": 4}}).model
    assert unsaid == same
    later = read_recipe({"model": {"cell": "rnn"}}, {"model": {"architecture": "recurrent"}}).model
    assert later == RecurrentConfig(cell="rnn")  # a layer that names none is of any


# ---------------------------------------------------------------- words of the command line


@pytest.mark.parametrize(
    ("word", "settings"),
    [
        ("seed=3", {"seed": 3}),
        ("train.updates=2000", {"train": {"updates": 2000}}),
        ("train.learning_rate=1e-3", {"train": {"learning_rate": 0.001}}),
        ("model.attention=dot", {"model": {"attention": "dot"}}),
        ('model.attention="dot"', {"model": {"attention": "dot"}}),
        ("model.bidirectional=false", {"model": {"bidirectional": False}}),
        ("train.betas=[0.8, 0.9]", {"train": {"betas": [0.8, 0.9]}}),
        ("data.source=no", {"data": {"source": "no"}}),
        ("data.source=", {"data": {"source": ""}}),
        ("data.pairs=['a=b.tsv']", {"data": {"pairs": ["a=b.tsv"]}}),
        ("data.source=a=b", {"data": {"source": "a=b"}}),
        (" train.updates =5", {"train": {"updates": 5}}),
        ("text.size=1_000", {"text": {"size": 1000}}),
        ("data.source=# x", {"data": {"source": "# x"}}),
    ],
)
def test_a_word_is_a_key_and_a_value_in_toml_or_bare(word: str, settings: dict[str, Any]) -> None:
    assert read_overrides([word]) == settings


def test_words_are_laid_over_each_other() -> None:
    words = ["train.updates=5", "train.clip=2", "seed=1", "train.updates=6", "model.architecture=recurrent"]
    assert read_overrides(words) == {
        "train": {"updates": 6, "clip": 2},
        "seed": 1,
        "model": {"architecture": "recurrent"},
    }
    assert read_overrides([]) == {}


@pytest.mark.parametrize("word", ["loud", "=3", " =3", "", "train.updates:3"])
def test_a_word_that_is_no_setting_is_told(word: str) -> None:
    with pytest.raises(ConfigError, match="must be key=value") as told:
        read_overrides(["seed=1", word])
    assert repr(word) in str(told.value)


# ---------------------------------------------------------------- to TOML and back


SIZES = (1, 9_999, 10_000, 99_999, 100_000, 10**7)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("pairs", SIZES)
def test_every_preset_is_a_recipe_and_survives_toml(pairs: int, architecture: str) -> None:
    recipe = read_recipe(preset(pairs, architecture))
    assert isinstance(recipe.model, ARCHITECTURES[architecture])
    assert read_recipe(tomllib.loads(write_toml(recipe))) == recipe
    assert preset(pairs, architecture) == preset(pairs, architecture)
    assert read_recipe(preset(pairs, architecture), {"train": {"updates": 7}}).train.updates == 7


RECIPES = Path(__file__).parent.parent / "recipes"
BASES = {"multi30k": "transformer", "pareto": "../multi30k/transformer"}
"""by folder: the recipe that the others there lie over, if not base"""
OVER_BASES = sorted(path for path in RECIPES.glob("*/*.toml") if path.stem != "base")


@pytest.mark.parametrize("path", OVER_BASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_recipes_leave_nothing_to_the_preset(path: Path) -> None:
    """What was measured with a recipe stays true of it when a preset changes, or when it learns from other pairs."""
    asked: dict[str, Any] = {}
    for one in (path.parent / f"{BASES.get(path.parent.name, 'base')}.toml", path):
        merge(asked, read_toml(one))
    for pairs in SIZES:
        for section, settings in preset(pairs, asked["model"]["architecture"]).items():
            assert settings.keys() <= asked[section].keys()


def values(field: Any, name: str) -> st.SearchStrategy[Any]:
    """Values that a field may take, by its JSON schema; text may be anything."""
    if "const" in field:
        return st.just(field["const"])
    if "enum" in field:
        return st.sampled_from(field["enum"])
    if "prefixItems" in field:
        return st.tuples(*(values(item, name) for item in field["prefixItems"])).map(list)
    if field["type"] == "array":
        return st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3)
    if field["type"] == "boolean":
        return st.booleans()
    if field["type"] == "string":
        return st.text(st.characters(exclude_categories=["Cs"]))
    low, high = field.get("minimum", field.get("exclusiveMinimum", 0)), field.get("exclusiveMaximum")
    if field["type"] == "integer":
        return st.integers(low, high - 1 if high else 10**6)
    return st.floats(
        low, high, exclude_min="exclusiveMinimum" in field, exclude_max=high is not None, allow_nan=False,
        allow_infinity=False,
    )  # fmt: skip


def section(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    fields = model.model_json_schema()["properties"]
    return st.fixed_dictionaries({}, optional={name: values(field, name) for name, field in fields.items()})


recipes = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 2**32 - 1),
        "data": section(type(Recipe().data)),
        "text": section(type(Recipe().text)),
        "train": section(TrainConfig),
        "search": section(SearchConfig),
        "model": section(RecurrentConfig).map(lambda m: {**m, "architecture": "recurrent"})
        | section(TransformerConfig).map(lambda m: {**m, "architecture": "transformer"}),
    },
)


@given(recipes)
@examples(deadline=None, max_examples=200)
def test_any_recipe_is_read_back_from_its_toml_or_refused_in_words(settings: dict[str, Any]) -> None:
    try:
        recipe = read_recipe(settings)
    except ConfigError as error:
        assert "must" in str(error) or "need" in str(error) or "feeds" in str(error)  # they do not agree
        return
    again = tomllib.loads(write_toml(recipe))
    assert read_recipe(again) == recipe
    for part, said in settings.items():  # nothing that was said is lost, and every key is said
        if isinstance(said, dict):
            assert {key: again[part][key] for key in said} == said
            assert len(again[part]) == len(type(getattr(recipe, part)).model_fields)


words = st.sampled_from(EVERY_KEY) | st.text()
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(EVERY_KEY) | st.text(), inner, max_size=2)
    ),
    max_leaves=4,
)
places = st.sampled_from([*Recipe.model_fields, "unknown"])


@given(
    st.dictionaries(
        places, junk | st.dictionaries(st.sampled_from([key.rpartition(".")[2] for key in EVERY_KEY]), junk, max_size=4)
    )
)
@examples(deadline=None, max_examples=300)
def test_whatever_is_given_is_a_recipe_or_a_config_error(settings: dict[str, Any]) -> None:
    try:
        read_recipe(settings)
    except ConfigError as error:
        assert str(error)


def test_toml_keeps_codes_that_other_languages_take_for_truth_values(tmp_path: Path) -> None:
    recipe = read_recipe({"data": {"source": "no", "target": "on", "pairs": ["ä\\b\"c'.tsv", "한국어.tsv"]}})
    (tmp_path / "recipe.toml").write_text(write_toml(recipe), encoding="utf-8")
    assert read_recipe(read_toml(tmp_path / "recipe.toml")) == recipe
    assert recipe.languages == ("no", "on")
    assert read_recipe(read_toml(tmp_path / "recipe.toml"), {"data": {"reverse": True}}).languages == ("on", "no")


@pytest.mark.parametrize("content", [b"seed = ", b"\xff", b"[train]\n[train]\n"])
def test_a_file_that_is_no_toml_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"must be a TOML file, but .*r\.toml cannot be read"):
        read_toml(tmp_path / "r.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_toml(tmp_path)
    with pytest.raises(ConfigError, match="there is none"):
        read_toml(tmp_path / "none.toml")


def test_keys_are_the_keys_of_the_models() -> None:
    """Each dotted key can be set, and every key that a written recipe holds is one of them."""
    for architecture in ARCHITECTURES:
        written = tomllib.loads(write_toml(read_recipe({"model": {"architecture": architecture}})))
        flat = {f"{part}.{key}" for part, value in written.items() if isinstance(value, dict) for key in value}
        assert {key for key in EVERY_KEY if "." in key and not key.startswith("model.")} <= flat
        assert flat <= set(EVERY_KEY)
    assert len(EVERY_KEY) == len(set(EVERY_KEY))


def test_merge_lays_one_over_the_other_in_place() -> None:
    into: dict[str, Any] = {"a": {"b": 1, "c": 2}, "d": 3}
    layer = {"a": {"c": 4}, "d": {"e": 5}, "f": {"g": 6}}
    merge(into, layer)
    assert into == {"a": {"b": 1, "c": 4}, "d": {"e": 5}, "f": {"g": 6}}
    into["f"]["g"] = 7
    assert layer["f"] == {"g": 6}
