// A dialogue as a conversation. Who speaks is said on every turn: a script that plays the model is never shown as one.

import { badge, el, empty } from "./dom.js";
import { plural, variant, words } from "./format.js";

const REASONS = {
  Changed: "something material had changed", SurgeNear: "an announced surge was near", Unsure: "the outlook was unsure",
  Asked: "a person asked", LookTooOld: "the last look was too old",
};

const WITHOUT = {
  NotWorthIt: "The model was not asked: nothing made it worth asking. The planner's proposals stand.",
  NoModel: "No model takes part here: the planner decides alone.",
  BudgetSpent: "The model was not asked: its budget is spent. The planner's proposals stand.",
  BreakerOpen: "The model was not asked: it has not been answering. The planner's proposals stand.",
};

/// `summary` is what the record keeps, `talk` the whole, where it was not pruned.
export function dialogue(summary, talk) {
  const { name, detail } = variant(summary.asked);
  if (name !== "Yes") return empty(WITHOUT[name] ?? words(name));
  const end = variant(summary.end);
  const { usage } = summary;
  return [
    el("p", {}, `Asked, because ${REASONS[detail] ?? words(detail)}. `, badge(end.name === "Finished" ? "acted" : "failed", end.name ? words(end.name) : "did not end"), end.detail && ` ${end.detail}`),
    el("p", { class: "quiet" }, `${plural(usage.calls, "call")}, ${usage.prompt_tokens.toLocaleString("en")} tokens in, ${usage.completion_tokens.toLocaleString("en")} out, ${plural(usage.invalid_calls, "mistaken call")}`),
    talk ? conversation(talk) : empty("The words of the dialogue are kept apart from the chain and have been pruned; their digest stands in the entry."),
  ];
}

function conversation(talk) {
  const speaker = talk.played_by ?? talk.served_model ?? talk.model;
  const aliases = Object.entries(talk.aliases ?? {});
  return el("div", { class: "talk" },
    talk.played_by && el("p", { class: "played" }, badge("shadow", talk.played_by), " No model took part: a script plays its side of this conversation, through the same port."),
    aliases.length > 0 && el("p", { class: "quiet" }, "The model saw aliases: ", aliases.map(([alias, name]) => el("span", { class: "alias" }, el("b", {}, alias), ` ${name}`))),
    el("ol", { class: "turns" }, talk.turns.map((turn) => said(turn, speaker))));
}

function said(turn, speaker) {
  switch (turn.turn) {
    case "Prompt":
      return el("li", { class: "turn turn-ipa" }, el("div", { class: "who" }, `IPA, ${turn.role} prompt`), folded(turn.text));
    case "Reply":
      return el("li", { class: "turn turn-model" }, el("div", { class: "who" }, speaker),
        turn.text && el("p", {}, turn.text),
        turn.calls.map((call) => el("div", { class: "call" }, el("b", {}, call.name), json(call.arguments))));
    case "Answers":
      return el("li", { class: "turn turn-ipa" }, el("div", { class: "who" }, "IPA, from the snapshot"),
        turn.answers.map((answer) => el("div", { class: answer.mistake ? "call call-mistake" : "call" }, el("b", {}, answer.name), answer.mistake && badge("failed", "mistaken call"), json(answer.content))));
    default:
      return el("li", { class: "turn" }, words(turn.turn));
  }
}

const SHORT = 280;

/// Long text is folded behind its first line.
function folded(text) {
  if (text.length <= SHORT) return el("p", { class: "said" }, text);
  const first = text.split("\n").find((line) => line.trim()) ?? "";
  return el("details", {}, el("summary", {}, first.slice(0, 120), el("span", { class: "quiet" }, ` … ${text.length.toLocaleString("en")} characters`)), el("pre", {}, text));
}

/// A value that fits on a line: no object, nor a list that holds one.
function plain(value) {
  return Array.isArray(value) ? value.every((v) => v === null || typeof v !== "object") : value === null || typeof value !== "object";
}

/// Small arguments as `name value` pairs, larger ones as indented JSON; what is no JSON is shown as it came.
function json(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return el("pre", {}, text);
  }
  const flat = value !== null && typeof value === "object" && !Array.isArray(value) && Object.values(value).every(plain);
  if (flat) return el("dl", { class: "arguments" }, Object.entries(value).map(([name, v]) => el("div", {}, el("dt", {}, name), el("dd", {}, Array.isArray(v) ? v.join(", ") : String(v)))));
  const pretty = JSON.stringify(value, null, 2);
  return pretty.length <= SHORT ? el("pre", {}, pretty) : el("details", {}, el("summary", {}, plural(Array.isArray(value) ? value.length : Object.keys(value).length, Array.isArray(value) ? "item" : "field")), el("pre", {}, pretty));
}
