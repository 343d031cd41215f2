// A change as the lines that would differ: the exact thing that is decided on.

import { el } from "./dom.js";
import { bytes, cores, target as targetOf, words } from "./format.js";

/// One line: `web 4 → 7 replicas`.
export function brief(change) {
  const name = change.target ? targetOf(change.target).name : "";
  switch (change.kind) {
    case "Replicas": return `${name} ${change.from} → ${change.to} replicas`;
    case "Resources": return `${name} resources of ${change.container}${change.through === "Pods" ? ", in place" : ""}`;
    case "NodePool": return `${change.exists ? "change" : "create"} node pool ${change.draft.name}`;
    case "Headroom": return `${name} headroom p${change.quantile_percent}`;
    case "Finding": return `${name}: ${words(change.cause)}`;
    default: return change.kind;
  }
}

/// The icon of which way it goes; a finding goes no way and warns.
export function direction(change) {
  if (change.kind === "Finding") return "warn";
  if (change.kind === "Replicas") return change.to > change.from ? "up" : change.to < change.from ? "down" : "same";
  return change.kind === "Headroom" || change.kind === "NodePool" ? "up" : "same";
}

/// The lines, as `kubectl diff` would show them.
export function diff(change) {
  const lines = linesOf(change);
  return el("div", { class: "diff", role: "group", "aria-label": "exact change" },
    el("div", { class: "diff-head" }, change.target ?? `node fleet ${change.fleet}`),
    lines.map(([sign, text]) => el("div", { class: sign === "-" ? "diff-minus" : sign === "+" ? "diff-plus" : "diff-same" }, el("span", { class: "diff-sign" }, sign), text)));
}

function linesOf(change) {
  switch (change.kind) {
    case "Replicas": return [["-", `replicas: ${change.from}`], ["+", `replicas: ${change.to}`]];
    case "Resources": return [[" ", `container: ${change.container}`], [" ", change.through === "Pods" ? "through: running pods, in place" : "through: the pod template, every pod is replaced"], ...resources(change.from, change.to)];
    case "NodePool": return nodePool(change);
    case "Headroom": return [["+", `size for: p${change.quantile_percent}`], ["+", `more lead: ${change.extra_lead_minutes} min`], ["+", `until: ${change.until}`]];
    case "Finding": return [["+", `cause: ${words(change.cause)}`], ["+", `to be told: ${words(change.notify)}`]];
    default: return [["+", JSON.stringify(change)]];
  }
}

function resources(from, to) {
  const fields = [["cpu_request", "requests.cpu", cores], ["memory_request", "requests.memory", bytes], ["cpu_limit", "limits.cpu", cores], ["memory_limit", "limits.memory", bytes]];
  return fields.flatMap(([field, label, print]) => {
    const [before, after] = [from[field], to[field]];
    if (before === after) return before === undefined ? [] : [[" ", `${label}: ${print(before)}`]];
    return [...(before === undefined ? [] : [["-", `${label}: ${print(before)}`]]), ...(after === undefined ? [] : [["+", `${label}: ${print(after)}`]])];
  });
}

function nodePool({ draft, exists }) {
  const list = (values) => values.join(", ");
  const { limits } = draft;
  return [
    [exists ? " " : "+", `nodePool: ${draft.name}`],
    ["+", `instance types: ${list(draft.instance_types)}`],
    ["+", `capacity: ${list(draft.capacity_types)}`],
    ...(draft.zones.length ? [["+", `zones: ${list(draft.zones)}`]] : []),
    ...draft.requirements.map((r) => ["+", `requires: ${r.key} ${r.operator} ${list(r.values)}`]),
    ...draft.taints.map((t) => ["+", `taint: ${t.key}=${t.value}:${t.effect}`]),
    ["+", `limits: cpu ${cores(limits.cpu)}, memory ${bytes(limits.memory)}`],
    ["+", `weight: ${draft.weight}, expires after ${draft.expire_after}, disrupts at most ${draft.disruption_percent} %`],
  ];
}
