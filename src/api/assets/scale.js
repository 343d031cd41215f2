// Replicas on one line: bounds at the ends, what there is as a bar, what is wanted as a mark, what an HPA would ask for as a hollow one.

import { svg } from "./dom.js";

const WIDTH = 200;
const HEIGHT = 12;

export function replicaScale(view) {
  const most = Math.max(view.max, view.current, view.desired, view.shadow_hpa ?? 0, 1);
  const x = (replicas) => 3 + (replicas / most) * (WIDTH - 6);
  const words = `${view.current} replicas of at most ${view.max}, at least ${view.min}; ${view.desired} desired`
    + (view.shadow_hpa === null ? "" : `; an HPA would ask for ${view.shadow_hpa}`);
  return svg("svg", { class: "scale", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words },
    svg("title", {}, words),
    svg("rect", { class: "scale-track", x: x(0), y: 5, width: x(most) - x(0), height: 2, rx: 1 }),
    svg("rect", { class: "scale-bounds", x: x(view.min), y: 5, width: Math.max(0, x(view.max) - x(view.min)), height: 2, rx: 1 }),
    svg("rect", { class: "scale-ready", x: x(0), y: 4, width: x(view.current) - x(0), height: 4, rx: 2 }),
    view.shadow_hpa !== null && svg("circle", { class: "scale-hpa", cx: x(view.shadow_hpa), cy: 6, r: 3 }),
    view.desired !== view.current && svg("rect", { class: "scale-wanted", x: x(view.desired) - 1.2, y: 0.5, width: 2.4, height: 11, rx: 1.2 }));
}
