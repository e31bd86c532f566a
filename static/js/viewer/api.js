// The three calls of the viewer page: a token, what the broker says about idling, why a session ended.

/** The broker's answer, or an Error with `.again`: whether trying once more may help, and `.code`. */
class Refused extends Error {
  constructor(words, again, code = "") {
    super(words);
    this.again = again;
    this.code = code;
  }
}

const SIGNED_OUT = "Your sign-in has ended. Sign in again.";

async function read(response) {
  if ([401, 403].includes(response.status) || response.redirected) throw new Refused(SIGNED_OUT, false, "signed-out");
  const told = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(told.error || `The broker answered ${response.status}.`, told.again ?? response.status >= 500);
  return told;
}

/** Ask for a token with what the page knows, such as {width, height, layout}. Raises Refused. */
export async function askToken(page, values) {
  let response;
  try {
    response = await fetch(page.tokenUrl, {
      method: "POST", headers: { "X-CSRFToken": page.csrf, Accept: "application/json" }, body: new URLSearchParams(values),
    });
  } catch {
    throw new Refused("The broker does not answer.", true);
  }
  return read(response);
}

/** What the broker says about idling: {words, seconds}, null, or undefined where it does not answer. */
export async function askNotice(page) {
  try {
    const response = await fetch(page.stateUrl, { headers: { Accept: "application/json", "X-Usher-Poll": "1" } });
    return response.ok ? (await response.json()).notice : undefined;
  } catch {
    return undefined;
  }
}

const LATER = 300; // ms in which a gateway has written down what it has just told us
const TRIES = 3;

/** Why the session of a token ended or was refused: {reason, code}; empty where the gateway does not say it, code "away"
 *  where the browser does not reach it. */
export async function askWhy(url, token) {
  for (let tried = 0; tried < TRIES; tried += 1) {
    const told = await whyNow(url, token);
    if (told.code !== "open") return told;
    await new Promise((resolve) => { setTimeout(resolve, LATER); });
  }
  return { reason: "", code: "" };
}

async function whyNow(url, token) {
  const address = new URL("/viewer/v1/why", url.replace(/^ws/, "http"));
  try {
    const response = await fetch(address, {
      method: "POST", headers: { "Content-Type": "text/plain" }, body: JSON.stringify({ token }), credentials: "omit",
      signal: AbortSignal.timeout(3000),
    });
    const told = await response.json().catch(() => ({}));
    return { reason: told.reason ?? told.detail ?? "", code: told.code ?? told.error ?? "" };
  } catch {
    return { reason: "", code: "away" };
  }
}
