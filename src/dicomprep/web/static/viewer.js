// A source frame at full resolution: window by drag, frames by wheel, zoom and pan.
//
// Gray frames arrive as codes with what each of them stands for, so that every window is drawn here, at once, from the
// values themselves. As long as no window is chosen a frame looks as its thumbnail does.

import { get, make } from "./page.js";

const FRAMES_KEPT = 12;
const LARGEST = 32;
const PRESETS = [
  ["Default", null],
  ["Full range", "all"],
  ["Abdomen W 400 L 40", [40, 400]],
  ["Bone W 1800 L 400", [400, 1800]],
  ["Brain W 80 L 40", [40, 80]],
  ["Liver W 160 L 60", [60, 160]],
  ["Lung W 1500 L −600", [-600, 1500]],
  ["Mediastinum W 350 L 50", [50, 350]],
  ["Stroke W 40 L 40", [40, 40]],
  ["Subdural W 215 L 75", [75, 215]],
];

/** An answer of the server as arrays; see `viewer_worker.view_frame`. */
function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const about = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let from = 4 + length;
  const take = (Kind, count) => {
    const array = new Kind(buffer, from, count);
    from += array.byteLength;
    return array;
  };
  const size = about.rows * about.columns;
  if (about.kind === "rgb") return { ...about, rgb: take(Uint8Array, 3 * size) };
  return {
    ...about,
    values: take(Float32Array, about.codes),
    table: take(Uint8Array, about.codes),
    background: take(Uint8Array, about.codes),
    pixels: take(Uint16Array, size),
  };
}

export class Viewer {
  #id = null;
  #digest = "";
  #index = 0;
  #count = 1;
  #frames = new Map();
  #window = null; // null: the default, as in the thumbnail
  #scale = 1;
  #offset = [0, 0];
  #drawn = null;
  #pointers = new Map();
  #due = false;

  constructor() {
    this.canvas = make("canvas", { className: "source" });
    this.canvas.setAttribute("role", "img");
    this.presets = make("select", { className: "presets" });
    this.presets.setAttribute("aria-label", "Window width and level");
    this.presets.append(...PRESETS.map(([name], number) => make("option", { value: number }, name)));
    this.slider = make("input", { type: "range", min: 0, max: 0, value: 0, hidden: true, className: "frames" });
    this.slider.setAttribute("aria-label", "Frame");
    this.readout = make("output", { className: "readout" });
    this.tagsButton = make("button", { className: "quiet", type: "button" }, "Tags");
    this.fitButton = make("button", { className: "quiet", type: "button" }, "Fit");
    this.trueButton = make("button", { className: "quiet", type: "button" }, "1:1");
    const tools = make(
      "div", { className: "viewer-tools" },
      this.presets, this.fitButton, this.trueButton, this.tagsButton, this.slider, this.readout,
    );
    this.tags = make("div", { className: "tags", hidden: true, tabIndex: 0 });
    this.field = make("div", { className: "field" }, this.canvas, this.tags);
    this.element = make("div", { className: "viewer" }, this.field, tools);
    this.#listen();
  }

  /** Show a frame (from 0) of the file behind an image, as long as it is the one of this digest; whether it is drawn. */
  async open(id, index, digest) {
    if (this.#id !== id || this.#digest !== digest) {
      this.#id = id;
      this.#digest = digest;
      this.#frames.clear();
      this.#window = null;
      this.presets.value = 0;
      this.#drawn = null;
      this.reset();
      if (!this.tags.hidden) this.#showTags(false);
    }
    return this.#turn(index);
  }

  /** The whole frame, centered. */
  reset() {
    this.#scale = 1;
    this.#offset = [0, 0];
    this.#place();
  }

  /** One pixel of the source is one of the screen. */
  trueSize() {
    this.#scale = this.#trueScale();
    this.#offset = [0, 0];
    this.#place();
  }

