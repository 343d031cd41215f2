// The keyboard: j and k move, Enter opens, a and r decide, / asks, ? lists the keys. Nothing is decided by one key alone: the first press of a or r
// goes to the button, the second presses it.

/// Keys and what they do, for the list.
export const KEYS = [
  ["j  k", "next, previous"],
  ["Enter", "open what is chosen"],
  ["a", "go to Approve of the chosen proposal; again: approve"],
  ["r", "go to Reject of the chosen proposal; again: reject"],
  ["/", "ask why"],
  ["t", "dark or light"],
  ["Esc", "back to the overview"],
  ["?", "this list"],
];

export function listen({ main, ask, actions }) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = event.target.matches("input, select, textarea");
    if (typing && event.key !== "Escape") return;
    const act = {
      j: () => move(main, 1),
      k: () => move(main, -1),
      Enter: () => open(event, actions),
      a: () => verb(main, "approve"),
      r: () => verb(main, "reject"),
      "/": () => toAsk(ask),
      t: () => actions.theme(),
      Escape: () => leave(event.target, typing),
      "?": () => actions.help(),
    }[event.key];
    if (act && act() !== false) event.preventDefault();
  });
}

function chosen() {
  return document.activeElement?.closest("[data-item]") ?? null;
}

function move(main, step) {
  const items = [...main.querySelectorAll("[data-item]")];
  if (items.length === 0) return false;
  const at = items.indexOf(chosen());
  const next = items[at < 0 ? (step > 0 ? 0 : items.length - 1) : Math.min(Math.max(at + step, 0), items.length - 1)];
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
  return true;
}

/// A record opens its page, a workload its explanation; buttons and links do what they always do.
function open(event, actions) {
  if (!event.target.matches("[data-item]")) return false;
  const { href, target } = event.target.dataset;
  if (href) location.hash = href;
  else if (target) actions.why(target);
  else event.target.querySelector("a.link")?.click();
  return true;
}

/// On a proposal, or where there is only one.
function verb(main, name) {
  const all = main.querySelectorAll("[data-proposal]");
  const proposal = document.activeElement?.closest("[data-proposal]") ?? (all.length === 1 ? all[0] : null);
  const button = proposal?.querySelector(`[data-verb="${name}"]`);
  if (!button || button.disabled) return false;
  if (document.activeElement === button) button.click();
  else button.focus();
  return true;
}

function toAsk(input) {
  if (!input.isConnected) {
    window.addEventListener("hashchange", () => setTimeout(() => input.focus()), { once: true });
    location.hash = "#/";
  }
  input.focus();
  input.select();
  return true;
}

function leave(from, typing) {
  if (typing) from.blur();
  else if (location.hash.startsWith("#/record/")) location.hash = "#/";
  else document.activeElement?.blur();
  return true;
}

// A click anywhere on a row of the timeline opens it, as Enter does; selecting text does not.
document.addEventListener("click", (event) => {
  const row = event.target.closest("[data-href]");
  if (row && !event.target.closest("a, button, summary") && getSelection().isCollapsed) location.hash = row.dataset.href;
});
