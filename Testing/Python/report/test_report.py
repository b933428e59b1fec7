import io
import re

import numpy as np
import pytest
from circle_heart import circle_case, circle_labels, circle_segmentation, spacing_unknown
from circle_report import parts, rendered, words
from fresh_python import MODULE, run_python
from matplotlib.image import imread

from myops.io.number_text import number
from myops.quantify.measure import measure
from myops.report.colors import COLORS, NAMES, rgb
from myops.report.figures import legend_names, overview, shown_slices, strip
from myops.report.montage import LINES
from myops.report.panels import heart_crop, make_tiles
from myops.report.wording import summary_sentence


@pytest.fixture(scope="module")
def page():
    return rendered(*parts())


def pixels(png: bytes) -> np.ndarray:
    return imread(io.BytesIO(png))[..., :3]


def near(picture: np.ndarray, name: str, distance: float = 0.15) -> int:
    """Pixels whose color is close to a named one."""
    return int((np.abs(picture - np.array(rgb(name))).max(axis=-1) < distance).sum())


@pytest.mark.slow
def test_the_report_says_what_it_is_not(page):
    assert words(page).count("Research use only. Not a medical device.") >= 2


def test_the_report_needs_no_other_file(page):
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "<script" not in page
    assert "url(" not in page


def test_the_report_shows_every_slice_and_the_one_with_most_scar(page):
    # Five strips, the key slice, and the plot of the regional analysis.
    assert page.count("data:image/png;base64,") == 7
    assert "Slice 2 (most scar)" in words(page)


def test_the_report_gives_masses_date_version_model_and_timing(page):
    text = words(page)
    assert "circle heart" in text
    assert "2026-01-02 03:04 UTC" in text
    assert re.search(r"MyoPS Segmenter \d+\.\d+\.\d+", text)
    # 375 scar voxels of 0.0225 mL are 8.4 mL and 8.9 g, 375 of 3640 are 10.3 %.
    assert "Scar 8.4 8.9 10.3" in text
    assert "f" * 64 in text
    assert "prsn 0.40" in text


def test_the_report_states_remote_region_and_thresholds_in_words(page):
    text = words(page)
    assert "60° sector at 5 o'clock on the pictures" in text
    assert "I ≥ 901.0 / 2 = 450.5" in text


@pytest.mark.slow
def test_a_hostile_case_name_stays_text():
    html = rendered(*parts(name="<script>alert(1)</script>"))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_absent_sequences_read_not_assessed_and_never_zero():
    html = words(rendered(*parts(("bssfp",))))
    assert "scar not assessed; edema not assessed" in html
    assert "LGE absent" in html
    assert "Scar not assessed not assessed not assessed" in html
    assert "Not assessed: there is no LGE image." in html


@pytest.mark.slow
def test_without_a_spacing_the_pictures_have_no_bar_of_20_mm():
    case, segmentation, measurements, tiles = parts()
    bare = spacing_unknown(case)
    found = measure(bare, segmentation)
    bare_tiles = make_tiles(bare, segmentation, found)
    text = words(rendered(bare, segmentation, found, bare_tiles))
    assert "There is no scale" in text and "20 mm" not in text
    with_bar, without = (pixels(strip(some, 2)) for some in (tiles, bare_tiles))
    changed = np.argwhere((with_bar != without).any(axis=-1))
    height = with_bar.shape[0]
    assert changed.size and changed[:, 0].min() > height / 2, "the bar stands at the bottom"
    assert "20 mm" in words(rendered(case, segmentation, measurements, tiles))


def test_the_summary_is_one_sentence_of_results():
    _, _, measurements, _ = parts()
    assert summary_sentence(measurements) == (
        "LV mass 86.0 g; scar 8.9 g, 10.3\u00a0% of LV mass; edema 4.0 g, 4.7\u00a0% of LV mass."
    )


