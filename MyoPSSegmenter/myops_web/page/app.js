// The page: what the server tells is shown, what the reader does is told. All words and numbers come from the server as text
// and are set as text: a name of a patient is never read as markup.

import { Link } from "/page/link.js";
import { drawBullseye } from "/page/bullseye.js";
import { amount, duration, percent } from "/page/words.js";
import { Heart } from "/page/heart.js";
import { KEYS, listen } from "/page/keys.js";
import { scene, showHeart, showWhole, takeImages, takeLabels, takeProposal, takeRemote } from "/page/scene.js";
import { Upload } from "/page/upload.js";
import { MEASURING, View } from "/page/view.js";

const $ = (id) => document.getElementById(id);
const SIGNS = { new: "○", automatic: "◔", corrected: "◑", approved: "●" };
const STAGES = {
  "heart finder": "Finding the heart", ASSN: "Finding the heart muscle", PRSN: "Finding edema and scar",
  labels: "Putting it together", done: "Showing the result", "loading networks": "Loading the networks",
};
const HINTS = {
  none: "Choose Add or Remove, then click in an image.",
  positive: "Click where the structure is missing. Drag a click to move it.",
  negative: "Click where it is too much. Drag a click to move it.",
  box: "Drag a box around the structure.",
  insertion: "Click where the front wall of the right ventricle meets the left one: segments are counted from there.",
  inferior: "Click the other end of the septum.",
  remote: "Click on the side of the heart whose healthy muscle is the remote region.",
};
const MESSAGE_MS = 7000;
let state_ = 0;
const state = { study: { entries: [], index: null }, automatic: {}, correction: { reasons: {} }, numbers: { masses: [], fwhm: [] } };
const heart = new Heart();
let isHeartShown = localStorage.getItem("heart") === "1", isHeartLarge = false, isWatched = false;
let views = [], lead = null, fading = 0, drawing = false, clickedAt = null, looked = null, proposedFor = null;

// What is told

const link = new Link(hear, (what) => {
  document.body.dataset.link = what;
  if (what === "lost") say("The connection is lost. Everything up to the last change is saved. Trying again… If the server was started anew, open the address that it prints.", "error", true);
  if (what === "open") say("");
});

function hear(news) {
  if ("welcome" in news) welcomed(news);
  else if ("refused" in news) refuse(news.refused);
  else if ("ended" in news) { document.body.dataset.link = "ended"; say(news.ended, "error", true); }
  else if ("constants" in news) { scene.constants = news.constants; makeStructures(); makeQuantities(); }
  else if ("images" in news) { takeImages(news.images); makeViews(); }
  else if ("labels" in news) labelsCame(news);
  else if ("proposed" in news) takeProposal(news.proposed, news.structure);
  else if ("remote" in news) takeRemote(news.remote);
  else if ("surfaces" in news) heart.take(news.surfaces, news.all);
  else if ("exported" in news) showFiles(news.exported);
  else if ("message" in news) say(news.message, news.level);
  else if ("question" in news) ask(news.question, () => tell(news.then, { sure: true }));
  else take(news);
  redraw();
}

function take(news) {
  Object.assign(state, news);
  if ("study" in news) showStudy();
  if ("automatic" in news) showAutomatic();
  if ("correction" in news) { showCorrection(); showAutomatic(); }
  if ("numbers" in news) showNumbers();
}

function labelsCame(news) {
  takeLabels(news.labels, news.all);
  if (news.all && news.labels !== null) look(scene.slice);
  if (clickedAt !== null && news.labels !== null) {
    const began = clickedAt;
    clickedAt = null;
    // Twice: the second frame begins when the first one is on the screen.
    requestAnimationFrame(() => requestAnimationFrame(() => { document.body.dataset.clickMs = Math.round(performance.now() - began); }));
  }
}

function tell(command, values) {
  if (!link.tell(command, values)) say("There is no connection: this was not done. Trying again…", "error", true);
}

