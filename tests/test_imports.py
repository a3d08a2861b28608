"""Imports are the arrows of docs/architecture.md: one way, and never back to where they began."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from mnist_mlp.config.optional import PARTS, optional
from mnist_mlp.config.schema import PROJECT

SOURCE = PROJECT / "src"
MERMAID = re.search(r"```mermaid\n(.*?)```", (PROJECT / "docs" / "architecture.md").read_text(), re.DOTALL)

Graph = dict[str, set[str]]
"""Each module with those that it imports, inside of functions too; ours and those of others, by dotted name."""


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(text: str, ours: set[str]) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None and node.level == 0
            of_package = {f"{node.module}.{alias.name}" for alias in node.names}  # from package import module
            names |= (of_package & ours) | ({node.module} if of_package - ours else set())
    return names


@pytest.fixture(scope="module")
def graph() -> Graph:
    paths = {module_name(path): path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py"}
    return {name: imported(path.read_text(), set(paths)) for name, path in paths.items()}


def reached(graph: Graph, start: str) -> set[str]:
    """What a module imports, and what that imports, and so on."""
    found, waiting = set(), [start]
    while waiting:
        for name in graph.get(waiting.pop(), set()) - found:
            found.add(name)
            waiting.append(name)
    return found


def cycle(graph: Graph) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_over_others(graph: Graph) -> None:
    assert len(graph) > 80  # or the source was not found
    assert " -> ".join(cycle(graph)) == ""


def test_an_import_inside_a_function_counts() -> None:
    ours = {"package.one", "package.two"}
    texts = {"package.one": "from package import two", "package.two": "def f():\n    from package.one import g\n"}
    assert set(cycle({name: imported(text, ours) for name, text in texts.items()})) == ours


def modules_of(label: str) -> list[str]:
    """The modules that a box of the picture stands for; its label begins with their files, or a folder of them."""
    patterns = re.split("<br/>|:", label)[0].split(", ")
    patterns = [pattern + "*.py" if pattern.endswith("/") else pattern for pattern in patterns]
    places = (PROJECT, SOURCE, SOURCE / "mnist_mlp")
    return [module_name(path) for pattern in patterns for place in places for path in place.glob(pattern)]


@pytest.mark.extras
def test_every_arrow_of_the_architecture_is_an_import(graph: Graph) -> None:
    """Once removed or more; and as no import leads back, none is drawn the wrong way round."""
    assert MERMAID is not None
    labels = dict(re.findall(r'([\w.]+)\["([^"]+)"\]', MERMAID[1]))
    arrows = re.findall(r"([\w.]+) --> ([\w.]+)", MERMAID[1])
    assert len(arrows) >= 12
    for arrow in arrows:
        begins, ends = (modules_of(labels.get(box, box)) for box in arrow)
        assert any(end in reached(graph, begin) for begin in begins for end in ends), arrow


# Folders and files at the top of the package from the top layer to the bottom one; an import never leads up.
LAYERS = (
    {"train", "evaluate", "predict", "compare", "tune", "export", "demo"},
    {"hydra_plugins"},
    {"extras"},
    {"cli", "engine"},
    {"training"},
    {"module", "callbacks"},
    {"data", "runs"},
    {"model", "optim", "distributed"},
    {"config"},
)


def place(module: str) -> str:
    """The command, or the folder or file at the top of the package, in which a module is."""
    parts = module.split(".")
    return parts[1] if parts[0] == "mnist_mlp" and len(parts) > 1 else parts[0]


@pytest.fixture(scope="module")
def places(graph: Graph) -> Graph:
    """Imports between places."""
    arrows: Graph = {}
    for name, others in graph.items():
        arrows.setdefault(place(name), set()).update(place(other) for other in others & graph.keys())
    return {begin: ends - {begin} for begin, ends in arrows.items()}


def test_no_folder_imports_itself_over_others(places: Graph) -> None:
    assert " -> ".join(cycle(places)) == ""


@pytest.mark.extras
def test_no_folder_of_the_extras_imports_itself_over_others(graph: Graph) -> None:
    arrows: Graph = {}
    for name, others in graph.items():
        if place(name) == "extras":
            own = ".".join(name.split(".")[:3])
            inside = {".".join(other.split(".")[:3]) for other in others & graph.keys() if place(other) == "extras"}
            arrows.setdefault(own, set()).update(inside - {own})
    assert len(arrows) > 8
    assert " -> ".join(cycle(arrows)) == ""


def test_imports_lead_down_the_layers(places: Graph) -> None:
    height = {name: -number for number, layer in enumerate(LAYERS) for name in layer}
    assert places.keys() - height.keys() <= {"mnist_mlp"}, "a new place: in which layer is it?"
    up = {
        (begin, end)
        for begin, ends in places.items()
        for end in ends
        if begin in height and height[end] > height[begin]
    }
    assert up == set()


def test_the_core_imports_nothing_from_the_extras(graph: Graph) -> None:
    core = [name for name in graph if place(name) not in {*LAYERS[0], "hydra_plugins", "extras"}]
    assert len(core) > 40
    assert [(name, other) for name in core for other in graph[name] if place(other) == "extras"] == []


def test_the_top_of_the_package_fits_on_a_screen() -> None:
    top = {path.name for path in (SOURCE / "mnist_mlp").iterdir()} - {"__init__.py", "__pycache__", "py.typed"}
    assert len(top) <= 12, sorted(top)


def test_an_optional_part_that_was_deleted_is_none_and_one_that_lacks_a_package_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "half.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("mnist_mlp.config.optional.PARTS", {"gone": "mnist_mlp.gone.part:f", "half": "half:f"})
    assert optional("gone") is None
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        optional("half")


@pytest.mark.extras
def test_every_optional_part_is_where_the_table_says(graph: Graph) -> None:
    for target in PARTS.values():
        module, _, attribute = target.partition(":")
        assert re.search(rf"^(def|class) {attribute}\b", (SOURCE / f"{module.replace('.', '/')}.py").read_text(), re.M)


def test_hydra_stops_before_training(graph: Graph) -> None:
    below = {"mnist_mlp.training", *reached(graph, "mnist_mlp.training")} & graph.keys()
    knowing = {name for name in below if any(other.split(".")[0] == "hydra" for other in graph[name])}
    assert knowing == {"mnist_mlp.config.overrides"}  # for the quotes of a value


def test_values_of_the_core_cannot_be_changed() -> None:
    """Dataclasses are frozen, but for configurations, which tests and programs edit, and a run's growing result."""
    changeable = {"schema.py", "schema_trainer.py", "commands.py", "result.py"}
    for path in sorted((SOURCE / "mnist_mlp").rglob("*.py")):
        if "extras" in path.parts or path.name in changeable:
            continue
        for line in re.findall(r"^ *@dataclass.*$", path.read_text(), re.MULTILINE):
            assert "frozen=True" in line, f"{path}: {line}"
