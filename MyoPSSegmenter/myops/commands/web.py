"""`myops web`: the workflow of the Slicer module in a browser."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import click

from myops.commands.options import PATH, device_option
from myops.errors import InputError

# What the extra `web` brings: module -> package.
NEEDED = {"aiohttp": "aiohttp", "slicer": "slicer-core"}
# Of the seeds beside the demo's: magnitude images, so that every method applies, and few slices.
OWN_PATIENTS, OWN_SEED = 3, 950014
DEFAULT_FOLDER = Path("web-patients")
RESULTS_FOLDER = "myops-study"


@click.command()
@click.argument("folder", type=PATH, required=False)
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--results", type=PATH, help="Folder for the readings.  [default: FOLDER/myops-study]"
)
@click.option("--certificate", type=PATH, help="PEM file: encrypt the connection.")
@click.option("--key", type=PATH, help="PEM file with the certificate's key.")
@click.option("--behind-proxy", is_flag=True, help="A proxy on this computer encrypts.")
@click.option(
    "--uploads/--no-uploads", default=True, show_default=True, help="Let readers add patients."
)
@click.option(
    "--upload-gb",
    type=click.FloatRange(min=0.001),
    default=4.0,
    show_default=True,
    help="Most of one patient.",
)
@click.option("--readers", type=click.IntRange(min=1), default=4, show_default=True)
@click.option("--memory-gb", type=click.FloatRange(min=2), default=8.0, show_default=True)
@device_option
def web(
    folder: Path | None,
    port: int,
    host: str,
    results: Path | None,
    certificate: Path | None,
    key: Path | None,
    behind_proxy: bool,
    uploads: bool,
    upload_gb: float,
    readers: int,
    memory_gb: float,
    device: str,
) -> None:
    """Segment and correct in a browser, with the steps of the Slicer module.

    FOLDER holds one folder per patient; without it three synthetic patients are made. The printed
    address works on this computer alone. Another --host needs a token in MYOPS_WEB_TOKEN, and
    --certificate or --behind-proxy.
    """
    _check_installed()
    from myops_web.serve import serve
    from myops_web.settings import TOKEN_VARIABLE, Settings, checked_results, checked_token

    encrypted = certificate is not None or behind_proxy
    token = checked_token(host, os.environ.get(TOKEN_VARIABLE, ""), encrypted)
    place = _own_patients() if folder is None else folder
    settings = Settings(
        folder=place.resolve(),
        results=checked_results(place, results, RESULTS_FOLDER),
        host=host,
        port=port,
        token=token,
        device=device,
        certificate=certificate,
        key=key,
        readers=readers,
        memory_gb=memory_gb,
        uploads=uploads,
        upload_gb=upload_gb,
    )
    serve(settings, lambda address: click.echo(f"Open {address}\nCtrl-C ends the server."))


def _check_installed() -> None:
    missing = [package for module, package in NEEDED.items() if not _is_there(module)]
    if missing:
        raise InputError(
            f"expected the packages of the extra 'web', found no {' and no '.join(missing)}; "
            'install them: pip install "myops-segmenter[web]"'
        )


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _own_patients() -> Path:
    """A case list to try: synthetic patients, made once."""
    from myops.commands.terminal import progress_bar
    from myops.phantom.files import write_cohort
    from myops.phantom.patient import SAMPLE

    if not DEFAULT_FOLDER.is_dir():
        with progress_bar("Generating") as progress:
            write_cohort(OWN_SEED, OWN_PATIENTS, DEFAULT_FOLDER, SAMPLE, progress)
    click.echo(f"Synthetic patients: {DEFAULT_FOLDER}")
    return DEFAULT_FOLDER
