// One slice view: a sequence with outlines and prompts, and what the mouse does in it. Plain 2D canvas: no WebGL.

import { outline } from "/page/outline.js";
import { scene } from "/page/scene.js";

const NEAR_PX = 9;
// Tools of the measurement: a click with them is no prompt.
export const MEASURING = ["insertion", "inferior", "remote"];
const PROPOSAL = "#ffffff";

export class View {
  // desk: { redraw, scroll(steps), place(kind, values), lead(name) }.
  constructor(sequence, desk) {
    this.sequence = sequence;
    this.desk = desk;
    this.element = document.createElement("div");
    this.element.className = "view";
    this.element.dataset.sequence = sequence.name;
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.title = document.createElement("button");
    this.title.type = "button";
    this.title.className = "title";
    this.title.textContent = sequence.title;
    this.title.title = "Show large; drag with the right button for window and level";
    this.title.onclick = () => desk.lead(sequence.name);
    this.place = document.createElement("span");
    this.place.className = "place";
    this.element.append(this.canvas, this.title, this.place);
    this.picture = document.createElement("canvas");
    this.shown = "";
    this.drag = null;
    this.listen();
  }

  // Geometry: canvas pixels of a place on the case's grid, and back.
  measure() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * ratio), height = Math.round(this.canvas.clientHeight * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const scale = Math.min(width, height) / scene.span;
    this.sx = scale * scene.spacing[0];
    this.sy = scale * scene.spacing[1];
    this.ratio = ratio;
  }

  x(column) { return this.canvas.width / 2 + (column - scene.center[1]) * this.sx; }
  y(row) { return this.canvas.height / 2 + (row - scene.center[0]) * this.sy; }

  at(event) {
    const bounds = this.canvas.getBoundingClientRect();
    const px = (event.clientX - bounds.left) * this.ratio, py = (event.clientY - bounds.top) * this.ratio;
    return { row: scene.center[0] + (py - this.canvas.height / 2) / this.sy, column: scene.center[1] + (px - this.canvas.width / 2) / this.sx };
  }

  draw() {
    this.measure();
    const paper = this.canvas.getContext("2d");
    paper.fillStyle = "#000";
    paper.fillRect(0, 0, this.canvas.width, this.canvas.height);
    const [, rows, columns] = scene.shape;
    this.develop();
    paper.imageSmoothingEnabled = true;
    paper.drawImage(this.picture, this.x(-0.5), this.y(-0.5), columns * this.sx, rows * this.sy);
    if (!scene.hidden) this.drawLabels(paper);
    this.drawPrompts(paper);
    if (scene.landmarks.length > 0) this.drawLandmarks(paper);
    const count = scene.shape[0];
    this.place.textContent = `${scene.slice + 1} / ${count}`;
    this.canvas.setAttribute("aria-label", `${this.sequence.title}, slice ${scene.slice + 1} of ${count}`);
    this.element.classList.toggle("tool", scene.tool !== null);
  }

  // The slice in gray values between black and white of the window; kept until something of it changes.
  develop() {
    const [low, high] = this.sequence.window, key = `${scene.slice} ${low} ${high}`;
    if (key === this.shown) return;
    this.shown = key;
    const [, rows, columns] = scene.shape, size = rows * columns;
    Object.assign(this.picture, { width: columns, height: rows });
    const context = this.picture.getContext("2d"), image = context.createImageData(columns, rows);
    const values = this.sequence.pixels.subarray(scene.slice * size, (scene.slice + 1) * size), scale = 255 / (high - low);
    for (let p = 0; p < size; p++) {
      const gray = (values[p] - low) * scale;
      image.data[4 * p] = image.data[4 * p + 1] = image.data[4 * p + 2] = gray;
      image.data[4 * p + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  drawLabels(paper) {
    if (scene.labels === null) return;
    const plane = scene.labels[scene.slice];
    if (scene.filled) this.fill(paper, plane);
    for (const one of scene.constants.labels) this.trace(paper, plane, one.values, one.color, []);
    const remote = scene.tool === "remote" ? scene.remote?.get(scene.slice) : undefined;
    if (remote !== undefined) this.trace(paper, remote, [1], scene.constants.remoteColor, []);
    const proposed = scene.proposed?.get(scene.slice);
    if (proposed !== undefined) {
      const structure = scene.proposedStructure ?? "scar";
      const values = scene.constants.labels.find((one) => one.name === structure)?.values ?? [2221, 2222];
      this.trace(paper, proposed, values, PROPOSAL, [6 * this.ratio, 4 * this.ratio]);
    }
  }

  drawLandmarks(paper) {
    const u = this.ratio;
    for (const one of scene.landmarks.filter((place) => place.slice === scene.slice)) {
      const x = this.x(one.column), y = this.y(one.row);
      paper.fillStyle = "#000";
      paper.fillRect(x - 8 * u, y - 8 * u, 16 * u, 16 * u);
      paper.strokeStyle = paper.fillStyle = "#7cc6ff";
      paper.lineWidth = 1.5 * u;
      paper.strokeRect(x - 8 * u, y - 8 * u, 16 * u, 16 * u);
      paper.font = `${12 * u}px sans-serif`;
      paper.textAlign = "center";
      paper.textBaseline = "middle";
      paper.fillText(one.letter, x, y);
    }
  }

  trace(paper, plane, values, color, dash) {
    const [, rows, columns] = scene.shape;
    const lines = outline(plane, values, rows, columns);
    if (lines.length === 0) return;
    paper.beginPath();
    for (const [r0, c0, r1, c1] of lines) {
      paper.moveTo(this.x(c0), this.y(r0));
      paper.lineTo(this.x(c1), this.y(r1));
    }
    paper.strokeStyle = color;
    paper.lineWidth = 1.6 * this.ratio;
    paper.setLineDash(dash);
    paper.stroke();
    paper.setLineDash([]);
  }

  fill(paper, plane) {
    const [, rows, columns] = scene.shape;
    paper.globalAlpha = 0.35;
    for (const one of scene.constants.labels) {
      paper.fillStyle = one.color;
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < columns; c++) {
          if (plane[r * columns + c] !== one.values[0]) continue;
          let end = c;
          while (end < columns && plane[r * columns + end] === one.values[0]) end++;
          paper.fillRect(this.x(c - 0.5), this.y(r - 0.5), (end - c) * this.sx, this.sy);
          c = end;
        }
      }
    }
    paper.globalAlpha = 1;
  }

  drawPrompts(paper) {
    const u = this.ratio;
    const here = (one) => one.slice === scene.slice;
    for (const click of scene.clicks.filter(here)) this.sign(paper, click, 1);
    for (const click of scene.pending.filter(here)) this.sign(paper, click, 0.55);
    if (this.drag?.kind === "box") this.frame(paper, [this.drag.from.row, this.drag.from.column, this.drag.to.row, this.drag.to.column]);
    else if (scene.box !== null && scene.box[0] === scene.slice) this.frame(paper, scene.box.slice(1));
    if (scene.corner !== null && scene.corner !== undefined && scene.cursor !== null) this.frame(paper, [scene.corner.row, scene.corner.column, scene.cursor.row, scene.cursor.column]);
    if (scene.cursor !== null) this.cross(paper, scene.cursor, 11 * u, "#ffffff");
    else if (scene.hover !== null && scene.hover.name !== this.sequence.name) this.cross(paper, scene.hover, 7 * u, "#7cc6ff");
    const next = scene.suggestion;
    if (next !== null && next.slice === scene.slice) {
      paper.beginPath();
      paper.arc(this.x(next.column), this.y(next.row), 16 * u, 0, 2 * Math.PI);
      paper.strokeStyle = "#7cc6ff";
      paper.lineWidth = 2 * u;
      paper.stroke();
    }
  }

  // A plus and a bar: the two are told apart without color too.
  sign(paper, click, alpha) {
    const u = this.ratio, x = this.x(click.column), y = this.y(click.row), r = 6 * u;
    paper.globalAlpha = alpha;
    for (const [width, color] of [[6.5, "#000"], [3.5, click.positive ? "#3df25a" : "#ff5a4d"]]) {
      paper.beginPath();
      paper.lineCap = "square";
      paper.moveTo(x - r, y); paper.lineTo(x + r, y);
      if (click.positive) { paper.moveTo(x, y - r); paper.lineTo(x, y + r); }
      paper.lineWidth = width * u;
      paper.strokeStyle = color;
      paper.stroke();
    }
    paper.lineCap = "butt";
    paper.globalAlpha = 1;
  }

  cross(paper, place, r, color) {
    const x = this.x(place.column), y = this.y(place.row), gap = 3 * this.ratio;
    paper.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      paper.moveTo(x + dx * gap, y + dy * gap);
      paper.lineTo(x + dx * r, y + dy * r);
    }
    paper.strokeStyle = color;
    paper.lineWidth = 1.5 * this.ratio;
    paper.stroke();
  }

  frame(paper, [r0, c0, r1, c1]) {
    paper.strokeStyle = "#ffd933";
    paper.lineWidth = 1.5 * this.ratio;
    paper.strokeRect(this.x(c0), this.y(r0), this.x(c1) - this.x(c0), this.y(r1) - this.y(r0));
  }

  // The mouse

  listen() {
    const canvas = this.canvas;
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", () => { this.drag = null; this.desk.redraw(); });
    canvas.addEventListener("pointerleave", () => { scene.hover = null; this.desk.redraw(); });
  }

  wheel(event) {
    event.preventDefault();
    if (event.ctrlKey) {
      scene.span *= event.deltaY > 0 ? 1.1 : 1 / 1.1;
      this.desk.redraw();
    } else {
      this.desk.scroll(event.deltaY > 0 ? 1 : -1);
    }
  }

  down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    const from = this.at(event);
    scene.cursor = null;
    const click = event.button === 0 && !MEASURING.includes(scene.tool) ? this.near(from) : undefined;
    let kind = "pan";
    if (event.button === 2) kind = "window";
    else if (event.button === 0 && click !== undefined) kind = "click";
    else if (event.button === 0 && scene.tool === "box") kind = "box";
    else if (event.button === 0 && scene.tool !== null && !event.shiftKey) kind = "point";
    this.drag = { kind, from, to: from, click, x: event.clientX, y: event.clientY, center: [...scene.center], window: [...this.sequence.window] };
    if (kind === "point") {
      this.drag = null;
      this.desk.point(from);
    }
  }

  move(event) {
    const place = this.at(event);
    scene.hover = { ...place, name: this.sequence.name };
    const drag = this.drag;
    if (drag !== null) {
      drag.to = place;
      const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
      if (drag.kind === "pan") scene.center = [drag.center[0] - dy * this.ratio / this.sy, drag.center[1] - dx * this.ratio / this.sx];
      if (drag.kind === "window") this.window(drag.window, dx, dy);
      if (drag.kind === "click") Object.assign(drag.click, { row: place.row, column: place.column });
    }
    this.desk.redraw();
  }

  up(event) {
    const drag = this.drag;
    this.drag = null;
    if (drag === null) return;
    const moved = Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > 3;
    if (drag.kind === "box" && moved) this.desk.place("box", { corners: [drag.from.row, drag.from.column, drag.to.row, drag.to.column] });
    if (drag.kind === "click" && moved) this.desk.place("move", { id: drag.click.id, row: drag.to.row, column: drag.to.column });
    this.desk.redraw();
  }

  window([low, high], dx, dy) {
    const step = (high - low) / 250, width = Math.max((high - low) + dx * step, 50);
    const middle = (low + high) / 2 + dy * step;
    this.sequence.window = [middle - width / 2, middle + width / 2];
  }

  near(place) {
    const far = NEAR_PX * this.ratio;
    return scene.clicks.find((one) => one.slice === scene.slice && Math.hypot((one.row - place.row) * this.sy, (one.column - place.column) * this.sx) < far);
  }
}
