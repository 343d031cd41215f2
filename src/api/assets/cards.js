// The targets, group by group: what there is, what is wanted and why, what an HPA would do, where demand goes, and what it costs.

import { badge, el, empty, icon, section } from "./dom.js";
import { group as groupOf, isFleet, measure, moment, number, perHour, plural, seconds, span, target as targetOf, variant, words } from "./format.js";
import { replicaScale } from "./scale.js";
import { spark } from "./spark.js";

/// `actions.askModel(group)`, `actions.why(target)`; `state.model` says whether there is one to be asked.
export function cards(state, actions) {
  // A node fleet has no workloads: it stands with the nodes. A group that could not be taken stands below, with the reason.
  const refused = new Set(state.rejected.map((item) => item.group));
  const groups = state.groups.filter((view) => !isFleet(view.group) && !refused.has(view.group));
  const count = groups.reduce((sum, group) => sum + group.targets.length, 0);
  const body = groups.length
    ? el("div", { class: "groups" }, groups.map((group) => groupBlock(group, state, actions)))
    : empty("No groups yet. Each IntelligentPodAutoscaler appears here with its workloads, as soon as one is created.");
  return section("targets", "Workloads", el("span", { class: "quiet" }, plural(count, "workload"), " in ", plural(groups.length, "group"), total(groups)),
    body, state.rejected.map(rejected));
}

/// What all priced workloads cost together, now and as desired.
function total(groups) {
  const priced = groups.flatMap((group) => group.targets).filter((view) => view.cost_per_hour !== null);
  if (priced.length === 0) return null;
  const sum = (cost) => priced.reduce((all, view) => all + cost(view), 0);
  const [now, then] = [sum((view) => view.current_cost_per_hour ?? view.cost_per_hour), sum((view) => view.cost_per_hour)];
  return now === then ? `, ${perHour(then)}` : `, ${perHour(now)} → ${perHour(then)}`;
}

function groupBlock(group, state, actions) {
  const { name, namespace, label } = groupOf(group.group);
  const surges = group.surges.map((surge) => ({ ...surge, from: seconds(state.at, surge.start) / 60, to: seconds(state.at, surge.end) / 60 }));
  const troubles = group.conditions.filter(isTrouble);
  return el("div", { class: group.targets.length > 1 ? "group group-wide" : "group" },
    el("div", { class: "group-head" },
      el("h3", {}, namespace ? [el("span", { class: "quiet" }, `${namespace}/`), name] : label),
      el("span", { class: "quiet" }, asked(group.asked)),
      state.model && el("button", { class: "link", title: "The model looks at this group in the next tick", on: { click: () => actions.askModel(group.group) } }, "ask the model")),
    surges.map((surge) => el("p", { class: "quiet" }, icon("up"), el("strong", {}, surge.name), ` announced: ${surge.percent} % of the usual demand from ${moment(surge.start, state.at)} to ${moment(surge.end, state.at)} UTC`)),
    troubles.map((condition) => el("p", { class: "trouble" }, icon("warn"), el("strong", {}, words(condition.kind)), ` ${condition.message || words(condition.reason)}`)),
    group.targets.length
      ? el("div", { class: "cards" }, group.targets.map((view) => card(view, surges, actions)))
      : empty("None of this group's workloads is in the cluster."));
}

/// Conditions that a person should see without looking for them.
function isTrouble({ kind, status }) {
  const bad = { Conflicted: true, Paused: true, Fallback: true, MetricsAvailable: false, AuditHealthy: false };
  return kind in bad && status === bad[kind];
}

function asked(value) {
  const { name, detail } = variant(value);
  const reasons = {
    Changed: "something changed", SurgeNear: "a surge is near", Unsure: "the outlook is unsure", Asked: "a person asked", LookTooOld: "the last look was old",
  };
  const without = { NotWorthIt: "model not needed", NoModel: "planner alone", BudgetSpent: "model budget spent", BreakerOpen: "model not reachable" };
  return name === "Yes" ? `model asked: ${reasons[detail] ?? words(detail)}` : without[name] ?? words(name);
}