function say(text, level = "info", stays = false) {
  clearTimeout(fading);
  $("message").textContent = text;
  $("message").className = level;
  if (text && !stays) fading = setTimeout(() => { $("message").textContent = ""; }, MESSAGE_MS);
}

function ask(text, then) {
  $("questionText").textContent = text;
  $("question").onclose = () => { if ($("question").returnValue === "yes") then(); };
  $("question").returnValue = "no";
  $("question").showModal();
}

// Who reads

function welcomed({ welcome: [reader, reading], uploads, largest }) {
  $("add").hidden = !uploads;
  upload.largest = largest;
  state.isBack = isWatched = false;
  localStorage.setItem("reader", JSON.stringify({ reader, reading }));
  $("who").textContent = `${reader} · reading ${reading}`;
  Object.assign(state, { who: { reader, reading } });
  if ($("welcome").open) $("welcome").close();
  watchHeart();
}

function refuse(words) {
  $("refused").textContent = words;
  if (!$("welcome").open) $("welcome").showModal();
}

function begin() {
  const kept = JSON.parse(localStorage.getItem("reader") ?? "null");
  if (kept !== null) {
    $("initials").value = kept.reader;
    $("reading").value = kept.reading;
  }
  if (kept !== null && sessionStorage.getItem("entered") !== null) link.enter(kept.reader, kept.reading);
  else $("welcome").showModal();
}

$("enter").onsubmit = (event) => {
  event.preventDefault();
  $("refused").textContent = "";
  sessionStorage.setItem("entered", "1");
  link.enter($("initials").value, $("reading").value);
};
$("welcome").oncancel = (event) => event.preventDefault();

// 0 Patients

function showStudy() {
  const { entries, index, status, seconds, clicks, saved } = state.study;
  if ($("cases").childElementCount !== entries.length) {
    $("cases").replaceChildren(...entries.map((_, k) => caseButton(k)));
  }
  entries.forEach(([name, how], k) => {
    const button = $("cases").children[k].firstChild;
    button.children[0].textContent = name;
    button.children[1].textContent = SIGNS[how] ?? "";
    button.title = `${name}: ${how}`;
    button.setAttribute("aria-label", `${name}, ${how}`);
    if (k === index) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  });
  if ($("nothing") !== null) $("nothing").textContent = whatToOpen();
  const open = index !== null;
  if (open) sessionStorage.setItem("case", entries[index][0]);
  else if (entries.length > 0) comeBack(entries);
  $("patient").textContent = open ? entries[index][0] : "No patient is open";
  document.title = open ? `${entries[index][0]} – MyoPS Segmenter` : "MyoPS Segmenter";
  $("status").hidden = !open;
  $("status").textContent = status ?? "";
  $("status").className = `chip ${status}`;
  $("spent").textContent = open && seconds !== null ? `${duration(seconds)} · ${clicks} click${clicks === 1 ? "" : "s"}` : "";
  $("spent").title = Object.entries(state.study.stages ?? {}).map(([stage, s]) => `${stage}: ${duration(s)}`).join("\n");
  $("saved").textContent = !open ? "" : saved ? `Saved ${saved.slice(11, 19)}` : status === "new" ? "Saved after the first change" : "Saved";
  $("previous").disabled = !open || index === 0;
  $("next").disabled = entries.length === 0 || index === entries.length - 1;
  $("approve").disabled = !state.correction.open || status === "approved";
  $("approve").textContent = status === "approved" ? "Approved" : "Approve";
}

function caseButton(k) {
  const item = document.createElement("li"), button = document.createElement("button");
  const name = document.createElement("span"), sign = document.createElement("span");
  name.className = "name"; sign.className = "sign"; sign.setAttribute("aria-hidden", "true");
  button.type = "button";
  button.append(name, sign);
  button.onclick = () => openCase(k);
  item.append(button);
  return item;
}

// After a reload, or when the server was started anew: the patient that was open.
function comeBack(entries) {
  const k = entries.findIndex(([name]) => name === sessionStorage.getItem("case"));
  if (k >= 0 && !state.isBack) { state.isBack = true; tell("open", { index: k }); }
}

