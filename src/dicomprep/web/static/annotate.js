// Boxes, points and polygons on an image: drawn, moved, resized, deleted. Places are (row, column) of the source.
//
// The stage that shows the image says how places of the source lie on the screen, whatever crop, flip or zoom it has.

import { asPoints, outline } from "./drawn.js";
import { Masks } from "./masks.js";
import { commandId, get, make, say } from "./page.js";
import { draw } from "./svg.js";

const TOOLS = { b: "box", p: "point", g: "polygon" };
const NEAR = 10; // pixels of the screen within which a polygon is closed
const STAYS_MS = 80; // who runs through a series asks for nothing
const LEAST = 3; // pixels of the screen that a box must have
const HELP = {
  box: "Box: drag from corner to corner. Esc cancels.",
  point: "Point: click. Esc cancels.",
  polygon: "Polygon: click its corners; Enter, or a click on the first, closes it. Esc cancels.",
};

const far = ([x, y], [toX, toY]) => Math.hypot(x - toX, y - toY);

export class Annotate {
  changed = () => {}; // something was drawn, changed or deleted
  #outbox;
  #id = null;
  #digest = "";
  #image = null; // {size, source, factor, shift, annotations}
  #lies = null; // {toField, toSource}: how the stage shows it
  #classes = [];
  #label = null; // of the next drawing
  #tool = null;
  #begun = []; // corners of what is being drawn
  #cursor = null;
  #chosen = null; // the key of the drawing that is being changed
  #waiting = 0;
  #held = null; // {corner, from, before}: what the pointer has of it

