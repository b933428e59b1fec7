// Outlines of a mask by marching squares: line segments between the middles of pixel borders.

// The border of `inside(row, column)` as [row, column, row, column] in pixels; outside is false.
export function outline(inside, rows, columns) {
  const lines = [];
  for (let r = -1; r < rows; r++) {
    for (let c = -1; c < columns; c++) {
      const code = (at(r, c) ? 8 : 0) | (at(r, c + 1) ? 4 : 0) | (at(r + 1, c + 1) ? 2 : 0) | (at(r + 1, c) ? 1 : 0);
      if (code !== 0 && code !== 15) add(lines, code, r, c);
    }
  }
  return lines;

  function at(r, c) {
    return r >= 0 && c >= 0 && r < rows && c < columns && inside(r, c);
  }
}

function add(lines, code, r, c) {
  const top = [r, c + 0.5], right = [r + 0.5, c + 1], bottom = [r + 1, c + 0.5], left = [r + 0.5, c];
  const sides = {
    1: [[left, bottom]], 2: [[bottom, right]], 3: [[left, right]], 4: [[top, right]],
    5: [[left, top], [bottom, right]], 6: [[top, bottom]], 7: [[left, top]], 8: [[left, top]],
    9: [[top, bottom]], 10: [[left, bottom], [top, right]], 11: [[top, right]], 12: [[left, right]],
    13: [[bottom, right]], 14: [[left, bottom]],
  }[code];
  for (const [from, to] of sides) lines.push([...from, ...to]);
}
