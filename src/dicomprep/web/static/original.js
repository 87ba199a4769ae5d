import { find } from "./page.js";
import { Viewer } from "./viewer.js";

const viewer = new Viewer();
find("stage").replaceChildren(viewer.element);
viewer.open(Number(document.body.dataset.frame), Number(document.body.dataset.index), document.body.dataset.digest);
addEventListener("keydown", (event) => {
  if (event.key === "z" && !event.ctrlKey && !event.metaKey) viewer.zoomStep();
});
