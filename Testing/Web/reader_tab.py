"""What a reader does in a tab, for tests and for the script that draws the guide's pictures."""

from __future__ import annotations

from typing import Any

LONG_MS = 900_000


class Tab:
    """One browser tab."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def enter(self, address: str, reader: str = "AB", reading: str = "1") -> None:
        """Open the address and say who reads."""
        self.page.goto(address)
        self.page.fill("#initials", reader)
        self.page.fill("#reading", reading)
        self.page.click("#enter button")
        self.page.wait_for_selector("#cases button", timeout=LONG_MS)

    def open(self, number: int) -> None:
        """Open a patient of the list, counted from 0."""
        self.page.click(f"#cases li:nth-child({number + 1}) button")
        self.awaitCase(number)

    def awaitCase(self, number: int) -> None:
        """Wait until a patient is shown."""
        chosen = f"#cases li:nth-child({number + 1}) button[aria-current]"
        self.page.wait_for_selector(chosen, timeout=LONG_MS)
        self.page.wait_for_selector("body[data-images=there]", timeout=LONG_MS)

    def segment(self) -> None:
        """Run the networks to their end."""
        self.page.click("#run")
        self.awaitSegmentation()

    def awaitSegmentation(self) -> None:
        """Wait for its end, and for the first numbers."""
        self.page.wait_for_selector("#positive:not([disabled])", timeout=LONG_MS)
        self.page.wait_for_selector("#scar small", timeout=LONG_MS)

    def run(self, script: str, argument: Any = None) -> Any:
        """Evaluate a script that may use the page's own `scene`."""
        begin = "const { scene } = await import('/page/scene.js');"
        return self.page.evaluate(f"async (argument) => {{ {begin} {script} }}", argument)

    @property
    def grams(self) -> float:
        """The scar that is shown, in grams."""
        return float(self.page.inner_text("#scar").split(" g")[0])

    @property
    def labels(self) -> list[list[int]]:
        """The label map that is shown, as runs of each slice's sum: changes with every change."""
        return self.run(
            "return scene.labels === null ? null : scene.labels.map((p) => p.reduce("
            "(sum, v, k) => (sum * 31 + v * (k % 97)) % 1000003, 7))"
        )

    @property
    def remote(self) -> list[list[int]]:
        """The pixels (slice, row, column) of the remote region that is shown."""
        return self.run("""
            const columns = scene.shape[2], found = [];
            for (const [k, plane] of scene.remote ?? [])
              plane.forEach((v, p) => v && found.push([k, Math.floor(p / columns), p % columns]));
            return found;""")

    def acrossFromRemote(self) -> tuple[float, float]:
        """A place on the other side of the ventricle than the remote region."""
        pool = self.run("""
            const columns = scene.shape[2], found = [];
            scene.labels[scene.slice].forEach(
              (v, p) => v === 500 && found.push([Math.floor(p / columns), p % columns]));
            return found;""")
        center = [sum(values) / len(pool) for values in zip(*pool)]
        there = [sum(values) / len(self.remote) for values in zip(*self.remote)][1:]
        return 2 * center[0] - there[0], 2 * center[1] - there[1]

    def at(self, row: float, column: float) -> tuple[float, float]:
        """Where a place of the slice is on the screen, in the large view."""
        script = """
            const canvas = document.querySelector('.view canvas');
            const box = canvas.getBoundingClientRect();
            const scale = Math.min(box.width, box.height) / scene.span;
            return [
              box.x + box.width / 2 + (argument[1] - scene.center[1]) * scale * scene.spacing[0],
              box.y + box.height / 2 + (argument[0] - scene.center[0]) * scale * scene.spacing[1],
            ];"""
        x, y = self.run(script, [row, column])
        return x, y

    def click(self, row: float, column: float) -> float:
        """Click a place of the shown slice with the real mouse.

        Returns:
            Milliseconds until the new mask was on the screen.
        """
        self.page.evaluate("delete document.body.dataset.clickMs")
        self.page.mouse.click(*self.at(row, column))
        self.page.wait_for_selector("body[data-click-ms]", timeout=LONG_MS)
        return float(self.page.get_attribute("body", "data-click-ms"))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag the mouse between two places of the slice, and wait for the new mask."""
        self.page.evaluate("delete document.body.dataset.clickMs")
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(*end), steps=3)
        self.page.mouse.up()
        self.page.wait_for_selector("body[data-click-ms]", timeout=LONG_MS)

    def extentOf(self, values: list[int]) -> tuple[int, int, int, int]:
        """First row, first column, last row and last column of these labels in the slice."""
        script = """
            const [, rows, columns] = scene.shape, plane = scene.labels[scene.slice];
            let [r0, c0, r1, c1] = [rows, columns, -1, -1];
            for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) {
              if (!argument.includes(plane[r * columns + c])) continue;
              [r0, c0] = [Math.min(r0, r), Math.min(c0, c)];
              [r1, c1] = [Math.max(r1, r), Math.max(c1, c)];
            }
            return [r0, c0, r1, c1];"""
        r0, c0, r1, c1 = self.run(script, values)
        return r0, c0, r1, c1

    def placeOf(self, values: list[int], outside: bool = False) -> tuple[int, int]:
        """The pixel of the shown slice farthest inside these labels."""
        script = """
            const [, rows, columns] = scene.shape, plane = scene.labels[scene.slice];
            let best = null, most = -1;
            for (let r = 4; r < rows - 4; r++) for (let c = 4; c < columns - 4; c++) {
              if (!argument.includes(plane[r * columns + c])) continue;
              // On a click that is there the mouse would drag it.
              if (scene.clicks.some((o) => Math.hypot(o.row - r, o.column - c) < 7)) continue;
              let count = 0;
              for (let i = -4; i <= 4; i++) for (let j = -4; j <= 4; j++)
                count += argument.includes(plane[(r + i) * columns + c + j]) ? 1 : 0;
              if (count > most) { most = count; best = [r, c]; }
            }
            return best;"""
        found = self.run(script, values)
        assert found is not None, f"no label of {values} in this slice"
        return found[0], found[1]
