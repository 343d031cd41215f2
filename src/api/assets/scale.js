// Replicas on one line: bounds as a track, what there is as a bar, what is wanted as a mark, what an HPA would ask for as a ring.

import { svg } from "./dom.js";

export function replicaScale(view) {
  const most = Math.max(view.max, view.current, view.desired, view.shadow_hpa ?? 0, 1);
  const x = (replicas) => `${((replicas / most) * 98 + 1).toFixed(2)}%`;
  const wide = (replicas) => `${((Math.max(0, replicas) / most) * 98).toFixed(2)}%`;
  const words = `${view.current} replicas of at most ${view.max}, at least ${view.min}; ${view.desired} desired`
    + (view.shadow_hpa === null ? "" : `; an HPA would ask for ${view.shadow_hpa}`);
  return svg("svg", { class: "scale", role: "img", "aria-label": words },
    svg("title", {}, words),
    svg("rect", { class: "scale-track", x: x(0), y: 5, width: wide(most), height: 2, rx: 1 }),
    svg("rect", { class: "scale-bounds", x: x(view.min), y: 5, width: wide(view.max - view.min), height: 2, rx: 1 }),
    svg("rect", { class: "scale-ready", x: x(0), y: 4, width: wide(view.current), height: 4, rx: 2 }),
    view.shadow_hpa !== null && svg("circle", { class: "scale-hpa", cx: x(view.shadow_hpa), cy: 6, r: 3 }),
    view.desired !== view.current && svg("rect", { class: "scale-wanted", x: x(view.desired), y: 0.5, width: 2.5, height: 11, rx: 1.2 }));
}
