"""A figure that stands in more than one place is the same in each: README, docs/results.md, benchmarks/results."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
Row = dict[str, str]


@cache
def page(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    """Text of a page below the heading, to the next one of the same level."""
    level = heading.split()[0]
    _, found, rest = page(name).partition(f"\n{heading}\n")
    assert found, f"{name} has no {heading!r}"
    return re.split(rf"^{level} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def tables(text: str) -> list[list[Row]]:
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        names, _, *rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines()]
        found.append([dict(zip(names, row, strict=False)) for row in rows])
    return found


def table(text: str, column: str) -> list[Row]:
    """The first table with this column."""
    return next(rows for rows in tables(text) if column in rows[0])


def numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?!\d)", text)]


def sentence(text: str, *words: str) -> str:
    """The one list item or paragraph with these words, on one line."""
    parts = [re.sub(r"\s+", " ", part) for part in re.split(r"\n\n|\n(?=- )", text)]
    (found,) = [part for part in parts if all(word in part for word in words)]
    return found


def recipe(cell: str) -> str:
    name = re.search(r"experiment=(\w+)", cell)
    return name[1] if name else "default" if "train.py" in cell else cell


RESULTS = "docs/results.md"
BY_RECIPE = {recipe(row["command"]): row for row in table(section("README.md", "## Results"), "test accuracy")}


def test_the_accuracies_of_the_readme_are_those_of_the_results() -> None:
    accuracy = "test accuracy, mean ± standard deviation"
    rows = table(section(RESULTS, "## Accuracy"), accuracy)
    detailed = {recipe(row["recipe"]): row for row in rows}
    singles = {name: row for name, row in BY_RECIPE.items() if name in detailed}
    assert len(singles) == len(BY_RECIPE) - 1, "all but the committee"
    for name, row in singles.items():
        own = detailed[name]
        assert own[accuracy].startswith(row["test accuracy"]), name
        seeds = numbers(own["seeds"])
        assert int(row["seeds"]) == 1 + seeds[-1] - seeds[0], name
        if re.match(r"[\d-]+", own["network"]):
            assert own["network"].split(",")[0].split(" ")[0] == re.split("[, ]", row["network"])[0], name
    (committee,) = [row for name, row in BY_RECIPE.items() if name not in detailed]
    assert committee["test accuracy"] in [row[accuracy].partition(" %")[0] + " %" for row in rows]
    for row in rows:
        wrong = re.match(r"([\d.]+) % \((\d+) mistakes\)", row[accuracy])
        assert wrong is None or float(wrong[1]) == pytest.approx(100 - int(wrong[2]) / 100)


def test_the_seconds_of_a_recipe_are_the_same_wherever_they_stand() -> None:
    spent = {name: numbers(row["CPU seconds"]) for name, row in BY_RECIPE.items() if row["CPU seconds"]}
    costs = {}
    for row in table(section(RESULTS, "## Accuracy"), "seconds"):
        names = re.findall(r"`?(\w+)`?", row["recipe"])
        costs |= dict(zip(names, numbers(row["seconds"]), strict=False))
    assert {name: seconds[0] for name, seconds in spent.items()} == costs
    commands = table(section("README.md", "## Commands"), "takes, on one core")
    for row in commands:
        words = re.fullmatch(r"`python src/train\.py experiment=(\w+)`", row["command"])
        takes = re.match(r"([\d.]+) (s|min)", row["takes, on one core"])
        if words and words[1] in spent and takes:
            seconds = float(takes[1]) * {"s": 1, "min": 60}[takes[2]]
            assert seconds == pytest.approx(spent[words[1]][0], rel=0.25), words[1]  # it is rounded there


EPOCH = {row["batch"]: row for row in table(page("benchmarks/results/epoch.md"), "ours / by hand")}
AGAINST = {"by hand": "ours / by hand", "torch.compile": "ours / compiled", "JAX": "ours / JAX"}


def test_the_ratios_of_an_epoch_are_quotients_of_its_seconds() -> None:
    for row in EPOCH.values():
        for name, ratio in row.items():
            if name.startswith("ours / "):
                ours, other = float(row["ours (s)"]), float(row[f"{name.removeprefix('ours / ')} (s)"])
                furthest = 0.005 / ours + 0.005 / other  # of two roundings to hundredths of a second
                assert float(ratio) == pytest.approx(ours / other, rel=furthest, abs=0.005), name


def test_the_ratios_of_an_epoch_in_readme_and_results_are_those_that_were_measured() -> None:
    speed = sentence(section(RESULTS, "## Speed"), "an epoch against a loop")
    readme = sentence(section("README.md", "## Results"), "bare loop in plain PyTorch")
    for batch, row in EPOCH.items():
        at = rf"at (?:batch )?{int(batch):,}\b"
        given = re.findall(rf"(\d\.\d\d) {at}", speed)
        assert given == [row["ours / by hand"], row["ours / JAX"]], batch
    compiled = sorted(row["ours / compiled"] for row in EPOCH.values())
    assert f"`torch.compile` {compiled[0]} to {compiled[-1]}" in speed
    pairs = re.findall(r"(\d\.\d\d) \((?:batch size )?([\d,]+)\)", readme)
    assert len(pairs) == 2
    for ratio, batch in pairs:
        assert EPOCH[batch.replace(",", "")]["ours / by hand"] == ratio


def test_the_seconds_of_commands_are_those_that_were_measured() -> None:
    text = page("benchmarks/results/command.md")
    seconds = {row["command"]: float(row["median (s)"]) for row in table(text, "median (s)")}
    ours = next(value for name, value in seconds.items() if "seeds" in name)
    usual = next(value for name, value in seconds.items() if "usual" in name)
    speed = section(RESULTS, "## Speed")
    whole = sentence(speed, "whole default command")
    assert f"{ours:.1f} against {usual:.0f} s" in whole
    ratio = re.search(r"Usual project / default run: ([\d.]+) in time", text)
    assert ratio and float(ratio[1]) == pytest.approx(usual / ours, abs=0.05)
    assert {"a fifth": 5, "a sixth": 6, "an eighth": 8, "a tenth": 10, "a twelfth": 12, "a fifteenth": 15}[
        re.search(r"takes (an? \w+th) of the time", whole)[1]  # type: ignore[index]
    ] == round(float(ratio[1]))
    quick = sentence(speed, "`--help` answers")
    (asked,) = [value for name, value in seconds.items() if "--help" in name]
    (misspelt,) = [value for name, value in seconds.items() if "misspelt" in name]
    memory = re.search(r"imports and data: ([\d.]+) in peak memory", text)
    assert memory
    assert numbers(quick) == [round(asked, 1), round(misspelt, 1), float(memory[1])]


def test_the_figures_of_a_stacked_sweep_are_those_that_were_measured() -> None:
    rows = table(page("benchmarks/results/stacked.md"), "alone / stacked")
    faster = {row["batch"]: float(row["alone / stacked"]) for row in rows}
    for row in rows:
        ratio = float(row["alone"]) / float(row["stacked"])
        assert faster[row["batch"]] == pytest.approx(ratio, abs=0.05 + 0.02 * ratio)  # of rounded seconds
    stacked = sentence(section(RESULTS, "## Speed"), "in a stacked sweep")
    given = re.findall(r"([\d.]+) times (?:faster on two cores )?at (?:batch )?([\d,]*\d)", stacked)
    assert {batch.replace(",", ""): float(times) for times, batch in given} == faster
    steps = sorted(float(row["step / products"]) for row in rows)
    least, most = f"{steps[0]:.1f}", f"{steps[-1]:.1f}"
    assert f"{least if least == most else f'{least} to {most}'} times as long as its matrix products" in stacked
    share = re.search(r"32 networks \(batch size 64\) takes ([\d.]+) times as long", page("README.md"))
    assert share and float(share[1]) == round(1 / max(faster.values()), 2)


HANDWRITING = "benchmarks/results/handwriting.md"


def percent(cell: str) -> str:
    return cell.replace(" %", "%").partition("%")[0]


def test_the_tables_of_handwriting_are_those_that_were_measured() -> None:
    damaged = {row["what was done to the digit"]: row["accuracy"] for row in table(page(HANDWRITING), "accuracy")}
    for row in table(section(RESULTS, "## Your own images"), "damage"):
        name = {"transparent background": "transparent", "all of these at once": "all at once"}.get(
            row["damage"], row["damage"]
        )
        assert percent(row["read right"]) == percent(damaged[name]), name
    numbers_of = {row["numbers"].partition(" (")[0]: row for row in table(page(HANDWRITING), "numbers")}
    for row in table(section(RESULTS, "## Your own images"), "all digits found"):
        name = next(iter(row.values()))
        assert list(row.values())[1:] == list(numbers_of[name].values())[1:], name
    refused = {re.sub(r"\W*(digits )?\(.*", "", row["pictures of"]): row for row in table(page(HANDWRITING), "unsure")}
    shown = table(section(RESULTS, "## What is no digit"), "answered")
    assert len(shown) == 5
    for row in shown:
        name = re.sub(r"\W*(digits )?\(.*", "", next(iter(row.values()))).replace("printed ", "").replace("'s", "")
        assert percent(row["answered"]) == percent(refused[name]["answered"]), name


def test_the_figures_of_handwriting_in_sentences_are_those_that_were_measured() -> None:
    measured = page(HANDWRITING)
    text = re.sub(r"\s+", " ", section(RESULTS, "## Your own images"))
    for pattern, there in [
        (r"scikit-learn's 1,797, enlarged\): ([\d.]+) %", r"\*\*([\d.]+)%\*\* right"),
        (r"the slowest took ([\d.]+) s", r"the slowest took ([\d.]+) s"),
        (r"memory grew by (\d+) MB", r"memory grew by (\d+) MB"),
        (r"one picture from the command ([\d.]+) s", r"One picture: ([\d.]+) s"),
        (r"all 10,000 \(([\d.]+) % as they are\)", r"given to the network \| ([\d.]+)%"),
    ]:
        ours, theirs = re.search(pattern, text), re.search(there, measured)
        assert ours and theirs and ours[1] == theirs[1], pattern


def test_the_calibration_in_the_readme_is_within_the_range_of_the_results() -> None:
    rows = tables(section(RESULTS, "## Knowing when it is wrong"))[0]
    ranges = [found for row in rows[:3] for found in re.findall(r"([\d.]+) to ([\d.]+)", row["`small_best`"])]
    calibrated = sentence(section("README.md", "## Results"), "calibrated on validation").partition("With logging")[0]
    said = re.findall(r"\d+(?:\.\d+)?", calibrated)
    for figure, (low, high) in zip(said, ranges, strict=True):
        digits = len(figure.partition(".")[2])
        assert round(float(low), digits) <= float(figure) <= round(float(high), digits), figure
