// The keys: those of the Slicer panel, and what a browser needs beside them. The keyboard alone suffices.

export const KEYS = [
  ["1 … 5", "Choose what is corrected"],
  ["A", "Add"], ["R", "Remove"], ["B", "Box: Enter at two corners"],
  ["arrows", "With a tool: move the cursor (Shift: ten pixels). Without: ↑ ↓ slices, ← → patients"],
  ["Enter", "Accept the proposal; with a tool: click at the cursor"],
  ["Delete", "Take the click under the cursor or the mouse away"],
  ["Esc", "Refuse the proposal, or lay the tool down"],
  ["Z", "Undo"], ["Y", "Redo"], ["C", "Carry to neighboring slices"], ["N", "Next slice to check"],
  ["PgUp PgDn", "Slices"], ["H", "Hide or show the colors"], ["F", "Fill, or outlines"],
  ["V", "Another sequence large"], ["D", "3D view: drag it, or Tab to it and arrows"], ["0", "Whole image, or the heart"], ["+ −", "Zoom"],
  ["S", "Segment, or cancel"], ["I", "RV insertion"], ["J", "Inferior end of the septum"], ["M", "Remote region"], ["P", "Approve"], ["U", "Add a patient"], ["E", "Write the report"],
  ["wheel", "Slices; with Ctrl: zoom"], ["drag", "Move the image; right button: window and level"],
];

export function listen(does) {
  const plain = {
    a: () => does.tool("positive"), r: () => does.tool("negative"), b: () => does.tool("box"), z: does.undo, y: does.redo,
    c: does.carry, n: does.nextPlace, h: does.hide, f: does.fill, v: does.swap, d: does.heart, s: does.run, p: does.approve, e: does.write, u: does.add, i: () => does.tool("insertion"), j: () => does.tool("inferior"), m: () => does.tool("remote"),
    0: does.fit, "+": () => does.zoom(1.15), "-": () => does.zoom(1 / 1.15), "?": does.help,
    Enter: does.accept, Escape: does.refuse, Delete: does.deleteClick, Backspace: does.deleteClick,
    PageUp: () => does.scroll(-1), PageDown: () => does.scroll(1),
  };
  const arrows = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") !== null || event.altKey || event.metaKey) return;
    const on = event.target;
    const types = on instanceof HTMLElement && (on.tagName === "SELECT" || (on.tagName === "INPUT" && on.type !== "range"));
    if (types) return;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    // Enter on a button or a link is that button's.
    if (name === "Enter" && on instanceof HTMLElement && ["BUTTON", "A"].includes(on.tagName)) return;
    if (event.ctrlKey && !["z", "y"].includes(name)) return;
    const isSlider = on instanceof HTMLInputElement;
    let action = plain[name];
    if (name in arrows && !isSlider) action = () => does.arrow(...arrows[name], event.shiftKey);
    else if (/^[1-9]$/.test(name)) action = () => does.structure(Number(name) - 1);
    if (action === undefined) return;
    event.preventDefault();
    action();
  });
}
