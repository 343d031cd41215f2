// The API, asked as any program asks it. A token that is needed is kept for this tab alone.

const TOKEN = "ipa-token";

/// What was answered when something could not be served: the sentence and its mend.
export class Refusal extends Error {
  constructor(status, error, mend) {
    super(error);
    this.status = status;
    this.mend = mend;
  }
}

export function keepToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

async function call(path, options = {}) {
  const headers = { accept: "application/json", ...options.headers };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(`/api/v1/${path}`, { ...options, headers, credentials: "omit", redirect: "error" });
  } catch {
    throw new Refusal(0, "the server does not answer", "it may have stopped; this page tries again");
  }
  if (response.status === 304) return { status: 304 };
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal(response.status, body.error ?? `the server answered ${response.status}`, body.mend ?? "");
  return { status: response.status, body, tag: response.headers.get("etag") };
}

export async function get(path) {
  return (await call(path)).body;
}

export async function post(path, body) {
  const headers = { "content-type": "application/json" };
  return (await call(path, { method: "POST", headers, body: JSON.stringify(body) })).body;
}

let known = null;

/// What the last tick published; null when it is what was answered the last time.
export async function state() {
  const answer = await call("state", { cache: "no-store", headers: known ? { "if-none-match": known } : {} });
  if (answer.status === 304) return null;
  known = answer.tag;
  return answer.body;
}

/// The next `state` is answered in full.
export function forget() {
  known = null;
}
