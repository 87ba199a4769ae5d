// The page of classes: each change is sent, then the page is loaded anew.

import { commandId, find, say, send } from "./page.js";

const list = document.querySelector(".class-list");
const names = () => [...list.children].map((item) => item.dataset.name);

async function change(kind, values) {
  try {
    await send("/classes/change", { kind, command: commandId(), ...values });
    location.reload();
  } catch (error) {
    say(error.message, true);
  }
}

/** The names with one of them moved by a step. */
function moved(name, step) {
  const order = names();
  const from = order.indexOf(name);
  order.splice(from, 1);
  order.splice(from + step, 0, name);
  return order;
}

/** Let the dialog choose a name; then call `done` with it. */
function choose(kind, name, done) {
  const dialog = find(kind);
  const field = find(`${kind}-name`);
  const verb = kind === "renaming" ? "Rename" : "Merge";
  find(`${kind}-title`).textContent = kind === "renaming" ? `${verb} ${name} to` : `${verb} ${name} into`;
  if (kind === "renaming") field.value = name;
  else for (const option of field.options) option.hidden = option.disabled = option.value === name;
  if (kind === "merging") field.value = names().find((one) => one !== name);
  dialog.returnValue = "";
  dialog.onclose = () => dialog.returnValue === "ok" && done(field.value);
  dialog.showModal();
}

list.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  const { name } = button.closest("[data-name]").dataset;
  const act = button.dataset.act;
  if (act === "up" || act === "down") change("order", { names: moved(name, act === "up" ? -1 : 1) });
  else if (act === "rename") choose("renaming", name, (target) => change("rename", { name, target }));
  else if (act === "merge") choose("merging", name, (target) => change("merge", { name, target }));
  else change(act, { name });
});
