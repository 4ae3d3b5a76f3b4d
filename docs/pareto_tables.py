"""Table and charts of speed against quality, from benchmarks/results/pareto-*.json."""

from __future__ import annotations

import statistics
from typing import Any

from cells import MISSING, Result, made_by, read, table

from ojak.look import charts
from ojak.look.charts import Points

Point = dict[str, Any]
"""a model in one way of translating"""
CORPORA = {"multi30k": "Multi30k, English to German", "korean": "English to Korean"}
NEAR = 0.2
"""BLEU that int8 and a shortlist may cost"""


def pareto() -> list[str]:
    """BLEU against sentences a second."""
    found = read("pareto-", CORPORA)
    lines = ["## Speed and quality together", ""]
    if not found:
        return [*lines, MISSING]
    lines += [
        "Transformers by the layers of encoder and decoder, otherwise alike. The teachers are models of the tables",
        "above: 4 + 4 layers of width 128 for Multi30k, 3 + 3 of width 256 for Korean. Students that are taught",
        "learnt from the teacher's translations of the training pairs (beam 5), for as long as the other students",
        "([training.md](training.md#distillation)). Raw text in and out, a worker for each core, in one run, by turns.",
    ]
    for corpus, result in found.items():
        lines += ["", f"### {CORPORA[corpus]}: {result['test']}, {result['sentences']:,} sentences", ""]
        lines += [f"![BLEU against sentences a second]({picture(corpus)})", "", *models(result), ""]
        lines += ["What no other beats in both:", ""]
        front = charts.front([(speed(point), point["bleu"]) for point in result["points"]])
        rows = [[way(point), point] for point in result["points"] if (speed(point), point["bleu"]) in front]
        rows.sort(key=lambda row: speed(row[1]))
        header = ["", "sentences/s", "BLEU"]
        lines += table(header, [[f"{p['model']}: {name}", f"{speed(p):,.0f}", f"{p['bleu']:.2f}"] for name, p in rows])
        lines += ["", f"What int8 and a shortlist cost in BLEU (the aim: at most {NEAR:g}), and how fast they are:", ""]
        lines += costs(result)
    signatures = {"BLEU": [(name, point["signature"]) for name, result in found.items() for point in result["points"]]}
    return [*lines, *made_by(found, signatures)]


def models(result: Result) -> list[str]:
    """How each model was trained."""
    header = ["Model", "parameters", "updates", "on a", "validation BLEU, greedy"]
    rows = []
    for name, its in result["models"].items():
        size, device = f"{its['parameters'] / 1e6:.1f} M", its["device"].upper()
        rows.append([name, size, f"{its['updates']:,}", device, f"{its['dev_bleu']:.1f}"])
    return table(header, rows)


def costs(result: Result) -> list[str]:
    """Each model and beam: fp32, and int8 without and with a shortlist beside it."""
    places = {(p["model"], p["beam"], p["precision"], p["shortlist"]): p for p in result["points"]}
    rows = []
    for model, beam in dict.fromkeys((point["model"], point["beam"]) for point in result["points"]):
        plain = places.get((model, beam, "fp32", False))
        if plain is None:
            continue
        row = [f"{model}, {'greedy' if beam == 1 else f'beam {beam}'}", f"{plain['bleu']:.2f}"]
        for words in (False, True):
            point = places.get((model, beam, "int8", words))
            if point is None:
                row += [MISSING, ""]
                continue
            lost = plain["bleu"] - point["bleu"]
            is_near = "met" if round(lost, 2) <= NEAR else "missed"
            row += [f"{-lost:+.2f}, {is_near}", f"{speed(point) / speed(plain):.1f} ×"]
        rows.append(row)
    return table(["", "fp32, BLEU", "int8", "speed", "int8 and shortlist", "speed"], rows)


def speed(point: Point) -> float:
    return statistics.median(point["sentences_per_second"])


def way(point: Point) -> str:
    search = "greedy" if point["beam"] == 1 else f"beam {point['beam']}"
    return f"{point['precision']}{', shortlist' if point['shortlist'] else ''}, {search}"


def picture(corpus: str) -> str:
    return f"pictures/pareto-{corpus}.svg"


def pareto_pictures() -> dict[str, str]:
    """The charts, by file, as far as there are results."""
    drawn = {}
    for corpus, result in read("pareto-", CORPORA).items():
        series = []
        for model in dict.fromkeys(point["model"] for point in result["points"]):
            mine = [point for point in result["points"] if point["model"] == model]
            series.append(Points(model, [speed(p) for p in mine], [p["bleu"] for p in mine], [way(p) for p in mine]))
        drawn[picture(corpus)] = charts.scatter(f"{CORPORA[corpus]}", series, "sentences a second", "BLEU")
    return drawn