/// `surges`: those announced for its group, `from` and `to` in minutes from now.
function card(view, surges, actions) {
  const { name, kind, text } = targetOf(view.target);
  const unit = view.signals.demand?.unit ?? "1/s";
  const basis = view.basis;
  const capacity = basis?.capacity_per_replica ? basis.capacity_per_replica * view.ready : null;
  const drawn = spark(view, unit, capacity, surges);
  return el("article", { class: "card", tabindex: "0", "data-item": true, "data-key": `card ${text}`, "data-target": text, "aria-label": `${name}: ${view.current} replicas, ${view.desired} desired` },
    el("div", { class: "card-head" },
      el("h4", { title: text }, name), el("span", { class: "quiet" }, kind.replace(/s$/, "")), view.criticality !== "Medium" && el("span", { class: "quiet" }, view.criticality.toLowerCase()),
      el("span", { class: "grow" }), modes(view.modes)),
    el("div", { class: "card-numbers" }, moving(view),
      el("dl", { class: "facts" },
        fact("ready", `${view.ready}/${view.current}`, view.ready < view.current ? "is-held" : null),
        fact("bounds", `${view.min}–${view.max}`),
        fact("HPA", view.shadow_hpa ?? "–", null, "What a Horizontal Pod Autoscaler would ask for"))),
    replicaScale(view),
    drawn ? el("div", { class: "chart" }, drawn, legend(view, unit, capacity)) : el("p", { class: "chart-none" }, "Demand is not known yet: no series has been joined to this workload."),
    faults(view.signals),
    el("div", { class: "card-foot" },
      el("span", { class: "cost", title: "Cost of its pods, at the price of their requests" }, cost(view)),
      el("span", { class: "reason" }, basis ? reason(basis) : "no plan"),
      el("button", { class: "link", on: { click: () => actions.why(text) } }, "why?")));
}

function moving(view) {
  const direction = view.desired > view.current ? "up" : view.desired < view.current ? "down" : "same";
  const numbers = direction === "same"
    ? [el("strong", {}, view.current), el("span", { class: "quiet" }, "as desired")]
    : [el("strong", {}, view.current), icon(direction), el("strong", { class: "wanted" }, view.desired), el("span", { class: "quiet" }, "desired")];
  return el("div", { class: `moving go-${direction}` }, numbers);
}

function fact(name, value, state, title) {
  return el("div", { title }, el("dt", {}, name), el("dd", { class: state }, value));
}

/// One badge when all directions agree, else one for each way.
function modes(modes) {
  const { scale_up: up, scale_down: down } = modes;
  const chip = (mode, way) => el("span", { class: `mode mode-${mode.toLowerCase()}`, title: MODES[mode] }, way && icon(way), mode);
  return up === down ? chip(up) : [chip(up, "up"), chip(down, "down")];
}

const MODES = {
  Observe: "Records what it would do and changes nothing",
  Recommend: "Each change waits for a person",
  Auto: "Acts within the limits that people set",
};

function legend(view, unit, capacity) {
  const now = view.signals.demand?.value ?? null;
  return el("div", { class: "legend" },
    el("span", {}, el("i", { class: "key key-past" }), now === null ? "demand unknown" : measure(now, unit)),
    planned(view.basis),
    view.outlook_p50.length > 0 && el("span", { title: "The median outlook of the next hour" }, el("i", { class: "key key-median" }), "median"),
    view.outlook_p90.length > 0 && el("span", { title: "From the median to the 90 % quantile, over the next hour" }, el("i", { class: "key key-band" }), "to p90"),
    capacity !== null && el("span", { title: "What the ready replicas carry" }, el("i", { class: "key key-capacity" }), `carry ${number(capacity)}`));
}

/// The demand that the replicas are planned for: which quantile of the outlook, over which lead time.
function planned(basis) {
  if (!basis || basis.demand_planned === null) return null;
  const quantile = number(basis.quantile * 100);
  return el("span", { title: `The ${quantile} % quantile of demand over the ${span(basis.lead_s)} until new replicas serve` },
    "planned for ", el("strong", {}, number(basis.demand_planned)), ` (p${quantile} over ${span(basis.lead_s)})`);
}

function faults(signals) {
  const bad = Object.entries(signals).filter(([, signal]) => signal.faults.length > 0);
  return bad.map(([name, signal]) => el("p", { class: "trouble" }, icon("warn"), el("strong", {}, name), ` not trusted: ${signal.faults.map(words).join(", ")}`));
}

function cost(view) {
  const { current_cost_per_hour: now, cost_per_hour: then } = view;
  if (now === null && then === null) return "not priced";
  return now === then || now === null ? perHour(then) : `${perHour(now)} → ${perHour(then)}`;
}

const REASONS = {
  Forecast: "the outlook asks for it", PresentDemand: "demand is above the forecast", Backlog: "work is waiting", CpuOnly: "sized by CPU",
  HeldHigh: "held: need was higher lately", Bounds: "a bound decides", NoData: "nothing fresh is known", New: "new: safe defaults", NotPlanned: "not planned",
};

function reason(basis) {
  return REASONS[basis.reason] ?? words(basis.reason);
}

function rejected(item) {
  return el("p", { class: "trouble" }, badge("blocked", words(item.reason)), el("strong", {}, groupOf(item.group).label), ` ${item.message}`);
}
