// Both factors, in the page: whoever comes back to a locked screen is verified as at the first time.

const decode = (text) => Uint8Array.from(
  atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const encode = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** A refusal in words, from the gateway. */
export class Refused extends Error {}

export async function post(url, body) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    credentials: "same-origin",
    cache: "no-store",
    redirect: "error",
  });
  const result = await answer.json();
  if (!answer.ok) {
    throw Object.assign(new Refused(result.text ?? result.message), { code: result.code });
  }
  return result;
}

/** Signs a person in: the authenticator's assertion and the token's code. */
export async function signIn(person, code) {
  const options = await post("/sign-in/begin", { person, token_code: code });
  const key = options.publicKey;
  key.challenge = decode(key.challenge);
  for (const allowed of key.allowCredentials) allowed.id = decode(allowed.id);
  const got = await navigator.credentials.get({ publicKey: key });
  const { authenticatorData, clientDataJSON, signature, userHandle } = got.response;
  await post("/sign-in/finish", {
    person,
    token_code: code,
    credential: {
      id: got.id,
      rawId: encode(got.rawId),
      type: got.type,
      response: {
        authenticatorData: encode(authenticatorData),
        clientDataJSON: encode(clientDataJSON),
        signature: encode(signature),
        userHandle: userHandle ? encode(userHandle) : null,
      },
      clientExtensionResults: {},
    },
  });
}
