"""The page of a cohort: every patient with a picture, the doubtful ones first."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from myops import __version__
from myops.batch.jobs import Job
from myops.batch.patient import DONE
from myops.batch.rows import BETWEEN
from myops.report.pages import page_template

if TYPE_CHECKING:
    from myops.batch.patient import Outcome

# Structures on a card, in g.
SHOWN = {"lv_myocardium": "LV", "scar": "Scar", "edema": "Edema"}


def render_cohort(outcomes: Sequence[Outcome], folder: str, stopped: str = "") -> str:
    """One HTML file that needs nothing else and runs no script.

    Args:
        outcomes: of all patients.
        folder: name of the folder beside the page that holds the patients' results.
        stopped: why the cohort could not go on.
    """
    cards = [_card(one, folder) for one in sorted(outcomes, key=doubt, reverse=True)]
    return page_template("cohort.html.j2").render(
        cards=cards,
        done=sum(one.status == DONE for one in outcomes),
        warned=sum(one.status == DONE and bool(one.row.get("warnings")) for one in outcomes),
        without=sum(one.status != DONE for one in outcomes),
        stopped=stopped,
        version=__version__,
    )


def doubt(outcome: Outcome) -> tuple[bool, int]:
    """How much a patient needs a reader: none without results more, then by warnings."""
    return outcome.status != DONE, int(outcome.row.get("warnings") or 0)


def _card(outcome: Outcome, folder: str) -> dict[str, Any]:
    texts = str(outcome.row.get("warning_texts") or "")
    picture = base64.b64encode(outcome.thumbnail).decode("ascii")
    return {
        "name": outcome.name,
        "status": outcome.status,
        "message": outcome.message,
        "warnings": texts.split(BETWEEN) if texts else [],
        "masses": [(title, _grams(outcome.row.get(f"{key}_g"))) for key, title in SHOWN.items()],
        "scar_percent": _grams(outcome.row.get("scar_percent_of_lv"), "%"),
        "sequences": outcome.row.get("sequences", ""),
        "picture": f"data:image/jpeg;base64,{picture}" if picture else "",
        # Quoted: a folder's name may hold what an address gives a meaning to.
        "report": f"{quote(folder)}/{quote(Job(outcome.name).place)}/report.html",
    }


def _grams(value: object, unit: str = "g") -> str:
    return f"{value:.1f} {unit}" if isinstance(value, int | float) else "not assessed"