const openCase = (k) => { state.isBack = true; layDown(); tell("open", { index: k }); };
const next = () => { if (!$("next").disabled) { layDown(); tell("next"); } };
const previous = () => { if (!$("previous").disabled) { layDown(); tell("previous"); } };

const upload = new Upload(() => state.who, (words) => say(words));
const add = () => { if (!$("add").hidden) upload.open(); };

// 1 Segment

function showAutomatic() {
  const { ready, running, fraction, stage, remaining } = state.automatic;
  $("run").replaceChildren(running ? "Cancel" : state.correction.open ? "Segment again" : "Segment automatically", " ", key("S"));
  $("run").disabled = !running && ready !== null;
  $("run").title = ready ?? "";
  $("progressBox").hidden = !running;
  if (!running) return;
  if (fraction > 0) $("progress").value = fraction;
  else $("progress").removeAttribute("value");
  const left = remaining === null ? "" : ` · about ${duration(Math.round(remaining))} left`;
  $("progressText").textContent = (STAGES[stage] ?? (stage || "Waiting")) + left;
}

const run = () => { if (!$("run").disabled) tell(state.automatic.running ? "cancel" : "run"); };

// 2 Correct

function makeStructures() {
  $("structures").replaceChildren(...scene.constants.structures.map((one, k) => {
    const button = document.createElement("button"), swatch = document.createElement("span");
    button.type = "button";
    button.setAttribute("role", "radio");
    button.dataset.name = one.name;
    swatch.className = "swatch";
    swatch.style.background = one.color;
    button.append(swatch, one.title, key(k + 1));
    button.onclick = () => chooseStructure(k);
    return button;
  }));
}

function showCorrection() {
  const now = state.correction;
  scene.structure = now.structure;
  scene.clicks = now.clicks;
  scene.box = now.box;
  scene.suggestion = now.suggestion;
  if (now.pending === 0 && now.status) scene.pending = [];
  if (now.suggestion !== null && looked !== JSON.stringify(now.suggestion)) goTo(now.suggestion.slice);
  looked = JSON.stringify(now.suggestion);
  if (now.proposal !== null && proposedFor !== JSON.stringify(now.proposal)) lookAtProposal(now.proposal);
  proposedFor = JSON.stringify(now.proposal);
  for (const button of $("structures").children) {
    const reason = now.reasons[button.dataset.name];
    button.setAttribute("aria-checked", String(button.dataset.name === now.structure));
    button.disabled = !now.open || Boolean(reason);
    button.title = reason ?? "";
  }
  for (const name of ["positive", "negative", "box", "carry", "nextPlace"]) $(name).disabled = !now.open || now.refiner === "missing";
  for (const name of MEASURING) $(name).disabled = !now.open || (name === "inferior" && scene.landmarks.length === 0);
  $("undo").disabled = now.undo === null; $("undo").title = now.undo ?? "Nothing to undo yet";
  $("redo").disabled = now.redo === null; $("redo").title = now.redo ?? "Nothing to redo";
  $("proposal").hidden = now.proposal === null;
  $("export").disabled = !now.open;
  // The next step is the one that stands out.
  $("run").classList.toggle("main", !now.open);
  $("export").classList.toggle("main", now.open);
  if (!now.open) layDown();
  showTool();
  showStudy();
}

// What is proposed is to be seen before it is taken.
function lookAtProposal(slices) {
  const far = (slice) => Math.abs(slice - scene.slice);
  if (!slices.includes(scene.slice)) goTo([...slices].sort((a, b) => far(a) - far(b))[0]);
}