  zoomStep() {
    const next = this.#scale * 2;
    if (next > Math.max(8, this.#trueScale() * 2)) this.reset();
    else {
      this.#scale = next;
      this.#place();
    }
  }

  async #turn(index) {
    if (!this.#drawn) this.readout.textContent = "Loading…";
    this.#index = Math.max(0, index);
    const [id, wanted] = [this.#id, this.#index];
    try {
      const frame = await this.#fetch(id, wanted);
      if (this.#id !== id || this.#index !== wanted) return false;
      this.#count = frame.frames;
      this.slider.max = frame.frames - 1;
      this.slider.value = wanted;
      this.slider.hidden = frame.frames < 2;
      this.presets.disabled = frame.kind === "rgb";
      this.#drawn = frame;
      this.#draw();
      this.#say();
      for (const near of [wanted + 1, wanted - 1, wanted + 2]) {
        if (near >= 0 && near < frame.frames) this.#fetch(id, near).catch(() => {});
      }
      return true;
    } catch (error) {
      this.#drawn = null;
      this.canvas.width = this.canvas.height = 1;
      this.readout.textContent = error.message;
      return false;
    }
  }

  #fetch(id, index) {
    const key = `${id} ${index}`;
    if (!this.#frames.has(key)) {
      const loading = fetch(`/original/${id}/pixels?frame=${index}&v=${this.#digest}`).then(async (answer) => {
        if (!answer.ok) throw new Error(await answer.text());
        return unpack(await answer.arrayBuffer());
      });
      loading.catch(() => this.#frames.delete(key));
      this.#frames.set(key, loading);
      if (this.#frames.size > FRAMES_KEPT) this.#frames.delete(this.#frames.keys().next().value);
    }
    return this.#frames.get(key);
  }

  #shades(frame) {
    const shades = new Uint32Array(frame.codes);
    const [center, width] = this.#window ?? [0, 1];
    for (let code = 0; code < frame.codes; code++) {
      let gray = frame.table[code];
      if (this.#window) {
        const shade = Math.min(1, Math.max(0, (frame.values[code] - center) / width + 0.5));
        gray = frame.background[code] ? 0 : Math.round(255 * (frame.inverted ? 1 - shade : shade));
      }
      shades[code] = 0xff000000 | (gray << 16) | (gray << 8) | gray;
    }
    return shades;
  }

  #draw() {
    const frame = this.#drawn;
    if (!frame) return;
    if (this.canvas.width !== frame.columns || this.canvas.height !== frame.rows) {
      this.canvas.width = frame.columns;
      this.canvas.height = frame.rows;
    }
    this.canvas.setAttribute("aria-label", `Original, frame ${this.#index + 1} of ${frame.frames}`);
    const context = this.canvas.getContext("2d", { alpha: false });
    const image = context.createImageData(frame.columns, frame.rows);
    const out = new Uint32Array(image.data.buffer);
    if (frame.kind === "rgb") {
      for (let i = 0, j = 0; i < out.length; i++, j += 3) {
        out[i] = 0xff000000 | (frame.rgb[j + 2] << 16) | (frame.rgb[j + 1] << 8) | frame.rgb[j];
      }
    } else {
      const shades = this.#shades(frame);
      for (let i = 0; i < out.length; i++) out[i] = shades[frame.pixels[i]];
    }
    context.putImageData(image, 0, 0);
    this.canvas.dataset.frame = this.#index;
    this.#place();
  }

  #redraw() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      this.#draw();
      this.#say();
    });
  }

