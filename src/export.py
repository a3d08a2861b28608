"""Export a trained network to ONNX and safetensors: `python src/export.py checkpoint=<file or run directory>`."""

from pathlib import Path

from mnist_mlp.cli.app import run_app
from mnist_mlp.config.commands import ExportConfig
from mnist_mlp.config.errors import require


def main(config: ExportConfig, run_directory: Path) -> None:
    require("onnx", "onnxruntime", "safetensors")
    from mnist_mlp.extras.onnx_export import export

    print(export(config, run_directory))


if __name__ == "__main__":
    run_app(main, config_name="export")
