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
    "reference/model-card.md": next(PACKAGE.rglob("MODEL_CARD.md")),
    "contributing.md": ROOT / "CONTRIBUTING.md",
    "changelog.md": ROOT / "CHANGELOG.md",
}

# Where a public name is defined while `myops/__init__.py` does not export it yet. A name that it
# exports is looked up there, so this table can be deleted once it exports them all.
HOMES = {
    "load_case": "case.load_case",
    "Case": "case.Case",
    "Geometry": "geometry.Geometry",
    "load_models": "weights.load_models",
    "Models": "weights.Models",
    "segment": "cascade.segment",
    "CascadeConfig": "cascade.CascadeConfig",
    "Cancelled": "cascade.Cancelled",
    "Segmentation": "segmentation.Segmentation",
    "read_label_map": "quantify.label_map.read_label_map",
    "Refiner": "refine.refiner.Refiner",
    "Prediction": "refine.refiner.Prediction",
    "Session": "refine.session.Session",
    "Step": "refine.session.Step",
    "Rules": "refine.rules.Rules",
    "write_record": "refine.record.to_record",
    "read_record": "refine.record.read_record",
    "Record": "refine.record.Record",
    "replay": "refine.replay.replay",
    "Replay": "refine.replay.Replay",
    "measure": "quantify.measure.measure",
    "ConventionalSettings": "quantify.conventional.ConventionalSettings",
    "Measurements": "quantify.measure.Measurements",
    "TissueMass": "quantify.mass.TissueMass",
    "ThresholdedScar": "quantify.measure.ThresholdedScar",
    "compare": "compare.compare",
    "Agreement": "compare.Agreement",
    "write_results": "output.write_results",
    "read_study": "study.readings.read_study",
    "Study": "study.reading.Study",
    "Reading": "study.reading.Reading",
    "analyze_study": "study.analysis.analyze",
    "StudyResults": "study.results.Results",
    "write_phantom": "phantom.files.write_patient",
    "InputError": "errors.InputError",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures, and the pages that lie elsewhere."""
    pictures = {f"{PICTURES}/{p.name}": p for p in sorted((ROOT / PICTURES).glob("*.png"))}
    for uri, path in (pictures | PAGES).items():
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files outside of Docs lead somewhere, and names to where they are defined."""
    uri = page.file.src_uri
    place = PAGES.get(uri, ROOT / "Docs" / uri).parent
    mended = re.sub(
        r"(\]\()([^)#\s]+)(?=[)#])", lambda m: m[1] + _site_link(m[2], place, uri), markdown
    )
    return re.sub(r"(?<=^::: )myops\.(\w+)$", _definition, mended, flags=re.MULTILINE)


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


def _definition(match: re.Match[str]) -> str:
    """`myops.load_case` if the package exports it, else where it is defined today."""
    name = match[1]
    if (PACKAGE / f"{name}.py").exists():  # a module of that name hides what it defines
        return f"myops.{name}.{name}"
    exported = re.search(rf"\b{name}\b", (PACKAGE / "__init__.py").read_text("utf-8"))
    return f"myops.{name}" if exported or name not in HOMES else f"myops.{HOMES[name]}"