  #fit() {
    const frame = this.#drawn;
    const box = this.field.getBoundingClientRect();
    const height = frame.rows * frame.aspect;
    const fit = Math.min(box.width / frame.columns, box.height / height);
    return [frame.columns * fit, height * fit];
  }

  #trueScale() {
    return this.#drawn ? this.#drawn.columns / this.#fit()[0] / (window.devicePixelRatio || 1) : 1;
  }

  #place() {
    if (!this.#drawn) return;
    const [width, height] = this.#fit();
    const style = this.canvas.style;
    style.width = `${width}px`;
    style.height = `${height}px`;
    style.transform = `translate(-50%, -50%) translate(${this.#offset[0]}px, ${this.#offset[1]}px) scale(${this.#scale})`;
    style.imageRendering = (width * this.#scale) / this.#drawn.columns > 3 ? "pixelated" : "auto";
  }

  #at(event) {
    const frame = this.#drawn;
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * frame.columns);
    const row = Math.floor(((event.clientY - box.top) / box.height) * frame.rows);
    return row >= 0 && row < frame.rows && column >= 0 && column < frame.columns ? [row, column] : null;
  }

  #say(event) {
    const frame = this.#drawn;
    if (!frame) return;
    const parts = [`${frame.source[1]} × ${frame.source[0]}`];
    if (frame.scale < 1) parts.push(`displayed at ${Math.round(100 * frame.scale)} %`);
    if (frame.frames > 1) parts.push(`frame ${this.#index + 1} of ${frame.frames}`);
    if (frame.kind === "gray") {
      const [level, width] = this.#window ?? [frame.level, frame.window_width];
      const round = (number) => Number(number.toPrecision(4)).toLocaleString();
      parts.push(`W ${round(width)} L ${round(level)}${this.#window ? "" : ` (${frame.window_from})`}`);
    }
    const place = event && this.#at(event);
    if (place && frame.kind === "gray") {
      const value = frame.values[frame.pixels[place[0] * frame.columns + place[1]]];
      parts.push(`row ${place[0]}, column ${place[1]}, value ${Number(value.toPrecision(5))}`);
    }
    this.readout.textContent = parts.join(" · ");
  }

  #preset() {
    const wanted = PRESETS[Number(this.presets.value)][1];
    if (wanted === "all" && this.#drawn) {
      const values = this.#drawn.values;
      let [low, high] = [Infinity, -Infinity];
      for (const code of this.#drawn.pixels) {
        if (this.#drawn.background[code]) continue;
        if (values[code] < low) low = values[code];
        if (values[code] > high) high = values[code];
      }
      this.#window = [(low + high) / 2, Math.max(high - low, 1e-6)];
    } else this.#window = wanted === null || wanted === "all" ? null : [...wanted];
    this.#redraw();
  }

  #listen() {
    new ResizeObserver(() => this.#place()).observe(this.field);
    this.presets.addEventListener("change", () => {
      this.#preset();
      this.presets.blur();
    });
    this.slider.addEventListener("input", () => this.#turn(Number(this.slider.value)));
    this.fitButton.addEventListener("click", () => this.reset());
    this.trueButton.addEventListener("click", () => this.trueSize());
    this.tagsButton.addEventListener("click", () => {
      this.tags.hidden = !this.tags.hidden;
      if (!this.tags.hidden) this.#showTags(false);
    });
    this.field.addEventListener("contextmenu", (event) => event.preventDefault());
    this.field.addEventListener("dblclick", () => this.reset());
    this.field.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => this.#press(event));
    this.canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      this.canvas.addEventListener(end, (event) => this.#pointers.delete(event.pointerId));
    }
  }

  #wheel(event) {
    event.preventDefault();
    const step = Math.sign(event.deltaY);
    if (this.#count > 1 && !event.ctrlKey) {
      const to = this.#index + step;
      if (to >= 0 && to < this.#count) this.#turn(to);
    } else this.#magnify(step > 0 ? 0.8 : 1.25, event);
  }

  #magnify(factor, event) {
    const before = this.#scale;
    this.#scale = Math.min(LARGEST, Math.max(1, before * factor));
    const box = this.field.getBoundingClientRect();
    const from = [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
    const grown = this.#scale / before;
    this.#offset = this.#offset.map((offset, axis) => from[axis] - (from[axis] - offset) * grown);
    if (this.#scale === 1) this.#offset = [0, 0];
    this.#place();
  }

  #press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before || !this.#drawn) {
      this.#say(event);
      return;
    }
    const by = [event.clientX - before[0], event.clientY - before[1]];
    const others = [...this.#pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    this.#pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (others.length) this.#pinch(event, before, others[0], by);
    else if (event.shiftKey || event.buttons & 6 || this.#drawn.kind === "rgb") this.#pan(by);
    else this.#drag(by);
  }

  #pan(by) {
    this.#offset = [this.#offset[0] + by[0], this.#offset[1] + by[1]];
    this.#place();
  }

  #pinch(event, before, other, by) {
    const far = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
    this.#magnify(far([event.clientX, event.clientY]) / Math.max(1, far(before)), {
      clientX: (event.clientX + other[0]) / 2,
      clientY: (event.clientY + other[1]) / 2,
    });
    this.#pan([by[0] / 2, by[1] / 2]);
  }

  #drag(by) {
    const [center, width] = this.#window ?? [this.#drawn.center, this.#drawn.width];
    const unit = Math.max(width, 1e-6) / 300;
    const light = this.#drawn.inverted ? -1 : 1;
    this.#window = [center + light * by[1] * unit, Math.max(width * 1.005 ** by[0], 1e-6)];
    this.#redraw();
  }

  async #showTags(everything) {
    this.tags.replaceChildren(make("p", {}, "Loading…"));
    try {
      const rows = await get(`/original/${this.#id}/tags?v=${this.#digest}${everything ? "&all=1" : ""}`);
      const table = make("table", {});
      for (const [tag, name, value] of rows) {
        table.append(make("tr", {}, make("td", {}, tag), make("th", {}, name), make("td", {}, value)));
      }
      const more = make("button", { type: "button" }, "Show all tags, including names, dates and free text");
      more.addEventListener("click", () => this.#showTags(true));
      this.tags.replaceChildren(table, ...(everything ? [] : [more]));
    } catch (error) {
      this.tags.replaceChildren(make("p", {}, error.message));
    }
  }
}
