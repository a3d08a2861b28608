"""Take a trained network out of the project: `python src/export.py checkpoint=<file or run directory>`."""

from pathlib import Path

from mnist_mlp.cli import run_app
from mnist_mlp.commands import ExportConfig
from mnist_mlp.errors import require


def main(config: ExportConfig, run_directory: Path) -> None:
    require("onnx", "onnxruntime", "safetensors")
    from mnist_mlp.export import export

    print(export(config, run_directory))


if __name__ == "__main__":
    run_app(main, config_name="export")
