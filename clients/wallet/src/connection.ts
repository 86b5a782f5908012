/**
 * Whether the gateway can be reached, as requests show it: a browser calls itself offline without any
 * network, though a server on the same machine responds.
 */

/** One failed request is repeated before anybody has read a word about it. */
const FAILURES = 2;

let failures = 0;

/** `fetch` that notes whether a response came; dispatches `connection` at the window. */
export const watchedFetch: typeof fetch = async (input, init) => {
  try {
    const answer = await fetch(input, init);
    note(0);
    return answer;
  } catch (error) {
    if (!init?.signal?.aborted) note(failures + 1);
    throw error;
  }
};

export const isConnected = () => failures < FAILURES;

function note(now: number): void {
  const before = isConnected();
  failures = now;
  if (isConnected() !== before) window.dispatchEvent(new Event("connection"));
}
