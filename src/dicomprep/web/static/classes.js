// The buttons of the classes: which are chosen, how many images each has, and finding one by its name.

import { find } from "./page.js";

const buttons = [...document.querySelectorAll("[data-label]")];
const field = find("find");

/** Mark the chosen ones. */
export function showChosen(chosen) {
  for (const button of buttons) {
    const on = chosen.has(button.dataset.label);
    button.setAttribute("aria-pressed", on);
    button.querySelector(".mark").textContent = on ? "✓" : "";
  }
}

export function showNumbers(classes) {
  for (const button of buttons) {
    button.querySelector(".number").textContent = (classes[button.dataset.label] ?? 0).toLocaleString();
  }
}

/** The class of a key. */
export function classOf(key) {
  return buttons.find((button) => button.dataset.key === key)?.dataset.label;
}

function narrow() {
  const wanted = field.value.trim().toLocaleLowerCase();
  for (const button of buttons) button.hidden = !button.dataset.label.toLocaleLowerCase().includes(wanted);
}

function leave() {
  field.value = "";
  narrow();
  field.blur();
}

/** Let a class be found by its name; whether there is a field for it. */
export function startFinding() {
  field?.focus();
  return Boolean(field);
}

/** Call `choose` with the class that is found: with Enter the first one in sight. */
export function onFound(choose) {
  field?.addEventListener("input", narrow);
  field?.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave();
    if (event.key !== "Enter") return;
    event.preventDefault();
    const first = buttons.find((button) => !button.hidden);
    if (!field.value.trim() || !first) return;
    leave();
    choose(first.dataset.label);
  });
}
