// A million tiles, of which only those in sight exist.
//
// A browser cannot make an element as high as a million tiles need, so beyond a height the scroll bar stands for places
// among all of them rather than for pixels.

import { fetchDrawn, layerOver } from "./drawn.js";
import { address, countOf, find, get, make, within } from "./page.js";

const TILE = 118;
const LABEL = 20;
const PAGE = 100;
const HIGHEST = 8_000_000;
const PAGES_KEPT = 40;

const place = find("tiles");
const sheet = make("div", { className: "sheet" });
const spacer = make("div", { className: "spacer" });
place.append(spacer, sheet);
const query = new URLSearchParams(location.search);
const pages = new Map();
const tiles = new Map();
const drawn = new Map(); // of images of which something is drawn on
let count = 0;
let due = false;
let settled = 0;

const columns = () => Math.max(1, Math.floor((place.clientWidth - 8) / TILE));
const rowHeight = TILE + LABEL;

/** The first row in sight (with a fraction), from where the scroll bar is. */
function firstRow(rows) {
  const room = place.clientHeight / rowHeight;
  const scrollable = spacer.offsetHeight - place.clientHeight;
  if (rows * rowHeight <= HIGHEST) return place.scrollTop / rowHeight;
  return scrollable > 0 ? (place.scrollTop / scrollable) * Math.max(0, rows - room) : 0;
}

function page(number) {
  if (!pages.has(number)) {
    const loading = get(`/gallery/tiles?${query}&start=${number * PAGE}&limit=${PAGE}`);
    pages.set(number, loading);
    loading.then(
      (items) => {
        loading.items = items;
        draw();
        showDrawn(items);
      },
      () => pages.delete(number),
    );
    if (pages.size > PAGES_KEPT) pages.delete(pages.keys().next().value);
  }
  return pages.get(number).items;
}

/** Lay what is drawn over the tiles, when they are there already. */
async function showDrawn(items) {
  if (!items.length) return;
  try {
    const found = await fetchDrawn(items.map(([id]) => id));
    for (const [id, image] of Object.entries(found)) drawn.set(Number(id), image);
  } catch {
    return; // the tiles are there without
  }
  for (const [key, link] of tiles) link.querySelector(".drawn") ?? overlay(link, Number(key.split(" ")[1]));
}

function overlay(link, id) {
  const layer = layerOver(drawn.get(id));
  if (layer) link.append(layer);
}

function tile(number, item) {
  const [id, label, modality, split, digest] = item;
  const key = `${number} ${id} ${digest}`;
  if (!tiles.has(key)) {
    const name = label === "" ? "none of the classes" : (label ?? "");
    const picture = make("img", { src: address(id, digest), alt: "", decoding: "async", draggable: false });
    const words = make("span", { className: label === null ? "words" : "words labeled" });
    words.textContent = name ? `✓ ${name}` : `${modality ?? ""} ${split}`;
    const link = make("a", { href: `/?image=${id}`, className: "tile" }, picture, words);
    link.setAttribute("aria-label", `Image ${number + 1}: ${modality ?? "no modality"}, ${split}, ${name || "no label"}`);
    overlay(link, id);
    tiles.set(key, link);
  }
  return [key, tiles.get(key)];
}

function draw() {
  due = false;
  const across = columns();
  const rows = Math.ceil(count / across);
  spacer.style.height = `${Math.min(HIGHEST, rows * rowHeight)}px`;
  const top = firstRow(rows);
  const from = Math.max(0, Math.floor(top) - 1);
  const to = Math.min(rows, Math.ceil(top + place.clientHeight / rowHeight) + 1);
  const fast = performance.now() - settled < 80;
  const wanted = new Map();
  const left = Math.max(0, (place.clientWidth - across * TILE) / 2);
  for (let number = from * across; number < Math.min(count, to * across); number++) {
    const held = pages.get(Math.floor(number / PAGE));
    const items = held || !fast ? page(Math.floor(number / PAGE)) : undefined;
    if (!items?.[number % PAGE]) continue;
    const [key, element] = tile(number, items[number % PAGE]);
    const y = place.scrollTop + (Math.floor(number / across) - top) * rowHeight;
    element.style.transform = `translate(${left + (number % across) * TILE}px, ${y}px)`;
    wanted.set(key, element);
  }
  for (const [key, element] of tiles) {
    if (wanted.has(key)) continue;
    element.remove();
    tiles.delete(key);
  }
  for (const element of wanted.values()) if (!element.isConnected) sheet.append(element);
}

function schedule() {
  if (due) return;
  due = true;
  requestAnimationFrame(draw);
}

let last = 0;
place.addEventListener("scroll", () => {
  // what is only flown over is not fetched
  if (Math.abs(place.scrollTop - last) > 3 * place.clientHeight) {
    settled = performance.now();
    setTimeout(schedule, 100);
  }
  last = place.scrollTop;
  schedule();
});
new ResizeObserver(schedule).observe(place);
find("filters").addEventListener("change", () => {
  const wanted = [...new FormData(find("filters"))].filter(([, value]) => value !== "");
  location.assign(within(`/gallery?${new URLSearchParams(wanted)}`));
});
find("filters").addEventListener("submit", (event) => event.preventDefault());

function show(answer) {
  if (answer.count !== count) for (const [number, held] of pages) if (held.items?.length < PAGE) pages.delete(number);
  count = answer.count;
  find("count").textContent = countOf(count, "image") + (answer.complete ? "" : " …");
  find("none").hidden = count > 0 || !answer.complete;
  draw();
  if (!answer.complete) setTimeout(counted, 50);
}

const counted = () => get(`/gallery/count?${query}`).then(show, (error) => (find("count").textContent = error.message));
page(0); // the first tiles do not wait for the count
pages.get(0).then((items) => {
  if (!count) {
    count = items.length;
    draw();
  }
});
counted();
setInterval(() => !document.hidden && counted(), 15_000);
