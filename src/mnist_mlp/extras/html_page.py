"""A self-contained HTML page: style and script inside, nothing fetched, light or dark as the reader's system is."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #56606b; --line: #b3bac4; --ground: #ffffff;
        --card: #f3f5f7; --accent: #0b6cb0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ebee; --faint: #a3adb8; --line: #59626d; --ground: #14171b; --card: #1f242a; --accent: #5cb8f8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1rem 4rem; background: var(--ground); color: var(--ink);
       font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .5rem; }
p { margin: .3rem 0; max-width: 46rem; } .faint { color: var(--faint); } a { color: var(--accent); }
pre { background: var(--card); border-left: 3px solid var(--accent); padding: .7rem 1rem; margin: .4rem 0;
      white-space: pre-wrap; overflow-wrap: anywhere; }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .86rem; }
.wide { overflow-x: auto; } .wide:focus-visible, button:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; width: 100%; font-size: .94rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--faint); font-weight: 500; vertical-align: bottom; }
td.number, th.number { text-align: right; }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--ground); }
"""


def page(title: str, body: Sequence[str], *, style: str = "", script: str = "") -> str:
    """The whole document; `title` is text, `body` HTML."""
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>{escape(title)}</title><style>{STYLE}{style}</style>"
    end = f"<script>{script}</script>\n" if script else ""
    content = "\n".join(body)
    body_html = f"<body>\n<main>\n{content}\n</main>\n{end}</body>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n{body_html}</html>\n'


def section(heading: str, content: str, *notes: str) -> str:
    """A heading, `notes` as text below it, and `content` as HTML."""
    return "\n".join(
        [f"<h2>{escape(heading)}</h2>", *(f'<p class="faint">{escape(note)}</p>' for note in notes), content]
    )


def scrollable(content: str, name: str) -> str:
    """What may be wider than the screen, in a box of its own that can be scrolled by keyboard too."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="{escape(name)}">{content}</div>'
