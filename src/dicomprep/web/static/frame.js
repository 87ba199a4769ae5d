// The image's page: what is drawn lies over the images that it shows.

import { fetchDrawn, layerOver } from "./drawn.js";

const pictures = [...document.querySelectorAll("[data-drawn]")];
const ids = [...new Set(pictures.map((one) => Number(one.dataset.drawn)))];

fetchDrawn(ids).then((found) => {
  for (const place of pictures) {
    const layer = layerOver(found[place.dataset.drawn]);
    if (layer) place.append(layer);
  }
}, () => {});
