// Outlines of a mask by marching squares: line segments between the middles of pixel borders.

// A slice's outlines are found once: its plane is another array after every change.
const known = new WeakMap();

// The border of some labels in a slice (rows x columns, row after row), as [row, column, row, column] in pixels.
export function outline(plane, values, rows, columns) {
  if (!known.has(plane)) known.set(plane, new Map());
  const found = known.get(plane), key = values.join(" ");
  if (!found.has(key)) found.set(key, traced(plane, values, rows, columns));
  return found.get(key);
}

function traced(plane, values, rows, columns) {
  const mask = new Uint8Array(plane.length), wanted = new Set(values);
  let r0 = rows, r1 = -1, c0 = columns, c1 = -1;
  for (let p = 0; p < plane.length; p++) {
    if (plane[p] === 0 || !wanted.has(plane[p])) continue;
    mask[p] = 1;
    const r = Math.floor(p / columns), c = p % columns;
    r0 = Math.min(r0, r); r1 = Math.max(r1, r); c0 = Math.min(c0, c); c1 = Math.max(c1, c);
  }
  const lines = [];
  for (let r = r0 - 1; r <= r1; r++) {
    for (let c = c0 - 1; c <= c1; c++) {
      const code = (at(r, c) ? 8 : 0) | (at(r, c + 1) ? 4 : 0) | (at(r + 1, c + 1) ? 2 : 0) | (at(r + 1, c) ? 1 : 0);
      if (code !== 0 && code !== 15) add(lines, code, r, c);
    }
  }
  return lines;

  function at(r, c) {
    return r >= 0 && c >= 0 && r < rows && c < columns && mask[r * columns + c] === 1;
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
