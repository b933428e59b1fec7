// The heart in 3D: a muscle like glass with the scar in it, drawn by raw WebGL, and only when something changes.

import { reach, unpackMesh } from "/page/mesh.js";
import { Turn } from "/page/turn.js";

const VERTEX = `
  attribute vec3 place; attribute vec3 normal; uniform mat3 turn; uniform vec2 scale; uniform float depth; varying vec3 n;
  void main() { n = turn * normal; vec3 p = turn * place; gl_Position = vec4(p.xy * scale, -p.z * depth, 1.0); }`;
// A lamp at the eye. What is clear is clearest where it faces the eye, as glass is.
const FRAGMENT = `
  precision mediump float; varying vec3 n; uniform vec3 color; uniform float opacity;
  void main() {
    float facing = abs(normalize(n).z);
    float alpha = opacity >= 1.0 ? 1.0 : min(opacity * (0.4 + 2.2 * (1.0 - facing) * (1.0 - facing)), 1.0);
    gl_FragColor = vec4(color * (0.35 + 0.65 * facing), alpha);
  }`;
const NO_WEBGL = "This browser has no WebGL, so there is no 3D view. Everything else works.";
const WAITING = "The heart is shown here after the segmentation.";
const STEP = Math.PI / 24, PX_PER_TURN = 400;
// The patient's axes, each named where it points.
const ENDS = { R: [1, 0, 0], L: [-1, 0, 0], A: [0, 1, 0], P: [0, -1, 0], S: [0, 0, 1], I: [0, 0, -1] };

export class Heart {
  constructor() {
    this.turn = new Turn();
    this.meshes = new Map();
    this.drawing = false;
    this.element = make("div", "view heart");
    this.canvas = make("canvas");
    Object.assign(this.canvas, { tabIndex: 0 });
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", "The heart in 3D. Arrow keys turn it, plus and minus zoom, 0 shows it from the front.");
    this.words = make("p", "empty");
    this.title = Object.assign(make("button", "title"), { type: "button", textContent: "3D", title: "Show large; drag to turn, wheel to zoom" });
    this.names = Object.keys(ENDS).map((name) => Object.assign(make("span", "end"), { textContent: name }));
    this.paper = this.open();
    this.element.append(this.title, ...(this.paper === null ? [] : [this.canvas, ...this.names]), this.words);
    this.say();
    this.listen();
  }

  get works() { return this.paper !== null; }

