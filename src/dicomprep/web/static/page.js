// What all pages share: sending to the server, and saying what happened.

export const { annotator, dataset } = document.body.dataset;

/** Where the pages begin: behind a proxy not at `/`. */
const ROOT = new URL(`${document.body.dataset.root}/`, location.href).pathname.slice(0, -1);

/** The address of a path within the pages, which begins with `/`. */
export function within(path) {
  return ROOT + path;
}

/** Answers by which nothing is refused for good: the token is missing, the line is slow, the server is away or busy. */
const LOST = new Set([401, 408, 502, 503, 504]);

/** POST a JSON object; the answer as JSON. Throws an Error with what the server says; `lost` where it may be sent again. */
export async function send(path, body = {}) {
  let answer;
  try {
    answer = await fetch(within(path), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ annotator, dataset, ...body }),
      keepalive: true,
    });
  } catch {
    throw Object.assign(new Error("The server is not responding."), { lost: true });
  }
  if (!answer.ok) throw Object.assign(new Error(await answer.text()), { lost: LOST.has(answer.status) });
  return answer.json();
}

/** GET JSON; throws an Error with what the server says. */
export async function get(path) {
  const answer = await fetch(within(path));
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

/** An id that no other command has. */
export function commandId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Where an image is; the address holds its digest, so that a browser never takes another picture for it. */
export function address(id, digest) {
  return within(`/image/${id}?v=${digest ?? ""}`);
}

/** A number and its noun, in the plural unless it is one. */
export function countOf(count, noun) {
  return `${count.toLocaleString()} ${noun}${count === 1 ? "" : "s"}`;
}

/** An element with properties and children; text is always text, and a link that begins with `/` is within the pages. */
export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "href" && value.startsWith("/")) element.href = within(value);
    else if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

export function find(id) {
  return document.getElementById(id);
}

const status = find("status");

/** Say something to everyone, screen readers included. */
export function say(text, trouble = false) {
  if (!status) return;
  status.textContent = text;
  status.classList.toggle("trouble", trouble);
}