  constructor(outbox) {
    this.#outbox = outbox;
    this.layer = draw("svg", { class: "annotations", role: "group", "aria-label": "Annotations" });
    this.editor = this.#makeEditor();
    this.masks = new Masks();
    this.layer.addEventListener("pointerdown", (event) => this.#press(event));
    this.layer.addEventListener("pointermove", (event) => this.#move(event));
    this.layer.addEventListener("pointerup", (event) => this.#release(event));
    this.layer.addEventListener("dblclick", (event) => event.stopPropagation());
  }

  /** Whether keys of classes are for a drawing now. */
  get active() {
    return this.#chosen !== null;
  }

  /** Be over another element. */
  over(place) {
    if (this.layer.parentElement !== place) place.append(this.masks.element, this.layer, this.masks.button, this.editor);
  }

  /** Take an image; what is drawn on it is asked for once it stays. */
  show(id, digest) {
    if (this.#id === id && this.#digest === digest) return;
    this.clear();
    [this.#id, this.#digest] = [id, digest];
    this.#waiting = setTimeout(() => this.reload(), STAYS_MS);
  }

  /** Ask again what is drawn. */
  async reload() {
    const id = this.#id;
    if (id === null) return;
    try {
      const answer = await get(`/annotations?images=${id}`);
      if (this.#id !== id) return;
      this.#take(answer);
      this.masks.show(answer.masks, this.#image?.source, () => this.redraw());
    } catch (error) {
      say(error.message, true);
    }
  }

  clear() {
    clearTimeout(this.#waiting);
    this.#id = this.#image = null;
    this.masks.clear();
    this.#stop();
    this.redraw();
  }

  /** The image lies otherwise now: `{toField, toSource}`; or a function of what is known of its thumbnail gives that. */
  lay(lies) {
    this.#lies = lies;
    this.redraw();
  }

  /** Do what a key says; whether it says anything. */
  press(key) {
    if (!this.#image || !this.#lies) return false;
    if (Object.hasOwn(TOOLS, key)) this.#use(TOOLS[key]);
    else if (key === "Escape" && (this.#tool || this.#chosen)) this.#stop();
    else if (key === "Enter" && this.#tool === "polygon") this.#close();
    else if (["Delete", "Backspace"].includes(key) && this.#begun.length) this.#begun.pop();
    else if (key === "Delete" && this.#chosen) this.remove();
    else return false;
    this.redraw();
    return true;
  }

  /** The class of the drawing that is chosen. */
  name(label) {
    this.#label = label;
    this.#change({ label });
  }

  remove() {
    const key = this.#chosen;
    this.#image.annotations = this.#image.annotations.filter((one) => one.key !== key);
    this.#stop();
    this.#send({ key });
    say("annotation deleted");
  }

  redraw() {
    this.layer.classList.toggle("drawing", this.#tool !== null);
    this.editor.hidden = !this.#chosen;
    if (!this.#image || !this.#lies) {
      this.layer.replaceChildren();
      return;
    }
    this.layer.dataset.image = this.#id;
    this.masks.lay(this.#place);
    const drawn = this.#image.annotations.flatMap((one) => this.#draw(one));
    this.layer.replaceChildren(...drawn, ...this.#drawBegun());
  }

  #take({ images, classes }) {
    this.#image = images[this.#id] ?? null;
    if (classes) this.#classes = classes;
    if (!this.#classes.includes(this.#label)) this.#label = this.#classes[0] ?? null;
    if (this.#chosen && !this.#find(this.#chosen)) this.#stop();
    this.redraw();
  }

  #find(key) {
    return this.#image?.annotations.find((one) => one.key === key);
  }

  #use(tool) {
    this.#stop();
    this.#tool = tool;
    say(HELP[tool]);
  }

  #stop() {
    this.#tool = this.#cursor = this.#chosen = this.#held = null;
    this.#begun = [];
    this.redraw();
  }

  #choose(key) {
    this.#stop();
    this.#chosen = key;
    const one = this.#find(key);
    const options = this.#classes.map((name) => make("option", { value: name, selected: name === one.label }, name));
    this.classChooser.replaceChildren(...options);
    this.note.value = one.note;
    this.redraw();
  }

  #change(by) {
    const one = this.#find(this.#chosen);
    if (!one) return;
    Object.assign(one, by);
    this.classChooser.value = one.label ?? "";
    this.#send(one);
    this.redraw();
  }

  #finish(kind, corners) {
    const one = { key: commandId(), kind, corners, label: this.#label, note: "" };
    this.#image.annotations.push(one);
    this.#choose(one.key);
    this.#send(one);
    say(`${kind}: ${one.label ?? "no class"}`);
  }

  #close() {
    if (this.#begun.length < 3) return say("A polygon needs three corners.", true);
    return this.#finish("polygon", this.#begun);
  }

  /** Record it; what the server refuses is shown as it was. */
  async #send({ key, kind = null, corners = [], label = null, note = "" }) {
    const id = this.#id;
    this.changed(id);
    const answer = await this.#outbox.put("/annotate", { frame: id, digest: this.#digest, key, kind, corners, label, note });
    if (!answer && this.#id === id) this.reload();
  }

  get #place() {
    return typeof this.#lies === "function" ? this.#lies(this.#image) : this.#lies;
  }

  #at(event) {
    const box = this.layer.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #within([row, column]) {
    const [rows, columns] = this.#image.source;
    return [Math.min(rows, Math.max(0, row)), Math.min(columns, Math.max(0, column))];
  }

  #press(event) {
    const key = event.target.closest("[data-key]")?.dataset.key;
    if (event.button || (!this.#tool && !key)) return;
    event.stopPropagation(); // a drag here moves no image
    event.preventDefault();
    this.layer.setPointerCapture(event.pointerId);
    const place = this.#within(this.#place.toSource(this.#at(event)));
    if (this.#tool) this.#set(place, this.#at(event));
    else {
      const corner = event.target.dataset.corner;
      if (this.#chosen !== key) this.#choose(key);
      const { corners } = this.#find(key);
      this.#held = { corner: corner === undefined ? null : Number(corner), from: place, before: corners, moved: false };
    }
  }

  #set(place, at) {
    if (this.#tool === "point") return this.#finish("point", [place]);
    const first = this.#begun[0];
    const closes = this.#begun.length > 2 && far(this.#place.toField(first), at) < NEAR;
    if (this.#tool === "polygon" && closes) return this.#close();
    this.#begun.push(place);
    this.#cursor = place;
    return this.redraw();
  }

  #move(event) {
    if (!this.#tool && !this.#held) return;
    const place = this.#within(this.#place.toSource(this.#at(event)));
    if (this.#held) this.#drag(place);
    else this.#cursor = place;
    event.stopPropagation();
    this.redraw();
  }

  #drag(place) {
    const { corner, from, before } = this.#held;
    const one = this.#find(this.#chosen);
    this.#held.moved = true;
    if (corner !== null) {
      const corners = outline({ ...one, corners: before });
      const moved = corners.map((old, number) => (number === corner ? place : old));
      one.corners = one.kind === "box" ? sorted(place, corners[(corner + 2) % 4]) : moved;
      return;
    }
    const by = [0, 1].map((axis) => {
      const along = before.map((old) => old[axis]);
      const least = -Math.min(...along);
      const most = this.#image.source[axis] - Math.max(...along);
      return Math.min(most, Math.max(least, place[axis] - from[axis]));
    });
    one.corners = before.map((old) => [old[0] + by[0], old[1] + by[1]]);
  }

  #release(event) {
    if (this.#tool === "box" && this.#begun.length) {
      event.stopPropagation();
      const corners = sorted(this.#begun[0], this.#within(this.#place.toSource(this.#at(event))));
      this.#begun = [];
      if (this.#isBox(corners)) this.#finish("box", corners);
      else this.redraw();
    } else if (this.#held) {
      event.stopPropagation();
      const { moved, before } = this.#held;
      this.#held = null;
      const one = this.#find(this.#chosen);
      if (one?.kind === "box" && !this.#isBox(one.corners)) one.corners = before;
      else if (moved && one) this.#send(one);
      this.redraw();
    }
  }

  #isBox([one, other]) {
    const [start, end] = [one, other].map((corner) => this.#place.toField(corner));
    return Math.abs(start[0] - end[0]) > LEAST && Math.abs(start[1] - end[1]) > LEAST;
  }

  #draw(one) {
    const places = outline(one).map((corner) => this.#place.toField(corner));
    const chosen = one.key === this.#chosen;
    const known = { "data-key": one.key, class: chosen ? "chosen" : "" };
    const [x, y] = places.reduce((best, place) => (place[1] < best[1] ? place : best));
    const text = draw("text", { x: x + 4, y: y - 6, class: "name" }, [one.label, one.note && "✎"].filter(Boolean).join(" "));
    const shape = one.kind === "point" ? this.#cross(places[0], known) : this.#outline(places, known);
    const handles = chosen && one.kind !== "point" ? places.map((place, number) => this.#handle(one, place, number)) : [];
    return [...shape, text, ...handles];
  }

  #outline(places, known) {
    const points = asPoints(places);
    return [draw("polygon", { points, class: "under" }), draw("polygon", { points, ...known })];
  }

  #cross([x, y], known) {
    const d = `M${x - 9} ${y}h18M${x} ${y - 9}v18`;
    const target = draw("circle", { cx: x, cy: y, r: 12, ...known, class: `target ${known.class}` });
    return [draw("path", { d, class: "under" }), draw("path", { d, class: known.class }), target];
  }

  #handle({ key }, [x, y], number) {
    return draw("rect", { x: x - 5, y: y - 5, width: 10, height: 10, "data-key": key, "data-corner": number, class: "handle" });
  }

  #drawBegun() {
    if (!this.#begun.length) return [];
    const corners = this.#tool === "box" ? outline({ kind: "box", corners: [this.#begun[0], this.#cursor] }) : [...this.#begun, this.#cursor];
    return [draw("polygon", { points: asPoints(corners.map((corner) => this.#place.toField(corner))), class: "begun" })];
  }

  #makeEditor() {
    this.classChooser = make("select", {});
    this.classChooser.setAttribute("aria-label", "Class of the annotation");
    this.classChooser.addEventListener("change", () => this.name(this.classChooser.value));
    this.note = make("input", { maxLength: 500, placeholder: "note", autocomplete: "off" });
    this.note.setAttribute("aria-label", "Note on the annotation");
    this.note.addEventListener("change", () => this.#change({ note: this.note.value.trim() }));
    this.note.addEventListener("keydown", (event) => ["Enter", "Escape"].includes(event.key) && this.note.blur());
    const remove = make("button", { type: "button" }, "Delete");
    remove.addEventListener("click", () => this.remove());
    const editor = make("div", { className: "editor", hidden: true }, this.classChooser, this.note, remove);
    for (const kind of ["pointerdown", "dblclick", "wheel"]) editor.addEventListener(kind, (event) => event.stopPropagation());
    return editor;
  }
}

function sorted([row, column], [toRow, toColumn]) {
  return [
    [Math.min(row, toRow), Math.min(column, toColumn)],
    [Math.max(row, toRow), Math.max(column, toColumn)],
  ];
}
