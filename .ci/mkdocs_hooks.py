"""What mkdocs needs to build the site from pages that also read well in the repository.

The pages link to pictures, source files and a few pages that lie outside of Docs. Here the
pictures and those pages join the site, and links to source files lead to the repository.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "MyoPSSegmenter" / "myops"
SOURCE_URL = "https://github.com/MyoPSSegmenter/MyoPSSegmenter/blob/main"
PICTURES = "Resources/Screenshots"

# Pages of the site that lie elsewhere in the repository: page -> file.
PAGES = {
    "reference/model-card.md": PACKAGE / "weights" / "shipped" / "synthetic" / "MODEL_CARD.md",
    "contributing.md": ROOT / "CONTRIBUTING.md",
    "changelog.md": ROOT / "CHANGELOG.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures, and the pages that lie elsewhere."""
    pictures = {f"{PICTURES}/{p.name}": p for p in sorted((ROOT / PICTURES).glob("*.png"))}
    for uri, path in (pictures | PAGES).items():
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files outside of Docs lead somewhere."""
    uri = page.file.src_uri
    place = PAGES.get(uri, ROOT / "Docs" / uri).parent
    return re.sub(
        r"(\]\()([^)#\s]+)(?=[)#])", lambda m: m[1] + _site_link(m[2], place, uri), markdown
    )


def _site_link(target: str, place: Path, uri: str) -> str:
    """The link of a page in `place` as the page `uri` of the site needs it."""
    if "://" in target or target.startswith("mailto:"):
        return target
    path = Path(os.path.normpath(place / target))
    moved = {file: page for page, file in PAGES.items()}
    if path in moved:
        return os.path.relpath(moved[path], Path(uri).parent)
    if path.is_relative_to(ROOT / "Docs"):
        return os.path.relpath(path.relative_to(ROOT / "Docs"), Path(uri).parent)
    inside = path.relative_to(ROOT).as_posix()
    if inside.startswith(PICTURES):
        return os.path.relpath(inside, Path(uri).parent)
    return f"{SOURCE_URL}/{inside}"
