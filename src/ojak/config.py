"""The recipe: every choice that a training run depends on, as frozen models with one strict reader.

Defaults live here and in `presets.py` and nowhere else. The descriptions of the fields become the configuration page
of the documentation.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ojak.errors import ConfigError

Share = Annotated[float, Field(ge=0, lt=1)]
Dropped = Annotated[float, Field(ge=0, le=0.9)]
Attention = Literal["none", "additive", "dot", "general", "scaled_dot"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(_Section):
    """Which pairs, and in which direction."""

    pairs: tuple[str, ...] = Field((), description="files of sentence pairs to train on, globs, or a packed corpus")
    weights: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (), description="how often a pass sees each of them: 2 twice, 0.5 half of it, drawn anew; none: all once"
    )
    alignments: tuple[str, ...] = Field(
        (), description="word alignments to learn from, a Pharaoh file (i-j, a line a pair) for each of `pairs`"
    )
    dev: tuple[str, ...] = Field((), description="files to validate on; none: some of the pairs are held out")
    held_out: int = Field(500, ge=1, description="pairs held out when there is no dev file; at most a tenth")
    source: str = Field("", description="language code of the first column, such as en")
    target: str = Field("", description="language code of the second column, such as ko")
    reverse: bool = Field(False, description="translate from the second column into the first")
    source_column: str = Field("", description="first column, by its name or number; empty: recognised")
    target_column: str = Field("", description="second column, by its name or number; empty: recognised")
    label_column: str = Field("", description="column of the domain; empty: recognised")
    group_column: str = Field("", description="column of the conversation; empty: recognised")
    header: Literal["auto", "yes", "no"] = Field("auto", description="whether tables begin with names; auto: if known")
    sheet: str = Field("", description="sheet of a workbook, by its name or number; empty: the first")
    encoding: str = Field("", description="encoding of text files; empty: detected")

    @field_validator("source_column", "target_column", "label_column", "group_column", "sheet", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        """A number on the command line is one in TOML too."""
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _agree(self) -> DataConfig:
        if self.weights and len(self.weights) != len(self.pairs):
            raise ValueError(
                f"there must be a weight for each entry of pairs, but there are {len(self.weights)} for "
                f"{len(self.pairs)}; give as many, or none"
            )
        if self.alignments and len(self.alignments) != len(self.pairs):
            raise ValueError(
                'there must be alignments for each entry of pairs ("" for one that has none), but there are '
                f"{len(self.alignments)} for {len(self.pairs)}; give as many, or none"
            )
        return self


class TextConfig(_Section):
    """How text becomes ids."""

    kind: Literal["unigram", "bpe", "word", "character", "pieces"] = Field(
        "unigram", description="how text is cut into tokens; pieces: as an imported model cuts it"
    )
    size: int = Field(8000, ge=8, description="entries of a vocabulary, at most (of each, when not shared)")
    shared: bool = Field(False, description="one vocabulary for both languages")
    lowercase: bool = Field(False, description="fold case before cutting")
    width: bool = Field(False, description="fold full-width and half-width forms into ordinary ones")
    punctuation: bool = Field(False, description="make one of all quotes, of all dashes and of all middle dots")
    min_frequency: int = Field(1, ge=1, description="rarer words or characters become <unk> (not for subwords)")
    add: int = Field(
        0, ge=0, description="entries that are learnt from new pairs beside those of the model that a run starts from"
    )
    sample: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="subword sampling in training, other cuts in every pass; 0: off. For unigram it is the power of a "
        "cut's probability, so 0.1 is wild and 0.5 mild; for bpe the share of merges that are dropped, often 0.1",
    )


class _ModelSection(_Section):
    dropout: float = Field(0.1, ge=0, le=0.9, description="share of activations dropped in training")
    word_dropout: tuple[Dropped, Dropped] = Field(
        (0.0, 0.0), description="share of source and of target words whose vectors are dropped whole in training"
    )
    tie_embeddings: bool = Field(True, description="the output layer is the target embedding (Press and Wolf 2017)")
    max_length: int = Field(256, ge=2, description="longest source or target in tokens, end of sentence included")


class RecurrentConfig(_ModelSection):
    """An RNN, GRU or LSTM encoder and decoder, with one context vector or with attention."""

    architecture: Literal["recurrent"] = Field("recurrent", description="the recurrent encoder-decoder")
    cell: Literal["rnn", "gru", "lstm"] = Field("gru", description="the recurrent cell")
    layers: int = Field(1, ge=1, description="layers of the encoder and of the decoder")
    bidirectional: bool = Field(True, description="the encoder also reads from right to left")
    embedding: int = Field(256, ge=1, description="width of the embeddings")
    width: int = Field(512, ge=1, description="width of the decoder's state")
    encoder_width: int = Field(0, ge=0, description="width of the encoder's states, directions together; 0: as width")
    attention: Attention = Field("additive", description="the mechanism; none: one vector")
    context: Literal["start", "every_step"] = Field(
        "every_step", description="without attention: the one vector is given at the start only, or at every step too"
    )
    acts: Literal["before", "after"] = Field(
        "before", description="attention acts before the cell (Bahdanau 2015) or after it (Luong 2015)"
    )
    input_feeding: bool = Field(False, description="the last read-out enters the cell too (with acts=after)")

    @model_validator(mode="after")
    def _agree(self) -> RecurrentConfig:
        keys = self.encoder_width or self.width
        if self.bidirectional and keys % 2:
            raise ValueError(f"a bidirectional encoder's width must be even, but is {keys}; change encoder_width")
        if self.attention in ("dot", "scaled_dot") and keys != self.width:
            raise ValueError(
                f"attention={self.attention} multiplies the decoder's state with the encoder's states, so their widths "
                f"must agree, but width is {self.width} and encoder_width is {keys}; make them equal, or use "
                "attention=general or additive, which let them differ"
            )
        if self.input_feeding and (self.attention == "none" or self.acts == "before"):
            raise ValueError(
                "input_feeding feeds the read-out of attention that acts after the cell, but found "
                f"attention={self.attention}, acts={self.acts}; set acts=after and an attention, or input_feeding=false"
            )
        return self


class TransformerConfig(_ModelSection):
    """The Transformer (Vaswani 2017), as published or in the settings that train better today."""

    architecture: Literal["transformer"] = Field("transformer", description="the Transformer")
    attention: Literal["scaled_dot"] = Field("scaled_dot", description="the mechanism of every head")
    encoder_layers: int = Field(3, ge=1, description="layers of the encoder")
    decoder_layers: int = Field(3, ge=1, description="layers of the decoder")
    width: int = Field(256, ge=2, description="width of the residual stream")
    heads: int = Field(4, ge=1, description="attention heads of a layer")
    feed_forward: int = Field(1024, ge=1, description="inner width of the feed-forward layers")
    norm: Literal["pre", "post"] = Field("pre", description="layer norm before each part, or after it as published")
    positions: Literal["sinusoid", "rotary"] = Field("rotary", description="how places are told")
    activation: Literal["relu", "gelu", "swish", "swiglu"] = Field("relu", description="of the feed-forward layers")

    @model_validator(mode="after")
    def _agree(self) -> TransformerConfig:
        even = 2 if self.positions == "rotary" else 1
        if self.width % (self.heads * even):
            raise ValueError(
                f"width must be a multiple of heads{' × 2 (rotary turns pairs)' if even == 2 else ''}, but width is "
                f"{self.width} and heads is {self.heads}; choose for instance width={self.heads * 64}"
            )
        if self.positions == "sinusoid" and self.width % 2:
            raise ValueError(f"sinusoid positions need an even width, but width is {self.width}; choose an even one")
        return self


ModelConfig = RecurrentConfig | TransformerConfig


class TrainConfig(_Section):
    """How the model is trained."""

    start: str = Field("", description="a run or model directory to begin with: its model, tokenizers and weights")
    updates: int = Field(20000, ge=1, description="at most so many updates")
    epochs: int = Field(0, ge=0, description="at most so many passes over the pairs; 0: no limit")
    batch_tokens: int = Field(4096, ge=1, description="tokens of the longer side in a batch, padding included")
    sharding: Literal["none", "fsdp"] = Field(
        "none",
        description="with several processes: each holds the whole model; fsdp: each holds a part of every weight, for "
        "models too big for one device, in fp32",
    )
    answer: int = Field(
        50,
        ge=1,
        description="with several processes: seconds that they wait for each other in the middle of an update before "
        "one that is silent is taken for dead (one that is killed is noticed at once)",
    )
    accumulate: int = Field(1, ge=1, description="batches that each process learns from in an update")
    optimizer: Literal["adam", "adamw"] = Field("adam", description="AdamW where weight_decay is wanted")
    learning_rate: float = Field(1e-3, gt=0, description="the highest rate, at the end of warm-up")
    schedule: Literal["inverse_sqrt", "cosine", "constant"] = Field("inverse_sqrt", description="the rate after that")
    warmup: int = Field(1000, ge=0, description="updates in which the rate grows from 0")
    betas: tuple[Share, Share] = Field((0.9, 0.98), description="Adam's two averages")
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay (adamw)")
    clip: float = Field(1.0, ge=0, description="longest gradient norm; 0: off")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="share of the probability spread evenly over all words")
    alignment_weight: float = Field(
        0.05, ge=0, description="how much one attention view learns from data.alignments (Garg 2019); 0: not at all"
    )
    alignment_view: str = Field(
        "", description="that view; empty: the only one, or the first head of the decoder's last layer but one"
    )
    alignment_step: Literal["output", "input"] = Field(
        "output", description="the step of a target word whose weights are to be right: which writes it, or reads it"
    )
    r_drop: float = Field(
        0.0, ge=0, description="alpha of R-Drop (Liang 2021), two passes that are to agree, 5 there; 0: off"
    )
    sampled_words: float = Field(
        0.0,
        ge=0,
        le=0.9,
        description="scheduled sampling: the share of previous words that are the model's own, at last",
    )
    sampled_ramp: int = Field(10000, ge=1, description="updates in which that share grows from 0")
    sampled_schedule: Literal["linear", "sigmoid"] = Field("linear", description="how it grows")
    freeze: tuple[str, ...] = Field((), description="names of weights that do not learn, such as encoder.*")
    ema: float = Field(
        0.0, ge=0, lt=1, description="decay of a moving average of the weights, which validations see; 0: off"
    )
    validate_every: int = Field(0, ge=0, description="updates between validations; 0: once an epoch")
    metric: Literal["chrf", "bleu", "loss"] = Field("chrf", description="what validation chooses the best weights by")
    dev_sentences: int = Field(500, ge=1, description="so many pairs are translated in a validation, at most")
    patience: int = Field(8, ge=0, description="stop after so many validations without a better one; 0: never")
    average: int = Field(5, ge=0, description="average the weights of the last so many validations; 0: off")
    save_every: int = Field(500, ge=1, description="updates between checkpoints that a run resumes from")
    log_every: int = Field(50, ge=1, description="updates between lines of the history")
    precision: Literal["auto", "bf16", "fp32", "exact"] = Field(
        "auto",
        description="bf16: weights that learn in fp32, passes in bf16; fp32: fp32, with products through the "
        "processor's faster units; exact: products too; auto: bf16 where the device multiplies it itself",
    )
    workers: int = Field(
        0,
        ge=0,
        description="threads on a CPU that each learn from a part of the batch; 0: one for each of `threads`; "
        "on a GPU, or with `sharding`, there is one",
    )
    threads: int = Field(
        0, ge=0, description="processor threads of a process; 0: all cores, shared by the processes of a machine"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where to train; auto: a GPU if there is one")

    @model_validator(mode="after")
    def _agree(self) -> TrainConfig:
        if self.weight_decay and self.optimizer == "adam":
            raise ValueError("weight_decay needs optimizer=adamw, but optimizer is adam; set optimizer=adamw")
        if self.sharding == "fsdp" and self.precision == "bf16":
            raise ValueError("sharding=fsdp computes in fp32, but precision is bf16; set precision=fp32")
        return self


class SearchConfig(_Section):
    """How a translation is looked for."""

    beam: int = Field(4, ge=1, description="hypotheses kept at each step; 1: greedy")
    n_best: int = Field(1, ge=1, description="hypotheses given back, at most beam; with sampling, how many are drawn")
    stop: Literal["likely", "first", "exact"] = Field(
        "likely",
        description="a beam stops when no beginning is ahead of the worst finished kept; when it has as many finished "
        "as its size; or when no beginning can overtake any more",
    )
    length_penalty: float = Field(1.0, ge=0, le=10, description="alpha: how much length counts; 0: not at all")
    length_norm: Literal["wu", "plain"] = Field(
        "wu", description="scores are divided by ((5 + length) / 6)^alpha (Wu 2016, equation 14) or by length^alpha"
    )
    coverage_penalty: float = Field(
        0.0, ge=0, le=10, description="beta of Wu 2016, equation 14: source tokens hardly looked at cost; 0: off"
    )
    diversity_groups: int = Field(1, ge=1, description="groups of diverse beam search (Vijayakumar 2018); 1: off")
    diversity_strength: float = Field(0.0, ge=0, le=100, description="cost of a word that earlier groups chose here")
    sampling: bool = Field(False, description="draw each word instead of taking the likeliest (with beam=1)")
    temperature: float = Field(1.0, gt=0, le=100, description="of sampling: above 1 is wilder")
    top_k: int = Field(0, ge=0, description="sample from the likeliest so many words; 0: from all")
    top_p: float = Field(1.0, gt=0, le=1, description="sample from the likeliest words that share this much; 1: all")
    min_p: float = Field(
        0.0, ge=0, lt=1, description="sample from words this likely, relative to the likeliest; 0: all"
    )
    sampling_seed: int = Field(1, ge=0, lt=2**32, description="of sampling; a sentence alone is drawn as in any batch")
    repetition_penalty: float = Field(
        1.0, ge=1, le=100, description="log-probabilities of words said before are multiplied by it; 1: off"
    )
    no_repeat_ngram_size: int = Field(0, ge=0, description="n-grams of this length are said once at most; 0: off")
    cut_loops: bool = Field(True, description="a hypothesis that goes round in circles is ended, with a warning")
    min_length: int = Field(0, ge=0, description="shortest output in tokens, end of sentence included")
    max_length: int = Field(0, ge=0, description="longest output in tokens, end of sentence included; 0: no such limit")
    max_length_factor: float = Field(2.0, gt=0, description="longest output over the source's tokens, plus 10")
    shortlist: bool = Field(False, description="only words that the model's shortlist has for the source can be said")
    mbr: int = Field(
        0, ge=0, description="of so many candidates the one most like the others by chrF is chosen; 0: the likeliest"
    )
    batch_tokens: int = Field(4096, ge=1, description="source tokens in a batch, padding and beam included")

    @property
    def width(self) -> int:
        """Hypotheses of a sentence side by side."""
        return max(self.n_best, self.mbr) if self.sampling else self.beam

    @model_validator(mode="after")
    def _agree(self) -> SearchConfig:
        faults = []
        if self.sampling and self.beam > 1:
            faults.append(f"sampling draws one word at a time, so beam must be 1, but is {self.beam}; set beam=1")
        if self.n_best > self.width:
            faults.append(f"n_best must be at most beam, but is {self.n_best} with beam={self.beam}; raise beam")
        if self.mbr == 1 or self.mbr > self.width:
            faults.append(
                f"mbr must be from 2 to beam, or any number with sampling, but is {self.mbr} with beam={self.beam}; "
                "raise beam, or set sampling=true and beam=1"
            )
        if self.mbr and self.n_best > self.mbr:
            faults.append(f"n_best must be at most mbr, but is {self.n_best} with mbr={self.mbr}; raise mbr")
        idle = [
            name
            for name, nothing in (("temperature", 1.0), ("top_k", 0), ("top_p", 1.0), ("min_p", 0.0))
            if getattr(self, name) != nothing
        ]
        if idle and not self.sampling:
            faults.append(
                f"{' and '.join(idle)} must be left alone without sampling, which is off; set sampling=true and beam=1"
            )
        if self.beam % self.diversity_groups:
            faults.append(
                f"diversity_groups must divide beam, but is {self.diversity_groups} with beam={self.beam}; "
                "change one of them"
            )
        if (self.diversity_groups > 1) != (self.diversity_strength > 0):
            faults.append(
                "diversity_groups above 1 and diversity_strength above 0 need each other, but are "
                f"{self.diversity_groups} and {self.diversity_strength:g}; set both or neither"
            )
        if self.coverage_penalty and self.width == 1:
            faults.append(
                "coverage_penalty needs several finished hypotheses to compare, but there is only one; raise beam"
            )
        if self.max_length and self.min_length > self.max_length:
            faults.append(
                f"min_length must be at most max_length, but is {self.min_length} with max_length={self.max_length}; "
                "lower it"
            )
        if faults:
            raise ValueError("; and ".join(faults))
        return self


class Recipe(_Section):
    """All that is needed to repeat a run."""

    seed: int = Field(1, ge=0, lt=2**32, description="of weights, order, dropout and sampling")
    data: DataConfig = DataConfig()
    text: TextConfig = TextConfig()
    model: ModelConfig = Field(TransformerConfig(), discriminator="architecture")
    train: TrainConfig = TrainConfig()
    search: SearchConfig = SearchConfig()

    @property
    def languages(self) -> tuple[str, str]:
        """The language codes in the order of translation."""
        codes = (self.data.source, self.data.target)
        return codes[::-1] if self.data.reverse else codes


_MODELS: dict[str, type[_ModelSection]] = {"recurrent": RecurrentConfig, "transformer": TransformerConfig}


def read_recipe(*layers: Mapping[str, Any]) -> Recipe:
    """The recipe from nested settings, later ones over earlier ones.

    Raises ConfigError that names every unknown key with the nearest known one, and every wrong value.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        merge(merged, layer)
    model = merged.setdefault("model", {})
    if isinstance(model, dict):
        model.setdefault("architecture", "transformer")
    try:
        return Recipe.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(_explain(error, merged)) from None


