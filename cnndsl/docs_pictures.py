"""Draw the documents' pictures: `python -m cnndsl.docs_pictures examples docs/pictures`."""

from __future__ import annotations

from pathlib import Path

import click

from cnndsl.driver.load import load
from cnndsl.files import write_file
from cnndsl.pictures.build import build
from cnndsl.pictures.content import Ink
from cnndsl.pictures.svg import to_svg

PICTURES = ("inception", "resnet18", "unet", "yolov3")
"""The examples that are drawn."""


@click.command()
@click.argument("examples", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(examples: Path, folder: Path) -> None:
    """Draw programs of the folder EXAMPLES into FOLDER."""
    for name in PICTURES:
        path = folder / f"{name}.svg"
        text = draw(examples / f"{name}.cnn")
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_file(path, text.encode("utf-8"))
            click.echo(f"{path} brought up to date")


def draw(program: Path) -> str:
    """Return the picture of a program as `cnndsl plot` draws it."""
    return to_svg(build(load(program).graph), Ink.MACS, program.name)


if __name__ == "__main__":
    main()
