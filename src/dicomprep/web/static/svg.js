// Elements of SVG, and the icons of the viewer's buttons.

const ICONS = {
  scroll: "M12 3v18M8 7l4-4 4 4M8 17l4 4 4-4",
  window: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 3v18M15 5v14M18 7v10",
  pan: "M12 3v18M3 12h18M9.5 5.5L12 3l2.5 2.5M9.5 18.5L12 21l2.5-2.5M5.5 9.5L3 12l2.5 2.5M18.5 9.5L21 12l-2.5 2.5",
  ruler: "M3 15.5L15.5 3 21 8.5 8.5 21zM7 11.5l2 2M10 8.5l3 3M13 5.5l2 2",
  angle: "M20 19H4L15 5M11.5 19a8 8 0 0 0-2.6-6",
  invert: "M4 4h16v16H4zM4 20L20 4M9 20l11-11M14 20l6-6",
  sideways: "M12 3v18M9 7v10H3zM15 7v10h6z",
  upside: "M3 12h18M7 9h10V3zM7 15h10v6z",
  rotate: "M19 12a7 7 0 1 1-2.5-5.4M17 2.5V7h-4.5",
  reset: "M5 12a7 7 0 1 0 2.5-5.4M7 2.5V7h4.5",
  play: "M8 5l11 7-11 7z",
  pause: "M8.5 5v14M15.5 5v14",
  compare: "M3.5 5H11v14H3.5zM13 5h7.5v14H13z",
  link: "M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1",
  tags: "M4 6h16M4 12h16M4 18h10",
  close: "M6 6l12 12M18 6L6 18",
};

/** An element with attributes and children. */
export function draw(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** The picture of a button, which has its name beside it for those who do not see. */
export function icon(name) {
  return draw("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, draw("path", { d: ICONS[name] }));
}