  // The programs; null where the browser has no WebGL.
  open() {
    const gl = this.canvas.getContext("webgl", { antialias: true, preserveDrawingBuffer: false });
    if (gl === null) return null;
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) || gl.getExtension("OES_element_index_uint") === null) return null;
    gl.useProgram(program);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.CULL_FACE);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    this.at = Object.fromEntries(["turn", "scale", "depth", "color", "opacity"].map((name) => [name, gl.getUniformLocation(program, name)]));
    this.slots = ["place", "normal"].map((name) => gl.getAttribLocation(program, name));
    for (const slot of this.slots) gl.enableVertexAttribArray(slot);
    return gl;
  }

  // Changed surfaces; `all` where the page had none of this heart before.
  take(surfaces, all) {
    if (!this.works) return;
    if (all) for (const name of [...this.meshes.keys()]) this.drop(name);
    for (const [name, packed] of Object.entries(surfaces)) {
      this.drop(name);
      if (packed !== null) this.meshes.set(name, this.load(unpackMesh(packed)));
    }
    if (all) this.size = reach(this.meshes.values());
    this.element.dataset.drawn = Number(this.element.dataset.drawn ?? 0) + 1;
    this.say();
    this.draw();
  }

  load(mesh) {
    const gl = this.paper, filled = (target, values) => {
      const buffer = gl.createBuffer();
      gl.bindBuffer(target, buffer);
      gl.bufferData(target, values, gl.STATIC_DRAW);
      return buffer;
    };
    return { ...mesh, buffers: [filled(gl.ARRAY_BUFFER, mesh.places), filled(gl.ARRAY_BUFFER, mesh.normals), filled(gl.ELEMENT_ARRAY_BUFFER, mesh.corners)] };
  }

  drop(name) {
    for (const buffer of this.meshes.get(name)?.buffers ?? []) this.paper.deleteBuffer(buffer);
    this.meshes.delete(name);
  }

  say() {
    this.words.textContent = !this.works ? NO_WEBGL : this.meshes.size === 0 ? WAITING : "";
    this.words.hidden = this.words.textContent === "";
    for (const name of this.names) name.hidden = !this.words.hidden;
  }

  draw() {
    if (this.drawing || !this.works) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      if (this.element.isConnected) this.paint();
    });
  }

  paint() {
    const gl = this.paper, ratio = window.devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * ratio), height = Math.round(this.canvas.clientHeight * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 1);
    gl.depthMask(true);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const size = this.size ?? 1, side = Math.min(width, height), scale = 0.86 * this.turn.zoom / size;
    const m = this.turn.matrix;
    gl.uniformMatrix3fv(this.at.turn, false, [m[0], m[3], m[6], m[1], m[4], m[7], m[2], m[5], m[8]]);
    gl.uniform2f(this.at.scale, scale * side / width, scale * side / height);
    gl.uniform1f(this.at.depth, 0.9 / size);
    const meshes = [...this.meshes.values()], clear = meshes.filter((mesh) => mesh.opacity < 1).sort((a, b) => a.opacity - b.opacity);
    gl.disable(gl.BLEND);
    // Scar reaches to the surface of the muscle: where both lie at one place, the scar is seen.
    gl.enable(gl.POLYGON_OFFSET_FILL);
    gl.polygonOffset(-4, -8);
    for (const mesh of meshes) if (mesh.opacity >= 1) this.put(mesh, gl.BACK);
    gl.disable(gl.POLYGON_OFFSET_FILL);
    gl.enable(gl.BLEND);
    gl.depthMask(false);
    // From the back to the front: the far wall, what it holds, the near wall.
    for (const mesh of clear) this.put(mesh, gl.FRONT);
    for (const mesh of clear.reverse()) this.put(mesh, gl.BACK);
    this.label(side / 2 / ratio);
  }

  put({ buffers, corners, color, opacity }, hidden) {
    const gl = this.paper;
    gl.cullFace(hidden);
    this.slots.forEach((slot, k) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[k]);
      gl.vertexAttribPointer(slot, 3, gl.FLOAT, false, 0, 0);
    });
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffers[2]);
    gl.uniform3fv(this.at.color, color);
    gl.uniform1f(this.at.opacity, opacity);
    gl.drawElements(gl.TRIANGLES, corners.length, gl.UNSIGNED_INT, 0);
  }

  // Letters around the heart: right, left, anterior, posterior, superior, inferior; none that points at the eye or away.
  label(radius) {
    const ends = Object.values(ENDS);
    this.names.forEach((name, k) => {
      const [right, up] = this.turn.seen(ends[k]);
      name.style.transform = `translate(-50%, -50%) translate(${(right * radius * 0.93).toFixed(1)}px, ${(-up * radius * 0.93).toFixed(1)}px)`;
      name.style.visibility = Math.hypot(right, up) > 0.5 ? "visible" : "hidden";
    });
  }

  listen() {
    const canvas = this.canvas;
    let from = null;
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); from = [event.clientX, event.clientY]; });
    canvas.addEventListener("pointermove", (event) => {
      if (from === null) return;
      this.rotate((event.clientX - from[0]) * 2 * Math.PI / PX_PER_TURN, (event.clientY - from[1]) * 2 * Math.PI / PX_PER_TURN);
      from = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { from = null; });
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); this.zoom(event.deltaY > 0 ? 1 / 1.1 : 1.1); }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => this.restore());
  }

  key(event) {
    const keys = {
      ArrowLeft: () => this.rotate(-STEP, 0), ArrowRight: () => this.rotate(STEP, 0), ArrowUp: () => this.rotate(0, -STEP), ArrowDown: () => this.rotate(0, STEP),
      "+": () => this.zoom(1.15), "-": () => this.zoom(1 / 1.15), 0: () => { this.turn.reset(); this.draw(); },
    };
    if (!(event.key in keys) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  }

  rotate(right, down) { this.turn.by(right, down); this.draw(); }

  zoom(factor) { this.turn.zoom = Math.min(Math.max(this.turn.zoom * factor, 0.5), 6); this.draw(); }

  // The graphics driver was started anew: what it held is gone.
  restore() {
    this.paper = this.open();
    if (!this.works) return;
    for (const [name, mesh] of this.meshes) this.meshes.set(name, this.load(mesh));
    this.draw();
  }
}

function make(tag, name = "") {
  return Object.assign(document.createElement(tag), { className: name });
}
