// A new patient: files are sent as one form, and the server takes all of them or none.

const $ = (id) => document.getElementById(id);

export class Upload {
  // who() gives reader and reading; done(words) is told of success. `largest` comes with the welcome.
  constructor(who, done) {
    this.who = who;
    this.done = done;
    this.request = null;
    this.largest = null;
    $("newFiles").onchange = () => this.suggest();
    $("addForm").onsubmit = (event) => { event.preventDefault(); this.send(); };
    $("cancelAdd").onclick = () => $("adding").close();
    $("adding").onclose = () => { this.request?.abort(); this.request = null; };
  }

  open() {
    $("addForm").reset();
    this.show("", null);
    $("adding").showModal();
  }

  // The words that the files begin with alike, or the name of the one archive.
  suggest() {
    const names = [...$("newFiles").files].map((file) => file.name.replace(/\.(nii|gz|nrrd|mha|zip|dcm)\b/gi, ""));
    if (names.length === 0 || $("newName").value !== "") return;
    let common = names[0];
    for (const name of names) while (!name.startsWith(common)) common = common.slice(0, -1);
    $("newName").value = common.replace(/[\s._-]+$/, "").slice(0, 80);
  }

  send() {
    const bytes = [...$("newFiles").files].reduce((sum, file) => sum + file.size, 0);
    if (this.largest !== null && bytes > this.largest.bytes) return this.show(this.largest.words, null);
    const form = new FormData(), { reader, reading } = this.who();
    form.append("name", $("newName").value);
    for (const file of $("newFiles").files) form.append("file", file, file.name);
    const request = new XMLHttpRequest();
    this.request = request;
    request.open("POST", `/patients/${encodeURIComponent(reader)}/${encodeURIComponent(reading)}`);
    request.responseType = "json";
    request.upload.onprogress = (event) => this.show(event.loaded < event.total ? "Sending…" : "Reading the images…", event.loaded / event.total);
    request.onload = () => this.answered(request.response);
    request.onerror = () => this.show("The connection broke: nothing was added. Try again.", null);
    this.show("Sending…", 0);
    request.send(form);
  }

  answered(answer) {
    if (answer?.added === undefined) return this.show(answer?.refused ?? "The server did not take it. Reload the page and try again.", null);
    $("adding").close();
    const left = answer.leftOut === 0 ? "" : ` ${answer.leftOut} file${answer.leftOut === 1 ? " is no image and was" : "s are no images and were"} left out.`;
    this.done(`${answer.added} was added.${left}`);
  }

  show(words, fraction) {
    $("addWords").textContent = words;
    $("addProgress").hidden = fraction === null;
    $("addProgress").value = fraction ?? 0;
    $("send").disabled = fraction !== null;
  }
}
