// A million tiles, of which only those in sight exist.
//
// A browser cannot make an element as high as a million tiles need, so beyond a height the scroll bar stands for places
// among all of them rather than for pixels.

import { fetchDrawn, layerOver } from "./drawn.js";
import { Outbox } from "./outbox.js";
import { address, countOf, find, get, make, say, within } from "./page.js";
import { Selection } from "./selection.js";

const GAP = 4;
const LABEL = 38;
const SIZES = "dicomprep-tile-size";
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
const kept = Number(history.state?.first ?? 0); // the image that was the first in sight before a page was left
let size = Number(localStorage.getItem(SIZES)) || 114;
let count = 0;
let isComplete = false;
let isBack = kept === 0;
let due = false;
let settled = 0;

const columns = () => Math.max(1, Math.floor((place.clientWidth - 8) / (size + GAP)));
const height = () => size + LABEL;

/** The first row in sight (with a fraction), from where the scroll bar is. */
function firstRow(rows) {
  const room = place.clientHeight / height();
  const scrollable = spacer.offsetHeight - place.clientHeight;
  if (rows * height() <= HIGHEST) return place.scrollTop / height();
  return scrollable > 0 ? (place.scrollTop / scrollable) * Math.max(0, rows - room) : 0;
}

/** Show an image at the top. */
function scrollTo(number) {
  const across = columns();
  const rows = Math.ceil(count / across);
  spacer.style.height = `${Math.min(HIGHEST, rows * height())}px`;
  const row = Math.floor(number / across);
  const room = place.clientHeight / height();
  if (rows * height() <= HIGHEST) place.scrollTop = row * height();
  else place.scrollTop = (row / Math.max(1, rows - room)) * (spacer.offsetHeight - place.clientHeight);
}

const firstInSight = () => Math.floor(firstRow(Math.ceil(count / columns())) + 0.1) * columns();

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
      (error) => {
        pages.delete(number);
        refuse(error);
      },
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
  for (const cell of tiles.values()) cell.querySelector(".drawn") ?? overlay(cell.firstChild, Number(cell.dataset.id));
}

function overlay(link, id) {
  const layer = layerOver(drawn.get(id));
  if (layer) link.append(layer);
}

function tile(number, item) {
  const [id, label, modality, split, digest, title, state] = item;
  const key = `${number} ${id} ${digest} ${label} ${state}`;
  if (!tiles.has(key)) {
    const name = label === "" ? "none of the classes" : (label ?? "");
    const picture = make("img", { src: address(id, digest), alt: "", decoding: "async", draggable: false });
    const words = make("span", { className: label === null ? "words" : "words labeled" });
    words.textContent = (name ? `✓ ${name}` : `${modality ?? ""} ${split}`) + (state ? ` · ${state}` : "");
    const caption = make("span", { className: "words ended" }, make("bdi", {}, title.slice(title.lastIndexOf("/") + 1)));
    const link = make("a", { href: `/?image=${id}`, className: "tile", title: name ? `${title}\n${name}` : title }, picture, caption, words);
    const about = [modality ?? "no modality", split, name || "no label", state, title].filter(Boolean).join(", ");
    link.setAttribute("aria-label", `Image ${number + 1}: ${about}`);
    link.draggable = false;
    overlay(link, id);
    const pick = make("button", { className: "pick", type: "button" }, "✓");
    pick.setAttribute("aria-label", `Select image ${number + 1}`);
    const cell = make("div", { className: "cell" }, link, pick);
    Object.assign(cell.dataset, { number, id, digest });
    tiles.set(key, cell);
  }
  return [key, tiles.get(key)];
}

function draw() {
  due = false;
  const across = columns();
  const rows = Math.ceil(count / across);
  spacer.style.height = `${Math.min(HIGHEST, rows * height())}px`;
  const top = firstRow(rows);
  const from = Math.max(0, Math.floor(top) - 1);
  const to = Math.min(rows, Math.ceil(top + place.clientHeight / height()) + 1);
  const fast = performance.now() - settled < 80;
  const wanted = new Map();
  const left = Math.max(0, (place.clientWidth - across * (size + GAP)) / 2);
  for (let number = from * across; number < Math.min(count, to * across); number++) {
    const held = pages.get(Math.floor(number / PAGE));
    const items = held || !fast ? page(Math.floor(number / PAGE)) : undefined;
    if (!items?.[number % PAGE]) continue;
    const [key, element] = tile(number, items[number % PAGE]);
    const y = place.scrollTop + (Math.floor(number / across) - top) * height();
    element.style.transform = `translate(${left + (number % across) * (size + GAP)}px, ${y}px)`;
    wanted.set(key, element);
  }
  for (const [key, element] of tiles) {
    if (wanted.has(key)) continue;
    element.remove();
    tiles.delete(key);
  }
  for (const element of wanted.values()) if (!element.isConnected) sheet.append(element);
  selection.show(wanted.values());
}

