// What is said of a slice in words: which it is, its window, the value under the pointer.

import { plain } from "./window.js";

/** `12 / 120`; and, once another slice was opened, which: {number, count, home} count from 0. */
export function nameSlice({ number, count, home }, label) {
  if (count < 2) return "";
  const away = label && number !== home;
  return `${number + 1} / ${count}${away ? ` · ${label}: ${home + 1} (B)` : ""}`;
}

/** What the image is for those who do not see it. */
export function nameImage(frame, { number, count }, window) {
  return [frame.modality || "Image", `slice ${number + 1} of ${count}`, window].filter(Boolean).join(", ");
}

/** The line below the image; `isDefault` says that the window is the file's own, or the automatic one. */
export function describeFrame(frame, { number, count }, window, isDefault) {
  const parts = [`${frame.source[1]} × ${frame.source[0]}`];
  if (frame.scale < 1) parts.push(`displayed at ${Math.round(100 * frame.scale)} %`);
  if (count > 1) parts.push(`slice ${number + 1} of ${count}`);
  if (window) parts.push(window + (isDefault ? ` (${frame.window_from})` : ""));
  return parts;
}

/** The value at a place of a gray image with its unit, and as SUV where that is known; empty beside the image. */
export function describeValue(frame, place) {
  const [column, row] = place.map(Math.floor);
  if (frame.kind !== "gray" || row < 0 || column < 0 || row >= frame.rows || column >= frame.columns) return "";
  const value = frame.values[frame.pixels[row * frame.columns + column]];
  const at = `row ${row}, column ${column}`;
  if (frame.suv_factor === 1) return `${at}: SUV ${plain(value)}`;
  const unit = frame.unit || (frame.rescaled ? "(modality units)" : "(stored value)");
  const suv = frame.suv_factor ? ` · SUV ${plain(value * frame.suv_factor)}` : "";
  return `${at}: ${plain(value, 5)} ${unit}${suv}`;
}
