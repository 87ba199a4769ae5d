// One viewer, or two side by side that scroll together: a prior and the current image, two views, two series.

import { address, get, make } from "./page.js";
import { icon } from "./svg.js";
import { Viewer } from "./viewer.js";

const PARALLEL = 0.02; // by how much direction cosines of one plane differ at most

/** Whether positions of two series are of one axis. */
function shareAxis(one, other) {
  if (!one.space || one.space !== other.space || !one.orientation || !other.orientation) return false;
  return one.orientation.every((cosine, part) => Math.abs(cosine - other.orientation[part]) <= PARALLEL);
}

function nearest(slices, position) {
  let best = 0;
  const far = (number) => Math.abs((slices[number].position_mm ?? Infinity) - position);
  for (let number = 1; number < slices.length; number++) if (far(number) < far(best)) best = number;
  return best;
}

/** Which slice of `other` goes with that of `one`: at the same place in mm, else as far through the series. */
export function findPartner(one, other, offset) {
  const position = one.slices[one.at].position_mm;
  if (shareAxis(one, other) && position !== null) return nearest(other.slices, position + offset.mm);
  const share = one.count > 1 ? one.at / (one.count - 1) : 0;
  return Math.round(share * (other.count - 1)) + offset.slices;
}

export class Pair {
  painted = () => {}; // a slice has been drawn
  #viewers = [];
  #active = 0;
  #linked = true;
  #offset = { mm: 0, slices: 0 }; // from the first to the second, as they were when they were linked
  #image = null;

  /** @param {string} label what the page calls the image that is opened */
  constructor(label) {
    this.label = label;
    this.element = make("div", { className: "pair" });
    this.#add();
    this.chooser = make("dialog", { className: "chooser" });
    this.chooser.setAttribute("aria-label", "Compare with");
    this.element.append(this.chooser);
  }

  /** The viewer of the image that was opened. */
  get first() {
    return this.#viewers[0];
  }

  /** Show a frame of the file behind an image; `painted` is told of it. */
  open(id, frame, digest) {
    this.#closeSecond();
    this.#image = id;
    this.#viewers[0].open(id, frame, digest);
  }