function showTool() {
  for (const name of ["positive", "negative", "box", ...MEASURING]) $(name).setAttribute("aria-pressed", String(scene.tool === name));
  const now = state.correction;
  let hint = HINTS[scene.tool ?? "none"];
  if (!now.open) hint = "Clicks correct a segmentation: segment first.";
  else if (now.wall_mm !== null && now.wall_mm !== undefined) hint = `Proposed, dashed: the wall moved by up to ${now.wall_mm.toFixed(0)} mm, to hold this scar.`;
  else if (now.proposal !== null) hint = `Proposed, dashed: the same correction on slice ${now.proposal.map((k) => k + 1).join(", ")}.`;
  else if (now.status) hint = now.status;
  else if (now.refiner === "loading") hint = "Preparing the images for clicks; you can begin already.";
  $("hint").textContent = hint;
}

function chooseStructure(k) {
  const button = $("structures").children[k];
  if (button === undefined || button.disabled) return;
  if (scene.tool === "negative") scene.tool = "positive";
  tell("structure", { name: button.dataset.name });
}

function useTool(name) {
  if ($(name).disabled) return;
  scene.tool = scene.tool === name ? null : name;
  if (name === "remote") tell("showRemote", { shown: scene.tool === "remote" });
  scene.corner = null;
  showTool();
  redraw();
}

function layDown() {
  scene.tool = scene.cursor = scene.corner = null;
  showTool();
  redraw();
}

// A click, a box or a moved click: shown at once, answered by the server.
function place(command, values) {
  if (!state.correction.open) return;
  clickedAt = performance.now();
  if (command === "click") scene.pending.push({ slice: scene.slice, ...values });
  if (command === "box") { scene.tool = null; showTool(); }
  tell(command, { slice: scene.slice, ...values });
  redraw();
}

// A click with the tool in hand, by the mouse or at the keyboard's cursor.
function point({ row, column }) {
  if (MEASURING.includes(scene.tool)) tell(scene.tool, { slice: scene.slice, row, column });
  else place("click", { row, column, positive: scene.tool === "positive" });
}

const offered = (name, command) => () => { if (!$(name).disabled && !$(name).hidden) tell(command); };
const undo = offered("undo", "undo"), redo = offered("redo", "redo");
const carry = offered("carry", "carry"), nextPlace = offered("nextPlace", "nextPlace");
const hasProposal = () => state.correction.proposal !== null && state.correction.proposal !== undefined;

function accept() {
  if (hasProposal()) tell("accept");
  else if (scene.tool !== null) act();
}

function refuseOrLayDown() {
  if (hasProposal()) tell("refuse");
  else layDown();
}

// The cursor of the keyboard: arrows move it, Enter does what a click does.
function act() {
  if (scene.cursor === null) return;
  const { row, column } = scene.cursor;
  if (scene.tool !== "box") point({ row, column });
  else if (!scene.corner) scene.corner = { row, column };
  else {
    place("box", { corners: [scene.corner.row, scene.corner.column, row, column] });
    scene.corner = scene.cursor = null;
  }
  redraw();
}

function arrow(rows, columns, far) {
  // Without a tool also where no patient is open yet.
  if (scene.tool === null) {
    if (rows !== 0) scroll(rows);
    else if (columns > 0) next();
    else previous();
    return;
  }
  const from = scene.cursor ?? { row: scene.center[0], column: scene.center[1] }, step = far ? 10 : 1;
  const inside = (value, size) => Math.min(Math.max(value, 0), size - 1);
  scene.cursor = { row: inside(from.row + rows * step, scene.shape[1]), column: inside(from.column + columns * step, scene.shape[2]) };
  redraw();
}

function deleteClick() {
  const place = scene.cursor ?? scene.hover;
  if (place === null || place === undefined || views.length === 0) return;
  const found = views[0].near(place);
  if (found !== undefined) tell("delete", { id: found.id });
}

// 3 Measure

