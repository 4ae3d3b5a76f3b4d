"""Writes the generated pages of the documentation, or with --check tells which of them are stale.

python docs/generate.py [--check]
"""

from __future__ import annotations

import argparse
import json
import sys
from bisect import bisect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import tables
from cells import table
from pydantic import BaseModel

from ojak import cli
from ojak.config import ModelConfig, Recipe, read_recipe
from ojak.presets import preset

ROOT = Path(__file__).resolve().parent.parent
NOTE = "<!-- Made by docs/generate.py; `make docs` writes it anew. -->\n"


# The command line


class _Help(argparse.HelpFormatter):
    """Help of a fixed width with its second column at a fixed place, on every terminal and every version of Python."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)
        self._action_max_length = 30


def verbs(parser: argparse.ArgumentParser | None = None, prefix: str = "") -> dict[str, argparse.ArgumentParser]:
    """The parser of each verb, and of each verb below it: `corpus`, `corpus clean`."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in (parser or cli.parser())._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, verb in action.choices.items():
                found[prefix + name] = verb
                found |= verbs(verb, f"{prefix}{name} ")
    return found


def commands() -> str:
    """The page of the command line."""
    lines = ["# The command line", "", "What `ojak --help` and `ojak VERB --help` say."]
    for name, verb in {"ojak": cli.parser(), **{f"ojak {name}": verb for name, verb in verbs().items()}}.items():
        verb.formatter_class = _Help
        verb.color = False
        lines += ["", f"## {name}", "", "```text", verb.format_help().rstrip(), "```"]
    return "\n".join(lines)


# The configuration


def configuration() -> str:
    """The page of the recipe's keys."""
    lines = [
        "# The configuration",
        "",
        "A recipe holds every choice that a training run depends on. Settings come from TOML files (`--recipe FILE`)",
        "and from words on the command line (`train.updates=2000`); what is not said comes from the preset for the",
        "size of the corpus, and then from the defaults below. An unknown key is refused with the nearest known one.",
        "`recipe.toml` in a run directory says every key.",
        *("", "## Top level", "", *_keys(Recipe, "", ["seed"])),
    ]
    for name, field in Recipe.model_fields.items():
        sections = get_args(ModelConfig) if name == "model" else [field.annotation]
        for section in sections:
            if isinstance(section, type) and issubclass(section, BaseModel):
                title = f"`{name}`"
                if name == "model":
                    title += f" with `model.architecture={section.model_fields['architecture'].default}`"
                lines += ["", f"## {title}", "", *_keys(section, f"{name}.", list(section.model_fields))]
    return "\n".join([*lines, "", *_presets()])


def _keys(section: type[BaseModel], prefix: str, names: list[str]) -> list[str]:
    schema = section.model_json_schema()
    rows = []
    for name in names:
        field = schema["properties"][name]
        rows.append([f"`{prefix}{name}`", _values(field), f"`{json.dumps(field['default'])}`", field["description"]])
    about = [] if section is Recipe else [schema["description"], ""]
    return [*about, *table(["Key", "Values", "Default", "What it is"], rows)]


def _values(field: dict[str, Any]) -> str:
    """The values that a key takes, in words, from its JSON schema."""
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "prefixItems" in field:
        return f"[{', '.join(_values(item) for item in field['prefixItems'])}]"
    if field["type"] == "array":
        return f"list of {_values(field['items'])}"
    words = {"integer": "whole number", "number": "number", "boolean": "`true`, `false`", "string": "text"}
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {field[key]:.15g}" for key, sign in signs.items() if key in field]
    return " ".join([words[field["type"]], ", ".join(bounds)]).strip()


def _presets() -> list[str]:
    starts = list(_sizes())
    ends = [f"to {start - 1:,}" for start in starts[1:]]
    titles = [f"{start:,} {end}" for start, end in zip(starts, [*ends, "and more"], strict=True)]
    lines = [
        "## Presets",
        "",
        "The number of pairs picks the settings that lie under the user's own. Bold: not the default. They began with",
        "what Sennrich and Zhang (2019) advise; what the steps of that advice gain and lose, and what the first column",
        "reaches, has been measured on [small data](results.md#small-data). Of the middle column, how often it",
        "validates and the Transformer's dropout were",
        "[chosen by validation](results.md#the-preset-for-10000-to-100000-pairs). The settings of 100,000 pairs and",
        "more, and those of recurrent models, have not been measured.",
    ]
    for section in get_args(ModelConfig):
        architecture = section.model_fields["architecture"].default
        default = _flat(read_recipe({"model": {"architecture": architecture}}).model_dump())
        said = [_flat(preset(start, architecture)) for start in starts]
        recipes = [_flat(read_recipe(preset(start, architecture)).model_dump()) for start in starts]
        rows = []
        for key in dict.fromkeys(key for settings in said for key in settings if key != "model.architecture"):
            values = [recipe[key] for recipe in recipes]
            cells = [f"{value:,}" if value == default[key] else f"**{value:,}**" for value in values]
            rows.append([f"`{key}`", *cells])
        lines += ["", f"### Pairs, with the {architecture} architecture", "", *table(["Key", *titles], rows)]
    return lines


def _sizes() -> Iterator[int]:
    """The smallest corpus of each preset."""
    top, start = 10**9, 1
    while start < top:
        yield start
        here = preset(start)
        start += bisect(range(start, top), False, key=lambda pairs, here=here: preset(pairs) != here)


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


# All pages


def pages() -> dict[Path, str]:
    """Every generated page, as it must be."""
    made = {"commands": commands(), "configuration": configuration(), "results": tables.results()}
    texts = {ROOT / "docs" / f"{name}.md": f"{NOTE}\n{text}\n" for name, text in made.items()}
    return texts | {ROOT / "docs" / path: text + "\n" for path, text in tables.drawn().items()}


def stale() -> list[Path]:
    """The generated pages that are not as they must be."""
    return [path for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a page is stale")
    args = arguments.parse_args()
    old = stale()
    if args.check:
        for path in old:
            print(f"{path.relative_to(ROOT)} is stale; mend it with: make docs", file=sys.stderr)
        return 1 if old else 0
    for path in old:
        path.write_text(pages()[path], encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
