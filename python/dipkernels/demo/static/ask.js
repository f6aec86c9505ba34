// Questions to the server, which computes all that the page shows.
// The answer to a question, or an Error with the server's words.
export async function ask(path, body, type = "application/json") {
  const request = body === undefined ? {} : { method: "POST", body, headers: { "Content-Type": type } };
  let response;
  try {
    response = await fetch(path, request);
  } catch {
    throw new Error("the program behind this page does not answer; is it still running?");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || `the server says ${response.status}`);
  return answer;
}

// Calls `question` with the newest arguments, one call at a time: what came in between is skipped.
export function newestOnly(question) {
  let running = false, waiting = null;
  return async function go(...given) {
    if (running) { waiting = given; return; }
    running = true;
    try { await question(...given); } finally { running = false; }
    if (waiting) { const next = waiting; waiting = null; go(...next); }
  };
}

export function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}