function showNumbers() {
  const { masses, fwhm, fwhmReason, stale, problem, warnings, landmarks, byHand } = state.numbers;
  scene.landmarks = landmarks ?? [];
  $("inferior").disabled = scene.landmarks.length === 0;
  $("byHand").disabled = !byHand;
  const scar = masses.find((one) => one.name === "scar");
  big($("scar"), scar, false);
  big($("fwhm"), fwhm[0], stale);
  $("fwhmName").textContent = fwhm[0]?.title.split(",")[0] ?? "FWHM";
  const why = fwhm.length === 0 ? fwhmReason : fwhm[0].g === null ? fwhm[0].reason : null;
  $("noFwhm").hidden = !why;
  $("fwhmWhy").textContent = why ?? "";
  $("fwhmName").title = fwhm[0]?.title ?? fwhmReason ?? "";
  const shown = masses.filter((one) => one.name !== "scar" && one.name !== "mvo");
  $("masses").replaceChildren(...shown.map((one) => line(one.title, one)));
  $("rules").hidden = fwhm.length < 2;
  $("otherRules").replaceChildren(...fwhm.slice(1).map((one) => line(one.title, one, stale)));
  $("bullseye").className = stale ? "stale" : "";
  drawBullseye($("bullseye"), state.numbers.bullseye, stale);
  if (problem) say(problem, "warning");
  $("masses").title = warnings?.join("\n") ?? "";
}

function big(output, mass, stale) {
  output.className = stale ? "big waiting" : "big";
  output.title = mass?.reason ?? "";
  output.replaceChildren(amount(mass));
  if (mass?.percent !== null && mass?.percent !== undefined && mass.g !== null) {
    const small = document.createElement("small");
    small.textContent = ` ${percent(mass.percent)}`;
    output.append(small);
  }
}

function line(title, mass, stale = false) {
  const row = document.createElement("tr"), name = document.createElement("td"), value = document.createElement("td");
  name.textContent = title;
  value.textContent = amount(mass) === "–" ? mass.reason ?? "–" : amount(mass);
  if (amount(mass) === "–") value.className = "why";
  if (stale) row.className = "waiting";
  row.append(name, value);
  return row;
}

function makeQuantities() {
  $("quantity").replaceChildren(...Object.entries(scene.constants.quantities).map(([name, title]) => new Option(title, name)));
}
$("quantity").onchange = () => tell("bullseye", { quantity: $("quantity").value });

// 4 Finish

function showFiles(names) {
  const at = state.who ? `/results/${encodeURIComponent(state.who.reader)}/${encodeURIComponent(state.who.reading)}/` : "";
  const report = names.filter((name) => name.endsWith(".html")), others = names.filter((name) => !name.endsWith(".html") && !name.endsWith(".png"));
  $("report").replaceChildren(...report.map((name) => anchor(at, name, "Open the report")));
  $("more").hidden = names.length === 0;
  $("files").replaceChildren(...others.map((name) => {
    const item = document.createElement("li");
    item.append(anchor(at, name, name));
    return item;
  }));
}

function anchor(at, name, words) {
  const made = document.createElement("a");
  made.href = at + encodeURIComponent(name);
  made.textContent = words;
  if (name.endsWith(".html")) { made.target = "_blank"; made.rel = "noopener"; }
  return made;
}

// Views

function makeViews() {
  document.body.dataset.images = scene.shape === null ? "none" : "there";
  lead = scene.sequences.some((one) => one.name === lead) ? lead : scene.sequences[0]?.name ?? null;
  const order = [...scene.sequences].sort((a, b) => (b.name === lead) - (a.name === lead));
  views = order.map((one) => new View(one, { redraw, scroll, place, point, lead: (name) => { lead = name; isHeartLarge = false; makeViews(); } }));
  if (views.length === 0) {
    const words = document.createElement("p");
    words.className = "empty";
    words.id = "nothing";
    words.textContent = whatToOpen();
    $("views").replaceChildren(words);
  } else arrange();
  $("slice").max = scene.shape?.[0] ?? 1;
  $("slice").disabled = scene.shape === null;
  redraw();
}

function whatToOpen() {
  const { entries, searching } = state.study;
  if (entries.length > 0) return "Open a patient of the list on the left.";
  if (searching !== false) return "";
  const add = $("add").hidden ? "put a folder for each into the server’s folder, then reload this page" : "press “Add a patient” on the left";
  return `There are no patients yet: ${add}.`;
}

