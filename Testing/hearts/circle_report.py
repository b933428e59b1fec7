"""The report of the circle heart, and the words that a reader sees in it."""

from __future__ import annotations

from datetime import datetime, timezone
from html.parser import HTMLParser

from circle_heart import circle_case, circle_labels, circle_segmentation

from myops.quantify.measure import measure
from myops.report.compose import make_content
from myops.report.html import render_report
from myops.report.panels import make_tiles

WHEN = datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc)


def parts(sequences=("bssfp", "lge", "t2"), slices=5, **options):
    labels = circle_labels(slices)
    if "t2" not in sequences:
        labels[labels == 1220] = 200
    if "lge" not in sequences:
        labels[labels == 2221] = 200
    case = circle_case(labels, sequences, **options)
    segmentation = circle_segmentation(case, labels)
    measurements = measure(case, segmentation)
    return case, segmentation, measurements, make_tiles(case, segmentation, measurements)


def rendered(*found, review=None) -> str:
    return render_report(make_content(*found, review, WHEN))


def words(html: str) -> str:
    """The text a reader sees, spaces collapsed."""
    found: list[str] = []

    class Reader(HTMLParser):
        hidden = 0

        def handle_starttag(self, tag, attributes):
            self.hidden += tag in ("style", "script")

        def handle_endtag(self, tag):
            self.hidden -= tag in ("style", "script")

        def handle_data(self, data):
            if not self.hidden:
                found.append(data)

    Reader().feed(html)
    return " ".join(" ".join(found).split())
