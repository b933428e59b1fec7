"""The pages of Docs: each is in the site's menu, and what points to one of them finds it."""

import re
import subprocess
from pathlib import Path

import click
import pytest

import myops
from myops.cli import cli

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "Docs"
PAGES = {p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md")}
# Pages of the site that `.ci/mkdocs_hooks.py` takes from elsewhere in the repository.
FROM_ELSEWHERE = {"reference/model-card.md", "contributing.md", "changelog.md"}


def menu() -> list[str]:
    settings = (ROOT / "mkdocs.yml").read_text("utf-8")
    return re.findall(r"^ *- (?:[^:]+: )?(\S+\.md)$", settings, re.M)


def test_the_menu_of_the_site_lists_every_page_once_and_nothing_else() -> None:
    single_decisions = {p for p in PAGES if re.match(r"decisions/\d", p)}
    examples = {p for p in PAGES if p.startswith("examples/")}
    assert sorted(menu()) == sorted(PAGES - single_decisions - examples | FROM_ELSEWHERE)


def test_the_page_of_decisions_lists_each_in_order_under_its_title() -> None:
    listed = re.findall(
        r"^\d+\. \[(.+)\]\((\d\d)-(\S+)\)$", (DOCS / "decisions/README.md").read_text("utf-8"), re.M
    )
    pages = {p.name: p.read_text("utf-8") for p in sorted((DOCS / "decisions").glob("[0-9]*.md"))}
    assert [f"{number}-{name}" for _, number, name in listed] == list(pages)
    assert [f"# {title}" for title, _, _ in listed] == [t.split("\n")[0] for t in pages.values()]


@pytest.mark.parametrize("page", sorted(p for p in PAGES if re.match(r"decisions/\d", p)))
def test_a_decision_says_when_it_was_taken_and_whether_it_still_holds(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    assert re.search(r"^\*\*Status\.\*\* \w+, \d{4}-\d\d-\d\d\.", text, re.M)


def test_the_page_of_commands_lists_every_command_once() -> None:
    rows = re.findall(
        r"^\| `myops (\w+)` \|", (DOCS / "reference/command-line.md").read_text("utf-8"), re.M
    )
    assert sorted(rows) == sorted(cli.list_commands(click.Context(cli)))


def test_every_page_that_a_file_names_is_there() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a clone: the list of files comes from git")
    missing = []
    for name in listed.stdout.split("\n"):
        if Path(name).suffix not in {".py", ".md", ".toml", ".ui"} or name == "CHANGELOG.md":
            continue  # released notes name the pages of their day
        for page in re.findall(r"\bDocs/[\w/.-]+\.md\b", (ROOT / name).read_text("utf-8")):
            if not (ROOT / page).exists():
                missing.append((name, page))
    assert missing == []


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_row_of_a_table_has_as_many_cells_as_its_head(page: str) -> None:
    head, code = 0, False
    for line in (DOCS / page).read_text("utf-8").split("\n"):
        code ^= line.lstrip().startswith("```")
        if code or not line.startswith("|"):
            head = 0
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        if head == 0:
            head = cells
        assert cells == head, line


def test_every_public_name_has_its_place_in_the_python_reference_once() -> None:
    pages = (p.read_text("utf-8") for p in sorted((DOCS / "reference/api").glob("*.md")))
    shown = re.findall(r"^::: myops\.(\w+)$", "\n".join(pages), re.M)
    assert len(shown) == len(set(shown))
    exported = set(getattr(myops, "__all__", [])) - {"__version__"}
    assert exported - set(shown) == set()


def shown_calls(text: str) -> list[list[str]]:
    """The words of each `myops ...` in a block of commands or in a line of text."""
    joined = text.replace("\\\n", " ")
    calls = re.findall(r"^(?:[\w./]+/)?myops (.*)$|`myops ([^`]*)`", joined, re.M)
    return [(block or inline).split(" #")[0].split() for block, inline in calls]


@pytest.mark.parametrize("page", ["README.md", *sorted(f"Docs/{page}" for page in PAGES)])
def test_every_command_and_option_that_a_page_shows_exists(page: str) -> None:
    unknown = []
    for words in shown_calls((ROOT / page).read_text("utf-8")):
        command, context = cli, click.Context(cli)
        while words and isinstance(command, click.Group):
            found = command.get_command(context, words[0])
            if found is None:
                break
            command, context = found, click.Context(found, parent=context)
            words = words[1:]
        known = {name for option in command.params for name in option.opts}
        known |= set(command.get_help_option_names(context)) | {"--version"}
        options = [word.split("=")[0] for word in words if word.startswith("--") and word != "--"]
        unknown += [(*words, option) for option in options if option not in known]
        if command is cli and words and re.match(r"[a-z]", words[0]):
            unknown.append((*words, "is not a command"))
    assert unknown == []


def test_every_test_that_the_review_of_the_slicer_layer_names_exists() -> None:
    review = (DOCS / "reference/slicer-review.md").read_text("utf-8")
    named = re.findall(r"`(\S+\.py)::(test_\w+)`", review)
    assert len(named) > 60
    files = {name: ROOT / (name if "/" in name else f"Testing/Slicer/{name}") for name, _ in named}
    texts = {name: path.read_text("utf-8") for name, path in files.items()}
    assert [pair for pair in named if f"def {pair[1]}(" not in texts[pair[0]]] == []
