// Nodes at a glance: how many, what they cost, which the plan would buy, and what fits nowhere and why.

import { badge, el, section } from "./dom.js";
import { perHour, plural, target as targetOf } from "./format.js";

export function nodes(view) {
  const starting = view.count - view.ready;
  return section("nodes", "Nodes", el("span", { class: "quiet" }, perHour(view.cost_per_hour)),
    el("div", { class: "strip" },
      el("div", { class: "pips", role: "img", "aria-label": `${view.ready} of ${view.count} nodes ready` }, pips(view)),
      el("span", {}, plural(view.ready, "node"), " ready", starting > 0 && `, ${starting} not yet`),
      view.planned.length === 0 && el("span", { class: "quiet" }, "the plan fits on them: none to buy")),
    view.planned.length > 0 && el("ul", { class: "planned" }, bought(view.planned).map(([label, group]) => el("li", {},
      el("span", { class: "plus" }, `+${group.length}`), ` ${label} `, el("span", { class: "quiet" }, `${perHour(group[0].price_per_hour)} each, for ${pods(group)}`)))),
    view.unschedulable.map((item) => el("p", { class: "trouble" }, badge("blocked", "fits nowhere"),
      el("strong", {}, `${plural(item.replicas, "replica")} of ${targetOf(item.target).name}`), ` ${item.reason}`)));
}

const MOST_PIPS = 60;

function pips(view) {
  const all = [...Array(view.ready).fill("pip"), ...Array(view.count - view.ready).fill("pip pip-starting"), ...Array(view.planned.length).fill("pip pip-planned")];
  return [all.slice(0, MOST_PIPS).map((kind) => el("i", { class: kind })), all.length > MOST_PIPS && el("span", { class: "quiet" }, `+${all.length - MOST_PIPS}`)];
}

function bought(planned) {
  const groups = new Map();
  for (const node of planned) {
    const label = `${node.instance_type} ${node.capacity_type} in ${node.zone}`;
    groups.set(label, [...(groups.get(label) ?? []), node]);
  }
  return [...groups];
}

function pods(group) {
  const counts = new Map();
  for (const node of group) {
    for (const [target, replicas] of Object.entries(node.pods)) counts.set(target, (counts.get(target) ?? 0) + replicas);
  }
  return [...counts].map(([target, replicas]) => `${replicas} of ${targetOf(target).name}`).join(", ") || "room";
}
