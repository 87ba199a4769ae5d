// Window width and level: which one is in effect, for which images it stays, and what it makes of values.

/** `W 400 L 40`, wherever a window is named. */
export function nameWindow(level, width) {
  return `W ${plain(width)} L ${plain(level)}`;
}

/** A number as short as it is to be read, with a minus of its own. */
export function plain(number, digits = 4) {
  return String(Number(number.toPrecision(digits))).replace("-", "−");
}

const capital = (name) => name[0].toUpperCase() + name.slice(1);

/** From the lowest to the highest value of a frame, without padding: [level, width]. */
function fullRange({ values, pixels, background }) {
  let [low, high] = [Infinity, -Infinity];
  for (const code of pixels) {
    if (background[code]) continue;
    if (values[code] < low) low = values[code];
    if (values[code] > high) high = values[code];
  }
  return low > high ? null : [(low + high) / 2, Math.max(high - low, 1e-6)];
}

export class Windows {
  inverted = false;
  #kept = new Map(); // by what values are comparable in: null is the default, as in the thumbnail
  #kind = "";

  /** Take the window of a kind of values: that of their unit, which stays from image to image, or of their series. */
  use(modality, unit, series) {
    this.#kind = unit ? `${modality} ${unit}` : `${modality} ${series}`;
  }

  /** [level, width]; null where each image has its own. */
  get current() {
    return this.#kept.get(this.#kind) ?? null;
  }

  set current(window) {
    this.#kept.set(this.#kind, window);
  }

  /** The default again, for all images. */
  reset() {
    this.inverted = false;
    this.#kept.clear();
  }

  /** What there is to choose from for a frame: the default, presets of its unit, the full range. */
  names(frame) {
    const presets = frame.kind === "gray" ? frame.presets : [];
    return ["Default", ...presets.map(([name, window]) => `${capital(name)} ${nameWindow(...window)}`), "Full range"];
  }

  /** Choose one of these by its number; whether there is such a one. */
  choose(frame, number) {
    if (frame.kind !== "gray" || number > frame.presets.length + 1) return false;
    if (number > frame.presets.length) this.current = fullRange(frame);
    else this.current = number ? frame.presets[number - 1][1] : null;
    return true;
  }

  /** Brighter and darker, wider and narrower. */
  drag(frame, [across, down]) {
    const [level, width] = this.current ?? [frame.center, frame.width];
    const unit = Math.max(width, 1e-6) / 300;
    const light = frame.inverted === this.inverted ? 1 : -1;
    this.current = [level + light * down * unit, Math.max(width * 1.005 ** across, 1e-6)];
  }

  /** What is said of a frame's window; empty for colors. */
  describe(frame) {
    if (frame.kind !== "gray") return "";
    return nameWindow(...(this.current ?? [frame.level, frame.window_width]));
  }

  /** What the screen shows for each code of a gray frame. */
  shades(frame) {
    const shades = new Uint32Array(frame.codes);
    const window = this.current;
    const [level, width] = window ?? [0, 1];
    for (let code = 0; code < frame.codes; code++) {
      let gray = frame.table[code];
      if (window) {
        const shade = Math.min(1, Math.max(0, (frame.values[code] - level) / width + 0.5));
        gray = frame.background[code] ? 0 : Math.round(255 * (frame.inverted ? 1 - shade : shade));
      }
      if (this.inverted && !frame.background[code]) gray = 255 - gray;
      shades[code] = 0xff000000 | (gray << 16) | (gray << 8) | gray;
    }
    return shades;
  }

  /** Draw a frame into pixels of a canvas, 32 bits each. */
  paint(frame, out) {
    if (frame.kind === "rgb") {
      const flip = this.inverted ? 0x00ffffff : 0;
      for (let i = 0, j = 0; i < out.length; i++, j += 3) {
        out[i] = (0xff000000 | (frame.rgb[j + 2] << 16) | (frame.rgb[j + 1] << 8) | frame.rgb[j]) ^ flip;
      }
      return;
    }
    const shades = this.shades(frame);
    for (let i = 0; i < out.length; i++) out[i] = shades[frame.pixels[i]];
  }
}
