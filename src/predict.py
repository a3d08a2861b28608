"""Predict the digits in your own pictures: `python src/predict.py photo.jpg scans/ "more/*.png"`."""

from __future__ import annotations

import argparse
import glob
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from mnist_mlp.cli.ending import exit_process
from mnist_mlp.cli.exit_codes import Parser, exit_codes
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.runs.atomic_write import refuse_unwritable_file, writing_output

MOST_PICTURED = 12  # files in one picture
HELP = f"""\
Read the handwritten digits in photographs, scans, screenshots, drawings.

  python src/predict.py docs/photos/*.jpg
      the newest completed run, or the best of the newest sweep or search,
      reads these photographs
  python src/predict.py scans/ --picture answer.png
      all pictures of a folder, and a picture of what was found in the first
      {MOST_PICTURED} that have digits
  python src/predict.py photo.jpg --checkpoint <run directory> --format json
      another run, in a form for programs
"""
NOTES = """\
Options may be written as in the other commands, checkpoint=<run directory>.
Folders are searched for PNG, JPEG, WebP, BMP, TIFF and GIF; patterns in quotes
are expanded here. A digit that the network is unsure of is printed in
parentheses. In JSON and CSV, `text` has a ? in its place; `guess` has the best
guess.

exit code: 0 all files were read, 1 some could not be, 2 none could be or the
command was wrong
"""


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(
        usage=argparse.SUPPRESS,
        description=HELP,
        epilog=NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    help_text = "a file, a folder, or a pattern in quotes"
    parser.add_argument("images", nargs="+", type=_not_empty, metavar="image", help=help_text)
    parser.add_argument(
        "--checkpoint",
        type=_path,
        help="a checkpoint file or a run directory "
        "(default: the newest completed run, or the best of the newest sweep or search)",
    )
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table", help="(default: table)")
    parser.add_argument(
        "--picture",
        type=_path,
        metavar="out.png",
        help=f"also draw what was found and how sure the network is, for the first {MOST_PICTURED} files with digits",
    )
    # The other commands take key=value, so both styles are taken here; a file of that name is a file.
    words = sys.argv[1:] if argv is None else argv
    options = ("checkpoint=", "format=", "picture=")
    return parser.parse_args(
        ["--" + word if word.startswith(options) and not os.path.lexists(word) else word for word in words]
    )


def _not_empty(text: str) -> str:
    """Refuse what a shell makes of an unset variable in quotes: as a path it would be the working directory."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, got an empty one")
    return text


def _path(text: str) -> Path:
    """A path with its `~` expanded, which a shell leaves as it is after `checkpoint=`."""
    return Path(_not_empty(text)).expanduser()


def files_of(images: Sequence[str]) -> list[Path]:
    """Files for the arguments (files, folders, patterns), each once and in order; missing ones stay, to be reported."""
    from mnist_mlp.data.image_file import SUFFIXES

    files: list[Path] = []
    for image in images:
        is_pattern = glob.has_magic(image) and not os.path.lexists(image)
        for path in map(Path, (sorted(glob.glob(image, recursive=True)) if is_pattern else []) or [image]):
            inside: list[Path] = []
            if os.path.isdir(path):  # not path.is_dir(), which raises an error for a name that is too long
                inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
            files += inside or [path]
    return list(dict.fromkeys(files))


def check(options: argparse.Namespace, files: Sequence[Path]) -> None:
    """Raise ConfigError for arguments that cannot succeed, before torch is imported."""
    if not any(os.path.isfile(file) for file in files):
        more = f" (and none among the other {len(files) - 1} arguments)" if len(files) > 1 else ""
        raise ConfigError(f"{files[0]}: expected a picture or a folder with pictures, found none{more}")
    if options.picture is not None:
        if options.picture.suffix.lower() not in (".png", ".pdf", ".svg"):
            raise ConfigError(f"--picture: expected a name that ends in .png, .pdf or .svg, got {options.picture}")
        refuse_unwritable_file("--picture", options.picture)
        if options.picture.exists() and any(os.path.exists(file) and file.samefile(options.picture) for file in files):
            raise ConfigError(f"--picture: expected a file other than those to be read, got {options.picture}")


def predict(options: argparse.Namespace) -> int:
    """Read every file, print the digits, and return the exit code."""
    files = files_of(options.images)
    check(options, files)
    from tqdm import tqdm

    from mnist_mlp.extras.handwriting import output
    from mnist_mlp.extras.handwriting.reader import ERROR, OK, UNSURE, Reader, Reading
    from mnist_mlp.extras.inference.predictor import Predictor
    from mnist_mlp.runs import chosen_checkpoint
    from mnist_mlp.runs.newest import OUTPUTS

    predictor = Predictor.load(options.checkpoint or chosen_checkpoint.newest(OUTPUTS))
    reader = Reader(predictor)
    out = sys.stdout
    notes = out if options.format == "table" else sys.stderr
    print(f"checkpoint: {predictor.described(newest=options.checkpoint is None)}", file=notes)

    counts: Counter[str] = Counter()
    pictured: list[Reading] = []

    def readings() -> Iterator[Reading]:
        # Where the lines themselves appear on the terminal, they are progress enough.
        silent = not sys.stderr.isatty() or out.isatty()
        for reading in tqdm(reader.read(files), total=len(files), unit="file", leave=False, disable=silent):
            counts[reading.status] += 1
            if options.picture is not None and reading.guesses and len(pictured) < MOST_PICTURED:
                pictured.append(reading)
            yield reading

    if options.format == "json":
        output.write_json(readings(), out)
    elif options.format == "csv":
        output.write_csv(readings(), out)
    else:
        output.write_table(readings(), out, files)
    if counts[ERROR]:
        print(f"predict.py: {counts[ERROR]} of {len(files)} files could not be read", file=sys.stderr)
    if pictured:
        from mnist_mlp.extras.handwriting.plots import draw

        with writing_output("--picture", options.picture):
            draw(pictured, options.picture)
        with_digits = counts[OK] + counts[UNSURE]
        part = f" (the first {len(pictured)} of {with_digits} files with digits)" if with_digits > len(pictured) else ""
        print(f"picture: {options.picture}{part}", file=notes)
    elif options.picture is not None:
        print(f"predict.py: no digits, so no {options.picture}", file=sys.stderr)
    return 0 if not counts[ERROR] else 1 if counts[ERROR] < len(files) else 2


def main() -> NoReturn:
    with exit_codes():
        exit_code = predict(arguments())
    exit_process(exit_code)


if __name__ == "__main__":
    main()
