"""Where a figure was measured, and the file that keeps it."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def machine() -> str:
    """One line: processor, cores, GPU, and the versions that decide speed."""
    # Imported here: the peak memory of a child includes its parent's when it forks, so that of command.py stays small.
    import torch

    parts = [_processor(), f"{os.cpu_count()} cores"]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "lightning"))
    return f"{', '.join(parts)}; {platform.system()}, Python {platform.python_version()}, {packages}; {date.today()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """A Markdown table; floats with two digits behind the point."""
    words = [[f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *words]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write(name: str, title: str, *parts: str) -> None:
    """Print the result and keep it in results/<name>.md."""
    text = "\n\n".join([f"# {title}", machine(), *parts]) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)
    print(text)
