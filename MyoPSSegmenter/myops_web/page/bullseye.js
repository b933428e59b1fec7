// The bull's-eye: places, colors and values come from the library that draws the report's.

const SPACE = "http://www.w3.org/2000/svg", R = 98;

export function drawBullseye(box, told, isBeingMeasured) {
  if (!told || told.segments.length === 0) {
    const words = document.createElement("p");
    words.className = "quiet";
    words.textContent = told?.reason ?? (isBeingMeasured ? "Being measured…" : "After the segmentation.");
    box.replaceChildren(words);
    return;
  }
  const picture = made("svg", { viewBox: "-100 -100 200 200", role: "img", "aria-label": told.title });
  for (const one of told.segments) picture.append(...segment(one));
  box.replaceChildren(picture);
}

function made(name, values) {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(values)) element.setAttribute(key, value);
  return element;
}

function segment({ number, place: [r0, r1, a0, a1], value, color }) {
  const at = (r, a) => `${(R * r * Math.cos((a * Math.PI) / 180)).toFixed(2)} ${(-R * r * Math.sin((a * Math.PI) / 180)).toFixed(2)}`;
  const shape = number === 17
    ? made("circle", { r: R * r1 })
    : made("path", { d: `M${at(r0, a0)} L${at(r1, a0)} A${R * r1} ${R * r1} 0 0 0 ${at(r1, a1)} L${at(r0, a1)} A${R * r0} ${R * r0} 0 0 1 ${at(r0, a0)}Z` });
  shape.setAttribute("fill", color ?? "#39434c");
  shape.setAttribute("stroke", "#0e1216");
  shape.append(Object.assign(made("title", {}), { textContent: `Segment ${number}: ${value === null ? "no number" : `${value.toFixed(0)} %`}` }));
  const middle = number === 17 ? [0, 0] : at((r0 + r1) / 2, (a0 + a1) / 2).split(" ");
  const words = made("text", { x: middle[0], y: middle[1] });
  words.textContent = value === null ? "–" : value.toFixed(0);
  if (value === null || value > 45) words.classList.add("light");
  return [shape, words];
}
