// The two windows: the list of keys, and the prompt for a token when the server asks for one.

import { keepToken } from "./api.js";
import { el } from "./dom.js";
import { KEYS } from "./keys.js";

export function helpDialog() {
  const close = () => dialog.close();
  const dialog = el("dialog", { "aria-labelledby": "keys-title" },
    el("h2", { id: "keys-title" }, "Keys"),
    el("dl", { class: "keys" }, KEYS.map(([key, does]) => el("div", {}, el("dt", {}, key.split("  ").map((k) => el("kbd", {}, k))), el("dd", {}, does)))),
    el("button", { on: { click: close } }, "Close"));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  return dialog;
}

/// Resolves when a token has been given; it stays in this tab's session storage.
export function tokenDialog() {
  return new Promise((given) => {
    const input = el("input", { type: "password", autocomplete: "off", "aria-label": "Token", required: true });
    const submit = (event) => {
      event.preventDefault();
      if (!input.value.trim()) return;
      keepToken(input.value.trim());
      dialog.close();
    };
    const dialog = el("dialog", { "aria-labelledby": "token-title" },
      el("h2", { id: "token-title" }, "This server asks for a token"),
      el("p", { class: "quiet" }, "It stands in the file that the server was started with (", el("code", {}, "--token-file"), "). It is kept for this tab alone."),
      el("form", { class: "ask", on: { submit } }, input, el("button", { class: "primary" }, "Continue")));
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => { dialog.remove(); given(); });
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
  });
}
