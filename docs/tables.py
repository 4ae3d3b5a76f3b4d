"""The page of all tables of docs/results.md, each made from files of benchmarks/results. A new table is a function in
TABLES, in the file of its subject."""

from __future__ import annotations

from decoding_tables import decoding, decoding_pictures, step
from pareto_tables import pareto, pareto_pictures
from preset_tables import preset_pictures, presets
from quality_tables import demo, korean, korean_best, lineage, multi30k
from search_tables import searching
from seeing_tables import alignments, attribution, pictures
from small_tables import small, small_pictures
from training_tables import faults, gpu, objectives, packing, parallel, prepared, speed, speed_pictures


def results() -> str:
    """The page of all tables."""
    lines = [
        "# Results",
        "",
        "Every number in a table comes from a file in `benchmarks/results`, written by the command named with it. What",
        "the data is tells [data.md](data.md).",
        "",
        "- BLEU, chrF and chrF++ run from 0 to 100, and higher is better. TER counts edits for a hundred words, and",
        "  lower is better. Scores compare only where their signatures, printed below each table, are the same.",
        "- Perplexity is teacher-forced, for a token of the model's own vocabulary, the end of sentence included;",
        "  lower is better. It compares only between models with the same vocabulary.",
        "- Each model was trained once, or once for each seed named. Small differences may be chance.",
        "- tokens/s counts the real target tokens of the whole training, validation included in the time.",
        "- Minutes and tokens/s tell what a training took here, two at a time with a thread each, while other work ran",
        "  on the machine too, or on a GPU with others beside it. They are no measurement of speed.",
    ]
    for function in TABLES:
        lines += ["", *function()]
    return "\n".join(lines)


def drawn() -> dict[str, str]:
    """All charts of figures, by file."""
    return small_pictures() | preset_pictures() | speed_pictures() | decoding_pictures() | pareto_pictures()


TABLES = (
    lineage,
    korean,
    korean_best,
    multi30k,
    small,
    presets,
    speed,
    prepared,
    gpu,
    decoding,
    step,
    pareto,
    objectives,
    parallel,
    searching,
    alignments,
    demo,
    pictures,
    attribution,
    packing,
    faults,
)
