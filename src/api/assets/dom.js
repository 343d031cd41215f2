// Elements out of plain data. Text only ever becomes a text node: there is no way here to write markup, whatever a name or a reason holds.

const SVG = "http://www.w3.org/2000/svg";

/// An element. `props`: `class`, `on` (listeners by event), `hidden` and the like as booleans, all else as attributes.
export function el(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/// The same for SVG.
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (value === true) {
      node.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(name, String(value));
    }
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

const ICONS = {
  acted: ["M3 8.5l3.2 3.2L13 4.8"],
  held: ["M5.5 3.5v9", "M10.5 3.5v9"],
  blocked: ["M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11", "M4.2 4.2l7.6 7.6"],
  failed: ["M4 4l8 8", "M12 4l-8 8"],
  waiting: ["M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11", "M8 5v3.2l2.2 1.6"],
  shadow: ["M1.8 8c2-3.2 4-4.6 6.2-4.6S12.2 4.8 14.2 8c-2 3.2-4 4.6-6.2 4.600S3.8 11.2 1.8 8z", "M8 6.300a1.7 1.7 0 1 0 0 3.400a1.7 1.7 0 1 0 0-3.4"],
  up: ["M8 13V3", "M3.5 7.500L8 3l4.5 4.5"],
  down: ["M8 3v10", "M3.5 8.500L8 13l4.5-4.5"],
  same: ["M3 8h10"],
  warn: ["M8 2.500l6 10.500H2z", "M8 6.500v3", "M8 11.300v.2"],
  model: ["M3 4h10v7H7l-3 2.500V11H3z"],
  planner: ["M2.5 12l3.5-4 3 2 4.5-6"],
  person: ["M8 3a2.3 2.3 0 1 0 0 4.600a2.3 2.3 0 1 0 0-4.6", "M3.5 13.500c.4-3 2.2-4.2 4.5-4.200s4.1 1.2 4.5 4.2"],
  theme: ["M8 2.500a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11", "M8 2.500v11a5.5 5.5 0 0 1 0-11"],
  back: ["M9.5 3.500L5 8l4.5 4.5"],
  link: ["M6 3.500l4.5 4.500L6 12.5"],
};

/// A small line icon; always beside words, so hidden from screen readers.
export function icon(name) {
  const paths = (ICONS[name] ?? ICONS.same).map((d) => svg("path", { d }));
  return svg("svg", { class: `icon icon-${name}`, viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" }, paths);
}

/// Icon and word of a state, so that colour is never the only sign.
export function badge(kind, words, title) {
  return el("span", { class: `badge is-${kind}`, title }, icon(kind), words);
}

/// A section with its heading.
export function section(id, title, aside, ...children) {
  const heading = el("h2", { id: `${id}-title` }, title);
  return el("section", { id, class: "section", "aria-labelledby": `${id}-title` }, el("div", { class: "section-head" }, heading, aside), ...children);
}

/// What will appear here once there is something.
export function empty(words) {
  return el("p", { class: "empty" }, words);
}

/// Replaces what a container shows, and puts the focus back on what had it, by its `data-key`.
export function show(container, ...children) {
  const focused = container.contains(document.activeElement) ? document.activeElement.closest("[data-key]") : null;
  const inside = focused ? [...focused.querySelectorAll("a,button,summary")].indexOf(document.activeElement) : -1;
  const key = focused?.dataset.key;
  container.replaceChildren(...children.flat(Infinity).filter(Boolean));
  if (!key) return;
  const again = [...container.querySelectorAll("[data-key]")].find((node) => node.dataset.key === key);
  const target = inside < 0 ? again : again?.querySelectorAll("a,button,summary")[inside];
  (target ?? again)?.focus({ preventScroll: true });
}