def test_a_missing_number_is_a_dash_or_its_words():
    assert number(None) == "–"
    assert number(None, missing="not assessed") == "not assessed"
    assert number(1.25, 1) == "1.2"


def test_every_drawn_region_has_one_color_and_one_name():
    drawn = {region for column in parts()[3].columns.values() for region in column.outlines}
    assert drawn <= set(LINES)
    assert set(LINES) == set(COLORS) == set(NAMES)
    # The wall and the normal part of it are never outlined together.
    told_apart = {name: color for name, color in COLORS.items() if name != "normal_myocardium"}
    assert len(set(told_apart.values())) == len(told_apart)


def test_the_box_holds_the_heart_with_a_margin_and_is_square_in_millimeters():
    labels = np.zeros((2, 100, 200), np.uint16)
    labels[0, 40:60, 90:110] = 200
    rows, columns = heart_crop(labels, (1.0, 2.0))
    # Pixels are 1 mm wide and 2 mm high: the heart is 20 mm by 40 mm, the box 40 + 2 x 18 = 76,
    # but at least 80 mm.
    assert ((rows.stop - rows.start) * 2.0, columns.stop - columns.start) == (80, 80)
    assert rows.start <= 40 and rows.stop >= 60
    assert (columns.start, columns.stop) == (60, 140)


def test_the_box_of_a_heart_at_the_edge_stays_in_the_image():
    labels = np.zeros((1, 100, 100), np.uint16)
    labels[0, :30, :30] = 200
    rows, columns = heart_crop(labels, (1.0, 1.0))
    assert rows == columns == slice(0, 80)


def test_without_labels_the_whole_image_is_shown():
    assert heart_crop(np.zeros((1, 30, 40), np.uint16), (1, 1)) == (slice(0, 30), slice(0, 40))


def test_the_overview_outlines_scar_edema_myocardium_and_fwhm():
    tiles = parts()[3]
    picture = pixels(overview(tiles, "circle heart"))
    for name in ("scar", "edema", "myocardium", "lv_region", "fwhm"):
        assert near(picture, name) > 20, name


def test_the_overview_of_a_bssfp_alone_has_no_scar_edema_or_fwhm_color():
    tiles = parts(("bssfp",))[3]
    picture = pixels(overview(tiles, "circle heart"))
    for name in ("scar", "edema", "fwhm"):
        assert near(picture, name, 0.08) == 0, name
    assert set(legend_names(tiles)) == {"right_ventricle", "lv_region", "myocardium"}


def test_the_legend_of_the_overview_names_only_what_it_shows():
    tiles = parts(("lge",))[3]
    # The LV region is outlined on the uncertainty alone, which the overview leaves out.
    assert "lv_region" in legend_names(tiles)
    assert near(pixels(overview(tiles, "x")), "lv_region") == 0


@pytest.mark.parametrize("slices", [1, 2, 12, 30])
def test_the_overview_is_about_as_wide_as_a_screen_for_any_slice_count(slices):
    labels = circle_labels(max(slices, 3))[:slices]
    case = circle_case(labels, ("bssfp", "lge", "t2"))
    segmentation = circle_segmentation(case, labels)
    tiles = make_tiles(case, segmentation, measure(case, segmentation))
    height, width = pixels(overview(tiles, "x", tile_px=150)).shape[:2]
    # 1 or 2 slices have only one or two rows of four tiles.
    assert 0.8 <= width / height <= (4.0 if slices < 3 else 2.6)


def test_more_than_thirty_slices_are_thinned_evenly():
    assert shown_slices(30) == list(range(30))
    shown = shown_slices(90)
    assert len(shown) == 30
    assert shown[0] == 0 and shown[-1] == 89
    assert set(np.diff(shown)) <= {3, 4}


def test_a_strip_has_one_tile_per_sequence_and_per_scar_and_the_uncertainty():
    tiles = parts()[3]
    assert tuple(tiles.columns) == ("bssfp", "t2", "lge", "automatic", "fwhm", "uncertainty")
    assert pixels(strip(tiles, 2, tile_px=100)).shape[1] == 600