def read_toml(path: Path) -> dict[str, Any]:
    """The nested settings of a recipe file. Raises ConfigError when it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"The recipe must be a TOML file, but there is none at {path}.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"The recipe must be a TOML file, but {path} cannot be read: {error}.") from None


def read_overrides(words: Sequence[str]) -> dict[str, Any]:
    """Nested settings from words such as `train.updates=2000`. The value is TOML, or else a bare string."""
    settings: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"A setting must be key=value, such as train.updates=2000, but found {word!r}.")
        value: Any
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        for part in reversed(key.strip().split(".")):
            value = {part: value}
        merge(settings, value)
    return settings


def merge(into: dict[str, Any], layer: Mapping[str, Any]) -> None:
    """Lays nested settings over others, in place.

    A model of another architecture replaces the model below it: the keys of the one mean nothing to the other.
    """
    for key, value in layer.items():
        below = into.get(key)
        if isinstance(value, Mapping) and isinstance(below, dict):
            named = value.get("architecture", below.get("architecture"))
            if named != below.get("architecture", named):
                below.clear()
            merge(below, value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def write_toml(recipe: Recipe) -> str:
    """The recipe as TOML with every key said."""
    import tomli_w

    return tomli_w.dumps(json.loads(recipe.model_dump_json()))


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every dotted key below a section; those of both architectures for `model`."""
    for name, field in model.model_fields.items():
        if name == "model":
            both = (key for section in _MODELS.values() for key in keys(section, "model."))
            yield from dict.fromkeys(both)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def _explain(error: ValidationError, settings: Mapping[str, Any]) -> str:
    lines = []
    for fault in error.errors():
        place = [str(part) for part in fault["loc"] if part not in _MODELS]
        name = ".".join(place)
        if fault["type"] == "extra_forbidden":
            lines.append(f"{name}: there is no such key{_nearest(place, settings)}.")
        elif fault["type"] == "union_tag_invalid":
            found = fault["input"]["architecture"]
            lines.append(f"model.architecture: must be recurrent or transformer; found {found!r}.")
        elif fault["type"] == "tuple_type":
            listed = json.dumps([fault["input"]], ensure_ascii=False)
            lines.append(f"{name}: must be a list, such as '{name}={listed}'; found {fault['input']!r}.")
        elif fault["type"] == "value_error":
            lines.append(f"{name}: {fault['ctx']['error']!s}.")
        elif place == ["model", "attention"] and settings["model"].get("architecture") == "transformer":
            lines.append(
                f"model.attention: the Transformer's heads use scaled_dot; found {fault['input']!r}. For the other "
                "mechanisms set model.architecture=recurrent."
            )
        else:
            lines.append(f"{name}: {fault['msg'].replace('Input should', 'must')}; found {fault['input']!r}.")
    if len(lines) == 1:
        return lines[0]
    return f"{len(lines)} settings are wrong:\n" + "\n".join("  " + line for line in lines)


def _nearest(place: Sequence[str], settings: Mapping[str, Any]) -> str:
    name, last = ".".join(place), place[-1]
    model = settings.get("model")
    architecture = str(model.get("architecture", "")) if isinstance(model, Mapping) else ""
    here = set(keys(_MODELS[architecture], "model.")) if architecture in _MODELS else set()
    for other, section in _MODELS.items():
        if name in set(keys(section, "model.")) - here:
            alike = sorted(key for key in here if last in key)
            there = f", and {architecture} has {' and '.join(alike)}" if alike else ""
            return f" for model.architecture={architecture}; it belongs to {other}{there}"
    known = [*Recipe.model_fields, *(key for key in keys(Recipe) if not key.startswith("model.") or key in here)]
    same = [key for key in known if key.split(".")[-1] == last]
    close = dict.fromkeys(same or difflib.get_close_matches(name, known, n=2, cutoff=0.8))
    return f"; did you mean {' or '.join(close)}" if close else "; docs/configuration.md has them all"