  /** Do what a key says; whether it says anything here. */
  press(key, code) {
    if (this.chooser.open) return false;
    if (key === "C") this.compare();
    else if (key === "L" && this.#viewers[1]) this.link(!this.#linked);
    else if (key === "X" && this.#viewers[1]) this.#activate(1 - this.#active);
    else return this.#viewers[this.#active].press(key, code);
    return true;
  }

  zoomStep() {
    this.#viewers[this.#active].run("zoom");
  }

  /** Choose another series of the patient to stand beside; or let that go. */
  async compare() {
    if (this.#viewers[1]) {
      this.#closeSecond();
      return;
    }
    this.chooser.replaceChildren(make("p", {}, "Loading…"));
    this.chooser.showModal();
    try {
      const { series } = await get(`/original/${this.#image}/patient`);
      this.#offer(series);
    } catch (error) {
      this.chooser.replaceChildren(make("p", {}, error.message), this.#cancel());
    }
  }

  /** Let both scroll together from where they are, or each by itself. */
  link(linked) {
    this.#linked = linked;
    this.#tie.setAttribute("aria-pressed", linked);
    if (!linked) return;
    const [one, other] = this.#viewers.map((viewer) => viewer.where);
    this.#offset = { mm: 0, slices: 0 };
    const [here, there] = [one, other].map(({ slices, at }) => slices[at].position_mm);
    if (shareAxis(one, other) && here !== null && there !== null) this.#offset.mm = there - here;
    else this.#offset.slices = other.at - findPartner(one, other, this.#offset);
  }

  #add() {
    const viewer = new Viewer();
    const number = this.#viewers.push(viewer) - 1;
    if (!number) viewer.name(this.label);
    viewer.act = (name) => (name === "compare" ? this.compare() : viewer.run(name));
    viewer.moved = () => this.#follow(viewer);
    viewer.painted = (slice) => viewer === this.first && this.painted(slice);
    viewer.element.addEventListener("pointerdown", () => this.#activate(this.#viewers.indexOf(viewer)));
    viewer.element.addEventListener("wheel", () => this.#activate(this.#viewers.indexOf(viewer)), { capture: true });
    this.element.insertBefore(viewer.element, this.chooser ?? null);
    return viewer;
  }

  #activate(number) {
    this.#active = number;
    for (const [place, viewer] of this.#viewers.entries()) {
      viewer.element.classList.toggle("active", this.#viewers.length > 1 && place === number);
    }
  }

  #follow(viewer) {
    if (!this.#linked || this.#viewers.length < 2) return;
    const first = viewer === this.#viewers[0];
    const other = this.#viewers[first ? 1 : 0];
    const sign = first ? 1 : -1;
    const offset = { mm: sign * this.#offset.mm, slices: sign * this.#offset.slices };
    other.turn(findPartner(viewer.where, other.where, offset), { quietly: true });
  }

  #offer(series) {
    const own = series.find(({ is_own }) => is_own);
    const choices = series.map((one) => this.#choice(one, own));
    const list = make("div", { className: "choices" }, ...choices);
    const title = series.length ? "Compare with" : "This patient has no other series";
    this.chooser.replaceChildren(make("h2", {}, title), list, this.#cancel());
    (list.querySelector("button") ?? this.chooser.querySelector("button")).focus();
  }

  #choice(one, own) {
    const view = [one.laterality, one.view ?? one.plane].filter((word) => word && word !== "unknown").join(" ");
    const words = [one.modality ?? "no modality", view, one.body_part?.toLowerCase()].filter(Boolean).join(" · ");
    const year = one.study_year ? ` (${one.study_year})` : "";
    const same = one.is_own ? "this series" : own?.study === one.study ? "this study" : `study ${one.study}`;
    const images = `${one.images.toLocaleString()} image${one.images === 1 ? "" : "s"}`;
    const picture = make("img", { src: address(one.id, one.digest), alt: "", loading: "lazy" });
    const lines = [make("span", {}, words), make("small", {}, `${same}${year} · ${images}`)];
    const button = make("button", { type: "button", className: "choice" }, picture, ...lines);
    button.addEventListener("click", () => this.#beside(one));
    return button;
  }

  #cancel() {
    const button = make("button", { type: "button", className: "quiet" }, "Cancel");
    button.addEventListener("click", () => this.chooser.close());
    return button;
  }

  #beside(one) {
    this.chooser.close();
    const second = this.#add();
    this.element.classList.add("two");
    this.#tie = this.#button("link", "Scroll together (L)", () => this.link(!this.#linked));
    this.#tie.setAttribute("aria-pressed", "true");
    const close = this.#button("close", "Close the second image (C)", () => this.compare());
    second.field.append(make("div", { className: "pair-tools" }, this.#tie, close));
    this.#linked = true;
    this.#offset = { mm: 0, slices: 0 };
    this.#activate(0);
    second.moved = () => {
      second.moved = () => this.#follow(second);
      this.#follow(this.#viewers[0]); // its series is known now
    };
    second.open(one.id, one.frame, one.digest);
  }

  #tie = null;

  #button(name, title, deed) {
    const button = make("button", { type: "button", className: "quiet tool", title }, icon(name));
    button.setAttribute("aria-label", title.replace(/ \(.\)$/, ""));
    button.addEventListener("click", (event) => {
      deed();
      if (event.detail) button.blur();
    });
    return button;
  }

  #closeSecond() {
    const second = this.#viewers[1];
    if (!second) return;
    this.#viewers.pop();
    second.close();
    second.element.remove();
    this.element.classList.remove("two");
    this.#activate(0);
  }
}