def test_the_scale_bar_is_twenty_millimeters_long():
    tiles = parts()[3]
    # Without sequences' labels the white bar is the only thing white in the bottom rows.
    picture = pixels(strip(tiles, 0, tile_px=400))
    tile_mm = tiles.shape[2] * tiles.pixel_mm[0]
    band = picture[-40:, :400]
    bar = (band.min(axis=-1) > 0.95).sum(axis=1).max()
    # The last tile has no gap to its right, so a tile is a little wider than 400 pixels.
    assert bar == pytest.approx(20 / tile_mm * 400, rel=0.05)


def test_the_same_case_gives_the_same_picture():
    first, second = parts()[3], parts()[3]
    assert overview(first, "x") == overview(second, "x")


def test_a_label_map_without_heart_reports_no_myocardium_instead_of_zero_grams():
    case = circle_case(circle_labels(3))
    segmentation = circle_segmentation(case, np.zeros((3, 96, 96), np.uint16))
    measurements = measure(case, segmentation)
    tiles = make_tiles(case, segmentation, measurements)
    text = words(rendered(case, segmentation, measurements, tiles))
    assert "No left ventricular myocardium was found." in text
    assert "Scar – no myocardium was found" in text
    assert not any("FWHM assumes" in warning for warning in measurements.warnings)


def test_microvascular_obstruction_is_outlined_and_named_where_it_is_marked():
    labels = circle_labels()
    labels[2, 30:33, 47:50] = 2222
    case = circle_case(labels)
    segmentation = circle_segmentation(case, labels)
    tiles = make_tiles(case, segmentation, measure(case, segmentation))
    assert legend_names(tiles)["mvo"] == "Microvascular obstruction"
    assert int(tiles.columns["automatic"].outlines["mvo"].sum()) == 9
    assert "mvo" not in legend_names(parts()[3])


def test_a_case_without_a_name_is_called_unnamed_and_not_by_its_files():
    assert "Unnamed case" in words(rendered(*parts(name="case")))


def test_the_checksum_of_the_voxels_says_which_image_the_report_belongs_to(page):
    import hashlib

    lge = circle_case().images["lge"].astype("<f4")
    assert hashlib.sha256(lge.tobytes()).hexdigest() in words(page)


@pytest.mark.parametrize("tile_px", [110, 220, 440])
def test_the_legend_has_room_below_the_tiles(tile_px):
    tiles = parts(("lge",))[3]
    picture = pixels(overview(tiles, "x", tile_px=tile_px))
    # Myocardium, remote region, scar and FWHM in columns of 190 pixels, 20 pixels a row.
    rows = -(-4 // max(1, picture.shape[1] // 190))
    footer = picture[-(20 * rows + 20) :]
    assert near(footer, "scar") > 0
    # The left edge of the legend is background all the way up, and tiles (black air) begin above.
    assert np.ptp(footer[:, 2], axis=0).max() == 0
    assert picture[-(20 * rows + 34), 2].max() < footer[0, 2].max()


@pytest.mark.slow
def test_a_report_is_drawn_without_figures_and_what_takes_long_to_import(tmp_path):
    hearts = MODULE.parent / "Testing" / "hearts"
    code = (
        f"sys.path.insert(0, {str(hearts)!r})\n"
        "from circle_report import parts\nfrom myops.output.results import write_results\n"
        f"write_results({str(tmp_path / 'out')!r}, *parts(slices=3)[:3])\n"
        "print(*sys.modules)"
    )
    loaded = set(run_python(code).split())
    assert (tmp_path / "out" / "report.pdf").is_file()
    assert "matplotlib.backends.backend_agg" in loaded, "the rasterizer draws the lines"
    assert not loaded & {"matplotlib.figure", "matplotlib.pyplot", "fontTools.subset", "torch"}
