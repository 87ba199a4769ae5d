// Dialogs that ask for a line or for a text.

import { find } from "./page.js";

function ask(dialog, field, value) {
  field.value = value;
  dialog.showModal();
  return new Promise((resolve) => {
    const answer = () => resolve(dialog.returnValue ? field.value.trim() : null);
    dialog.returnValue = "";
    dialog.addEventListener("close", answer, { once: true });
  });
}

/** A name; null where it is cancelled. */
export function askName(title, value = "") {
  find("naming-title").textContent = title;
  return ask(find("naming"), find("naming-name"), value);
}

/** A note; null where it is cancelled. */
export function askNote(value) {
  return ask(find("noting"), find("noting-text"), value);
}

find("noting-text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  find("noting").close("ok");
});