/** Which images lie in a part of the sheet, whose rows count from the first one of all. */
function inPart(part) {
  const across = columns();
  const left = Math.max(0, (place.clientWidth - across * (size + GAP)) / 2);
  const from = Math.max(0, Math.floor((part.left - left) / (size + GAP)));
  const to = Math.min(across - 1, Math.floor((part.right - left) / (size + GAP)));
  const numbers = [];
  for (let row = Math.max(0, Math.floor(part.top)); row <= part.bottom; row++)
    for (let column = from; column <= to; column++) if (row * across + column < count) numbers.push(row * across + column);
  return numbers;
}

/** The row of a height in the window, with a fraction. */
function rowAt(y) {
  return firstRow(Math.ceil(count / columns())) + (y - place.getBoundingClientRect().top) / height();
}

/** The images of some numbers as [id, digest], asked for where they are not here yet. */
async function itemsOf(numbers) {
  const wanted = [...new Set(numbers.map((number) => Math.floor(number / PAGE)))];
  const lists = await Promise.all(wanted.map((number) => pages.get(number) ?? (page(number), pages.get(number))));
  const found = new Map(wanted.map((number, place) => [number, lists[place]]));
  return numbers.map((number) => found.get(Math.floor(number / PAGE))[number % PAGE]).filter(Boolean).map(([id, , , , digest]) => [id, digest]);
}

const outbox = new Outbox(() => {});
const selection = new Selection(place, { itemsOf, rowAt, within: inPart, count: () => count, columns, label, undo, redraw: schedule });

/** One label for all that are selected; what they show is asked for again. */
async function label(chosen, text) {
  const sent = { frames: chosen.map(([id]) => id), digests: chosen.map(([, digest]) => digest), label: text };
  const answer = await outbox.put("/gallery/label", sent);
  if (!answer) return;
  const said = [`${countOf(answer.labeled, "image")} labeled ${text === "" ? "none of the classes" : text.replaceAll(",", ", ")}`];
  if (answer.held) said.push(`${countOf(answer.held, "image")} held back for burned-in text: open each to review it`);
  if (answer.changed) said.push(`${countOf(answer.changed, "image")} changed since: look again`);
  say(`${said.join(". ")}.`, answer.held + answer.changed > 0);
  reload();
}

async function undo() {
  const answer = await outbox.put("/undo", {});
  if (!answer) return;
  const several = answer.undone === "batch" ? `${countOf(answer.images, "label")} undone` : `${answer.undone} undone`;
  say(answer.undone ? several : "Nothing to undo.");
  reload();
}

function reload() {
  pages.clear();
  counted();
  schedule();
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
  if (answer.complete && !isComplete && query.get("sort")) pages.clear(); // another order is known when all are counted
  count = answer.count;
  isComplete = answer.complete;
  find("count").textContent = countOf(count, "image") + (answer.complete ? "" : " …");
  find("none").hidden = count > 0 || !answer.complete;
  if (!isBack && (count > kept || answer.complete)) {
    isBack = true;
    scrollTo(kept);
  }
  draw();
  if (!answer.complete) setTimeout(counted, 50);
}

/** Say why there are no images, where the server refuses them. */
function refuse(error) {
  if (find("status").textContent !== error.message) say(error.message, true);
}

const slider = find("size");
slider.value = size;
sheet.style.setProperty("--tile", `${size}px`);
slider.addEventListener("input", () => {
  const first = firstInSight();
  size = Number(slider.value);
  localStorage.setItem(SIZES, size);
  sheet.style.setProperty("--tile", `${size}px`);
  scrollTo(first);
  schedule();
});

let keeping = 0;
place.addEventListener("scroll", () => {
  clearTimeout(keeping);
  keeping = setTimeout(() => isBack && history.replaceState({ first: firstInSight() }, ""), 150);
});
addEventListener("pagehide", () => isBack && history.replaceState({ first: firstInSight() }, ""));

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
