// What is drawn on images, as it lies over their thumbnails: on tiles, and wherever an image is only looked at.

import { get } from "./page.js";
import { draw } from "./svg.js";

const ASKED = 100;
const RADIUS = 0.02; // of the longer side

/** The corners of a drawing as an outline: a box has four. */
export function outline({ kind, corners }) {
  if (kind !== "box") return corners;
  const [[top, left], [bottom, right]] = corners;
  return [[top, left], [top, right], [bottom, right], [bottom, left]];
}

/** A place of the source, (row, column), in the thumbnail, [x, y]. */
export function toThumbnail({ factor, shift }, [row, column]) {
  return [factor[1] * column + shift[1], factor[0] * row + shift[0]];
}

/** And back. */
export function toSource({ factor, shift }, [x, y]) {
  return [(y - shift[0]) / factor[0], (x - shift[1]) / factor[1]];
}

export const asPoints = (places) => places.map((place) => place.map((part) => part.toFixed(2)).join(",")).join(" ");

/** A layer that fits over a thumbnail whatever its size; null where nothing is drawn on the image. */
export function layerOver(image) {
  if (!image?.annotations.length) return null;
  const [rows, columns] = image.size;
  const shapes = image.annotations.map((one) => {
    const places = outline(one).map((corner) => toThumbnail(image, corner));
    if (one.kind !== "point") return draw("polygon", { points: asPoints(places), "vector-effect": "non-scaling-stroke" });
    return draw("circle", { cx: places[0][0], cy: places[0][1], r: RADIUS * Math.max(rows, columns) });
  });
  return draw("svg", { viewBox: `0 0 ${columns} ${rows}`, class: "drawn", "aria-hidden": "true" }, ...shapes);
}

/** What is drawn on some images, by their ids. */
export async function fetchDrawn(ids) {
  const found = {};
  for (let from = 0; from < ids.length; from += ASKED) {
    const answer = await get(`/annotations?images=${ids.slice(from, from + ASKED).join(",")}`);
    Object.assign(found, answer.images);
  }
  return found;
}