// The 3D view stands last, or first where it is shown large.
function arrange() {
  const elements = views.map((view) => view.element);
  if (isHeartShown) elements.splice(isHeartLarge ? 0 : elements.length, 0, heart.element);
  $("views").className = ["", "one", "two", "three", "four"][elements.length];
  $("views").replaceChildren(...elements);
  heart.draw();
}

// The server computes surfaces only while somebody looks.
function watchHeart() {
  const watched = isHeartShown && heart.works && document.visibilityState === "visible";
  $("heart").setAttribute("aria-pressed", String(isHeartShown));
  if (watched !== isWatched) link.tell("heart3d", { watched });
  isWatched = watched;
}

function toggleHeart() {
  isHeartShown = !isHeartShown;
  localStorage.setItem("heart", isHeartShown ? "1" : "");
  watchHeart();
  makeViews();
}

heart.title.onclick = () => { isHeartLarge = !isHeartLarge; makeViews(); };
document.addEventListener("visibilitychange", watchHeart);

function redraw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    if (scene.shape === null) return;
    for (const view of views) view.draw();
    $("slice").value = scene.slice + 1;
    $("sliceText").textContent = `${scene.slice + 1} of ${scene.shape[0]}`;
    document.body.dataset.slice = scene.slice;
  });
}

function goTo(slice) {
  if (scene.shape === null) return;
  const inside = Math.min(Math.max(slice, 0), scene.shape[0] - 1);
  if (inside === scene.slice) return;
  scene.slice = inside;
  scene.corner = null;
  look(inside);
  redraw();
}

let lookTimer = 0;
function look(slice) {
  clearTimeout(lookTimer);
  lookTimer = setTimeout(() => link.tell("look", { slice }), 60);
}

const scroll = (steps) => goTo(scene.slice + steps);
$("slice").oninput = () => goTo(Number($("slice").value) - 1);

function toggle(name, button) {
  scene[name] = !scene[name];
  $(button).setAttribute("aria-pressed", String(scene[name]));
  redraw();
}

let isWhole = true;
function fit() {
  if (scene.shape === null) return;
  const slice = scene.slice;
  isWhole = !isWhole;
  if (isWhole || scene.labels === null) showWhole();
  else showHeart();
  scene.slice = slice;
  redraw();
}

function swap() {
  const order = scene.sequences.map((one) => one.name);
  lead = order[(order.indexOf(lead) + 1) % order.length] ?? null;
  makeViews();
}

function key(name) {
  const element = document.createElement("kbd");
  element.textContent = name;
  return element;
}

const actions = {
  structure: chooseStructure, tool: useTool, undo, redo, carry, accept, refuse: refuseOrLayDown, nextPlace, run, arrow, act,
  scroll, next, previous, deleteClick, swap, fit, heart: toggleHeart, add,
  fill: () => toggle("filled", "fill"), hide: () => toggle("hidden", "hide"),
  approve: () => $("approve").click(), write: () => { if (!$("export").disabled) tell("export"); }, help: () => $("keys").showModal(),
  zoom: (factor) => { scene.span /= factor; redraw(); },
};
for (const [id, action] of Object.entries({
  run, undo, redo, carry, nextPlace, next, previous, fit, accept, refuse: refuseOrLayDown, fill: actions.fill, hide: actions.hide,
  heart: toggleHeart, add, keysButton: actions.help, export: actions.write,
})) $(id).onclick = () => action();
for (const name of ["positive", "negative", "box", ...MEASURING]) $(name).onclick = () => useTool(name);
$("byHand").onclick = () => tell("automaticPlaces");
$("approve").onclick = () => { if (!$("approve").disabled) tell("approve"); };
$("keyTable").tBodies[0].replaceChildren(...KEYS.map(([keys, what]) => {
  const row = document.createElement("tr"), name = document.createElement("td"), words = document.createElement("td");
  name.append(key(keys)); words.textContent = what;
  row.append(name, words);
  return row;
}));
listen(actions);
new ResizeObserver(() => { redraw(); heart.draw(); }).observe($("views"));
makeViews();
begin();
