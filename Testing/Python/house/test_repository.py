"""The habits around the code: workflow files, versions, spelling, links between pages.

Nothing here runs on GitHub; what can be known about the workflow files offline is checked.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import unicodedata
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
# Actions that run on a machine of ours have to be the ones that somebody looked at.
PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")


def text_of(name: str | Path) -> str:
    return (ROOT / name).read_text("utf-8")


def workflow(path: Path) -> dict[str, Any]:
    """A workflow's values; YAML 1.1 reads its key `on` as true."""
    values = yaml.safe_load(text_of(path))
    values["on"] = values.pop(True)
    return values


def jobs() -> list[tuple[str, dict[str, Any]]]:
    """Every job of every workflow, with a name for it."""
    return [
        (f"{path.stem}:{name}", job)
        for path in WORKFLOWS
        for name, job in workflow(path)["jobs"].items()
    ]


def steps() -> list[tuple[str, dict[str, Any]]]:
    return [(name, step) for name, job in jobs() for step in job["steps"]]


def commands() -> list[tuple[str, str]]:
    """Every line that a job runs in a shell."""
    return [
        (name, line.strip())
        for name, step in steps()
        for line in step.get("run", "").replace("\\\n", " ").splitlines()
    ]


# Workflow files


def test_there_are_workflows_for_tests_docs_slow_tests_and_desktop_slicer() -> None:
    assert [path.stem for path in WORKFLOWS] == ["docs", "slicer", "slow", "tests"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_says_at_its_top_that_it_has_not_run_yet(path: Path) -> None:
    assert text_of(path).startswith("# Not run yet: ")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_can_read_the_repository_and_nothing_else(path: Path) -> None:
    assert workflow(path)["permissions"] == {"contents": "read"}


def test_every_job_ends_by_itself() -> None:
    assert [name for name, job in jobs() if not 0 < job.get("timeout-minutes", 0) <= 180] == []


def test_every_action_is_pinned_to_a_commit_and_names_its_version() -> None:
    used = [step["uses"] for _, step in steps() if "uses" in step]
    assert used and [name for name in used if not PINNED.fullmatch(name)] == []
    for path in WORKFLOWS:
        for line in text_of(path).splitlines():
            if "uses:" in line:
                assert re.search(r" # v\d+\.\d+\.\d+$", line), line


def test_an_action_has_one_version_in_all_workflows() -> None:
    used = {step["uses"] for _, step in steps() if "uses" in step}
    assert len(used) == len({name.split("@")[0] for name in used})


def test_the_tests_run_on_every_python_that_the_package_allows() -> None:
    metadata = text_of("pyproject.toml")
    lowest, above = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', metadata).groups()
    allowed = [f"3.{minor}" for minor in range(int(lowest), int(above))]
    matrix = dict(jobs())["tests:matrix"]["strategy"]["matrix"]
    assert matrix["python-version"] == allowed
    assert re.findall(r'"Programming Language :: Python :: (3\.\d+)"', metadata) == allowed
    assert f"expected Python {allowed[0]} to {allowed[-1]}" in text_of(".ci/environment.sh")


@pytest.mark.parametrize("job", ["tests:matrix", "slicer:tutorial"])
def test_three_systems_are_tested(job: str) -> None:
    systems = dict(jobs())[job]["strategy"]["matrix"]["os"]
    assert systems == ["ubuntu-latest", "windows-latest", "macos-latest"]


def test_every_single_python_of_a_job_is_one_that_the_package_allows() -> None:
    allowed = dict(jobs())["tests:matrix"]["strategy"]["matrix"]["python-version"]
    named = [step["with"]["python-version"] for _, step in steps() if "setup-python" in str(step)]
    assert {one for one in named if not one.startswith("${{")} <= set(allowed)


def test_every_target_that_a_job_makes_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([\w-]+):", text_of("Makefile"), re.MULTILINE))
    made = {
        target
        for _, line in commands()
        for maker in ("make ", "bash .ci/run ")
        if line.startswith(maker)
        for target in line.removeprefix(maker).split()
    }
    made |= set(re.search(r"set -- (.+); fi", text_of(".ci/run")).group(1).split())
    assert {"docs", "test", "test-slow", "test-scheduled", "examples"} <= made <= targets


def test_every_script_that_a_job_runs_is_there() -> None:
    named = {
        word
        for _, line in commands()
        for word in line.split()
        if word.startswith((".ci/", "Testing/")) and "." in word.rsplit("/", 1)[-1] + "."
    }
    assert {".ci/run", ".ci/get_slicer.sh", "Testing/Desktop/tutorial.py"} <= named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_extra_that_a_job_installs_is_one_of_the_package() -> None:
    asked = set(re.findall(r'"\.\[([\w-]+)\]"', "\n".join(line for _, line in commands())))
    extras = text_of("pyproject.toml").split("[project.optional-dependencies]")[1].split("\n[")[0]
    assert asked and asked <= set(re.findall(r"^([\w-]+) = \[", extras, re.MULTILINE))


def test_the_site_that_a_job_keeps_is_where_mkdocs_builds_it() -> None:
    if not (ROOT / "mkdocs.yml").is_file():
        pytest.skip("there is no mkdocs.yml")
    folder = re.search(r"^site_dir: (\S+)$", text_of("mkdocs.yml"), re.MULTILINE)
    uploads = [s["with"]["path"] for name, s in steps() if name == "docs:site" and "path" in str(s)]
    assert uploads == [folder.group(1) if folder else "site"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("script", [".ci/run", ".ci/get_slicer.sh", ".ci/run_slicer.sh"])
def test_the_shell_can_read_every_script(script: str) -> None:
    done = subprocess.run(["bash", "-n", ROOT / script], capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")


# Templates


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_issue_forms_are_well_formed_and_forbid_patient_data(path: Path) -> None:
    values = yaml.safe_load(text_of(path))
    if path.stem == "config":
        assert values["blank_issues_enabled"] is False
        return
    assert {"name", "description", "body"} <= set(values)
    fields = [one["id"] for one in values["body"] if one["type"] != "markdown"]
    assert len(fields) == len(set(fields))
    assert "No patient data" in values["body"][0]["attributes"]["value"]


def test_a_bug_report_asks_for_the_output_of_info() -> None:
    assert "myops info" in text_of(".github/ISSUE_TEMPLATE/bug.yml")


# Versions, citation


@cache
def check_release() -> ModuleType:
    path = ROOT / ".ci" / "check_release.py"
    spec = importlib.util.spec_from_file_location("check_release", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_one_version_and_one_date_everywhere() -> None:
    assert check_release().problems(ROOT) == []


@pytest.mark.parametrize("place", ["CITATION.cff", "CMakeLists.txt", "CHANGELOG.md"])
def test_a_version_that_was_forgotten_is_named(place: str, tmp_path: Path) -> None:
    for name in check_release().PLACES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        text = text_of(name)
        old = check_release().first(ROOT / name, check_release().PLACES[name])
        (tmp_path / name).write_text(text.replace(old, "9.9.9") if name == place else text, "utf-8")
    (found,) = check_release().problems(tmp_path)
    assert found.startswith(f"{place}: expected version ") and found.endswith("found 9.9.9")


def test_the_citation_names_the_software_and_four_papers() -> None:
    values = yaml.safe_load(text_of("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors", "license", "version"} <= set(values)
    assert values["cff-version"] == "1.2.0"
    assert len(values["references"]) == 4
    for paper in values["references"]:
        assert {"type", "title", "authors", "year"} <= set(paper)
        assert "doi" in paper or "url" in paper
        assert re.fullmatch(r"10\.\d{4,}/\S+", paper.get("doi", "10.1000/none"))


# Spelling


def test_no_word_is_misspelled() -> None:
    pytest.importorskip("codespell_lib", reason="codespell is not installed")
    command = [sys.executable, "-m", "codespell_lib"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.stdout == "", "correct it, or add the word to .ci/known_words.txt"


def test_the_words_that_codespell_does_not_know_are_in_order() -> None:
    words = text_of(".ci/known_words.txt").split()
    assert words == sorted(set(words))


# Links between pages


PAGES = sorted(
    path.relative_to(ROOT)
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "Docs").rglob("*.md"),
        *(ROOT / ".github").rglob("*.md"),
    )
)


NO_BRACKETS = str.maketrans("[]", "()")


def without_code(text: str) -> str:
    """A page without its code, where brackets are no links and # is no heading."""
    text = re.sub(r"^( *)(```|~~~).*?^\1\2[^\n]*$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(
        r"`[^`\n]*`", lambda found: found.group().replace("[", "(").replace("]", ")"), text
    )


def slug(heading: str) -> str:
    """The anchor that GitHub and MkDocs give a heading."""
    words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    words = (
        unicodedata.normalize("NFC", re.sub(r"[*`]|(?<!\w)_|_(?!\w)", "", words)).strip().lower()
    )
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Every anchor of a page: its headings, numbered where they repeat, and those set by hand."""
    text = without_code(text_of(page))
    found: set[str] = set(re.findall(r'(?:id|name)="([^"]+)"', text))
    found |= set(re.findall(r"\{ *#([\w-]+) *\}", text))
    for heading in re.findall(r"^#+ +(.+?)(?: +#+)?(?: *\{[^}]*\})?$", text, re.MULTILINE):
        name, number = slug(heading), 0
        while (unique := name if number == 0 else f"{name}-{number}") in found:
            number += 1
        found.add(unique)
    return found


def links(page: Path) -> list[str]:
    """Where a page's links and pictures lead, apart from addresses of the web."""
    text = without_code(text_of(page))
    found = re.findall(r"\]\(<?([^)\s>]+)>?(?: +\"[^\"]*\")?\)", text)
    found += re.findall(r"^\[[^\]]+\]: +(\S+)", text, re.MULTILINE)
    found += re.findall(r'(?:src|href)="([^"]+)"', text)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_to_a_file_and_every_anchor_to_a_heading(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists():
            broken.append(f"{link}: no such file")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            broken.append(f"{link}: no such heading; there are {sorted(anchors(target))}")
    assert broken == []


def test_anchors_are_made_as_github_makes_them() -> None:
    assert slug("What has been run where") == "what-has-been-run-where"
    assert slug("FWHM, half of maximum (per slice)") == "fwhm-half-of-maximum-per-slice"
    assert slug("`myops study`: agreement & more") == "myops-study-agreement--more"
    assert slug("[The guide](guide.md) in *ten* minutes") == "the-guide-in-ten-minutes"


def test_brackets_in_code_are_not_links() -> None:
    assert "[" not in without_code("```\n[a](b.md)\n```\nand `[a](b.md)`")


# Tests that make test leaves out


def test_what_make_test_leaves_out_is_run_by_every_checker_or_once_a_week() -> None:
    makefile, checker = text_of("Makefile"), text_of(".ci/run")
    quick = r'^test: lint\n\t\$\(PYTEST\) -m "not slow and not scheduled"$'
    assert re.search(quick, makefile, re.MULTILINE)
    for marker in ("slow", "scheduled"):
        target = rf"^test-{marker}: .*\n\t\$\(PYTEST\) -m {marker}$"
        assert re.search(target, makefile, re.MULTILINE)
        assert f'"{marker}: ' in text_of("pyproject.toml")
    assert re.search(r"set -- test test-slow .*; fi", checker)
    assert any("test-scheduled" in line for _, line in commands())
