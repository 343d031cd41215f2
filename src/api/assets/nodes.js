// Nodes at a glance: how many, what they cost, which the plan would buy, and what fits nowhere and why.

import { badge, el, section } from "./dom.js";
import { group as groupOf, isFleet, perHour, plural, target as targetOf } from "./format.js";

/// `groups`: of these the fleets are shown.
export function nodes(view, groups) {
  const starting = view.count - view.ready;
  const fleets = groups.filter((each) => isFleet(each.group));
  return section("nodes", "Nodes", el("span", { class: "quiet" }, perHour(view.cost_per_hour)),
    el("div", { class: "strip" },
      el("div", { class: "pips", role: "img", "aria-label": `${view.ready} of ${view.count} nodes ready` }, pips(view)),
      el("span", {}, plural(view.ready, "node"), " ready", starting > 0 && `, ${starting} not yet`),
      view.planned.length === 0 && el("span", { class: "quiet" }, "the plan fits on them: none to buy")),
    fleets.map((fleet) => el("p", { class: "fleet" }, groupOf(fleet.group).label, el("span", { class: "quiet" }, ` ${able(fleet)}`))),
    view.planned.length > 0 && el("ul", { class: "planned" }, bought(view.planned).map(([label, group]) => el("li", {},
      el("span", { class: "plus" }, `+${group.length}`), ` ${label} `, el("span", { class: "quiet" }, `${perHour(group[0].price_per_hour)} each, for ${pods(group)}`)))),
    view.unschedulable.map((item) => el("p", { class: "trouble" }, badge("blocked", "fits nowhere"),
      el("strong", {}, `${plural(item.replicas, "replica")} of ${targetOf(item.target).name}`), ` ${item.reason}`)));
}

/// What may be done with a fleet's pools, in the words of its condition.
function able(fleet) {
  return fleet.conditions.find((condition) => condition.kind === "AbleToScale")?.message ?? "";
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
