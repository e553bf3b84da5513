// The WebAuthn calls of the three forms. A form names its calls in `data-begin` and `data-finish` and
// the ceremony in `data-ceremony`; its named inputs go along with both.

const decode = (text) => Uint8Array.from(
  atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const encode = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

async function post(url, body) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    credentials: "same-origin",
    redirect: "error",
  });
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.message);
  return result;
}

async function create(options) {
  const key = options.publicKey;
  key.challenge = decode(key.challenge);
  key.user.id = decode(key.user.id);
  for (const other of key.excludeCredentials ?? []) other.id = decode(other.id);
  const made = await navigator.credentials.create({ publicKey: key });
  return {
    id: made.id,
    rawId: encode(made.rawId),
    type: made.type,
    response: {
      attestationObject: encode(made.response.attestationObject),
      clientDataJSON: encode(made.response.clientDataJSON),
    },
    clientExtensionResults: {},
  };
}

async function get(options) {
  const key = options.publicKey;
  key.challenge = decode(key.challenge);
  for (const allowed of key.allowCredentials) allowed.id = decode(allowed.id);
  const got = await navigator.credentials.get({ publicKey: key });
  return {
    id: got.id,
    rawId: encode(got.rawId),
    type: got.type,
    response: {
      authenticatorData: encode(got.response.authenticatorData),
      clientDataJSON: encode(got.response.clientDataJSON),
      signature: encode(got.response.signature),
      userHandle: got.response.userHandle ? encode(got.response.userHandle) : null,
    },
    clientExtensionResults: {},
  };
}

for (const form of document.querySelectorAll("form[data-ceremony]")) {
  const status = form.querySelector("[role=status]");
  const show = (text, kind) => {
    status.textContent = text;
    status.dataset.kind = kind;
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    show(form.dataset.waiting, "waiting");
    try {
      const fields = Object.fromEntries(new FormData(form));
      const options = await post(form.dataset.begin, fields);
      const ceremony = form.dataset.ceremony === "create" ? create : get;
      const credential = await ceremony(options);
      const done = await post(form.dataset.finish, { ...fields, credential });
      show(done.message, "done");
      form.reset();
      if (done.next) location.assign(done.next);
    } catch (error) {
      show(error.name === "NotAllowedError" ? form.dataset.cancelled : error.message, "refused");
    } finally {
      button.disabled = false;
    }
  });
}
