// One call to the services through the gateway that served this page.

import { Problem } from "./problems.js";

const PATIENCE_MS = 15_000; // the gateway itself gives up on a service after 15 s

/** Send a request and return its JSON; raises Problem for a refusal, a silence or no connection. */
export async function send(method, path, { body, token } = {}) {
  const headers = { Accept: "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method, headers, cache: "no-store", credentials: "omit", redirect: "error",
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (answer.ok) return answer.status === 204 ? null : await answer.json();
  } catch (error) {
    throw new Problem({ code: error.name === "TimeoutError" ? "too_slow" : "no_connection", detail: String(error) });
  }
  throw await refusal(answer);
}

async function refusal(answer) {
  const told = await answer.json().catch(() => ({}));
  const wait = Number.parseFloat(answer.headers.get("Retry-After"));
  return new Problem({
    code: told.code ?? "internal",
    status: answer.status,
    detail: told.detail,
    told,
    retryAfter: Number.isFinite(wait) ? wait : null,
    reference: answer.headers.get("X-Request-ID"),
  });
}
