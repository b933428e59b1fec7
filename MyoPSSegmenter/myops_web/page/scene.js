// What the views show: pictures, labels and prompts of the open case, and where the reader looks.

export const scene = {
  shape: null, spacing: [1, 1, 1], sequences: [], constants: { labels: [], structures: [], quantities: {} },
  labels: null, proposed: null, proposedStructure: null, clicks: [], pending: [], box: null, suggestion: null, landmarks: [], remote: null,
  slice: 0, center: [0, 0], span: 100, filled: false, hidden: false, tool: null, cursor: null, hover: null,
};

const decoded = (text) => new Uint16Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);

export function takeImages(images) {
  scene.shape = images.shape;
  scene.spacing = images.spacing ?? [1, 1, 1];
  scene.sequences = images.sequences.map((one) => ({ ...one, pixels: decoded(one.pixels), window: [...one.window] }));
  scene.labels = scene.proposed = scene.cursor = scene.box = scene.remote = null;
  scene.clicks = []; scene.pending = [];
  if (scene.shape !== null) {
    scene.slice = Math.floor(scene.shape[0] / 2);
    showWhole();
  }
}

function unrolled(runs, size) {
  const plane = new Uint16Array(size);
  let place = 0;
  for (let k = 0; k < runs.length; k += 2) {
    plane.fill(runs[k], place, place + runs[k + 1]);
    place += runs[k + 1];
  }
  return plane;
}

// Changed slices; `all` where the page had none of this case before.
export function takeLabels(slices, all) {
  if (slices === null || scene.shape === null) {
    scene.labels = null;
    return;
  }
  const size = scene.shape[1] * scene.shape[2];
  if (all || scene.labels === null) scene.labels = Array.from({ length: scene.shape[0] }, () => new Uint16Array(size));
  for (const [index, runs] of Object.entries(slices)) scene.labels[index] = unrolled(runs, size);
  scene.pending = [];
  if (all) showHeart();
}

export function takeProposal(slices, structure) {
  scene.proposedStructure = structure;
  const size = scene.shape === null ? 0 : scene.shape[1] * scene.shape[2];
  scene.proposed = slices === null ? null : new Map(Object.entries(slices).map(([k, runs]) => [Number(k), unrolled(runs, size)]));
}

export function takeRemote(slices) {
  const size = scene.shape === null ? 0 : scene.shape[1] * scene.shape[2];
  scene.remote = slices === null ? null : new Map(Object.entries(slices).map(([k, runs]) => [Number(k), unrolled(runs, size)]));
}

export function showWhole() {
  const [, rows, columns] = scene.shape;
  scene.center = [(rows - 1) / 2, (columns - 1) / 2];
  scene.span = Math.max(rows * scene.spacing[1], columns * scene.spacing[0]);
}

// The heart in the middle, with room around it, and the slice with the most disease or muscle.
export function showHeart() {
  const [, rows, columns] = scene.shape;
  let r0 = rows, r1 = -1, c0 = columns, c1 = -1;
  const counts = scene.labels.map((plane) => {
    let count = 0;
    for (let p = 0; p < plane.length; p++) {
      if (plane[p] === 0 || plane[p] === 600) continue;
      const r = Math.floor(p / columns), c = p % columns;
      r0 = Math.min(r0, r); r1 = Math.max(r1, r); c0 = Math.min(c0, c); c1 = Math.max(c1, c);
      count += plane[p] >= 2000 ? 20 : 1;
    }
    return count;
  });
  if (r1 < 0) return showWhole();
  scene.center = [(r0 + r1) / 2, (c0 + c1) / 2];
  scene.span = 1.5 * Math.max((r1 - r0 + 1) * scene.spacing[1], (c1 - c0 + 1) * scene.spacing[0]);
  scene.slice = counts.indexOf(Math.max(...counts));
}
