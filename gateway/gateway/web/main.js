// A session's screen: connects, draws what comes, sends what is done, and says where the connection stands.

import { Messages, ProtocolError, Screen, inputs } from "./frames.js";
import { listen } from "./input.js";
import { Refused, post, signIn } from "./signin.js";
import { reason, say } from "./words.js";

const root = document.querySelector("#desktop");
const WATCH = root.dataset.watch;
const AGREEMENT = new URLSearchParams(location.search).get("agreement");
const [WIDTH_MAX, HEIGHT_MAX, SIDE_MIN] = [2560, 1600, 320];
/** A window that is being drawn larger tells its size when it rests, in milliseconds. */
const RESIZE_REST = 150;
const CURSORS = [
  "default", "default", "text", "pointer", "col-resize", "row-resize", "wait", "not-allowed", "none",
];
const CLOSED = { LOCKED: 4001, ENDED: 4002, REPLACED: 4003, LOST: 4004, PROTOCOL: 4005, WATCH_OVER: 4006 };

const element = (name, properties = {}) => Object.assign(document.createElement(name), properties);

const canvas = element("canvas", { width: SIDE_MIN, height: SIDE_MIN });
canvas.setAttribute("role", "application");
canvas.setAttribute("aria-label", say("screen"));
const field = element("textarea", { autocomplete: "off", spellcheck: false, rows: 1 });
field.setAttribute("aria-label", say("typing"));
field.setAttribute("autocapitalize", "none");
field.setAttribute("autocorrect", "off");
const cover = element("section", { className: "cover" });
const status = element("p", { className: "status" });
status.setAttribute("role", "status");
status.setAttribute("aria-live", "polite");
const next = element("div", { className: "next" });
cover.append(status, next);
root.append(canvas, field, cover);
if (WATCH) field.disabled = true;

const screen = new Screen(canvas);

function tell(text, ...more) {
  status.textContent = text;
  next.replaceChildren(...more);
  cover.hidden = false;
}

/** The area there is: width and height in pixels, pixels per point in percent. */
function area() {
  const ratio = devicePixelRatio;
  const side = (points, max) => Math.max(SIDE_MIN, Math.min(max, Math.floor(points * ratio)));
  const scale = Math.max(100, Math.min(400, Math.round(ratio * 100)));
  return [side(innerWidth, WIDTH_MAX), side(innerHeight, HEIGHT_MAX), scale];
}

function fit() {
  canvas.style.width = `${canvas.width / devicePixelRatio}px`;
  canvas.style.height = `${canvas.height / devicePixelRatio}px`;
}

function placeField(caret) {
  const box = canvas.getBoundingClientRect();
  const scale = box.width / canvas.width;
  field.style.left = `${box.left + (caret?.x ?? 0) * scale}px`;
  field.style.top = `${box.top + (caret?.y ?? 0) * scale}px`;
  field.style.height = `${Math.max(16, (caret?.height ?? 20) * scale)}px`;
}

async function draw(message, send) {
  switch (message.type) {
    case "tiles":
      await screen.tiles(message.tiles);
      if (message.endsFrame) {
        cover.hidden = true;
        send(inputs.ack(message.frame, false));
      }
      break;
    case "scroll":
      screen.scroll(message.from, message.dx, message.dy);
      break;
    case "size":
      screen.size(message.width, message.height);
      fit();
      break;
    case "cursor":
      field.dataset.writes = message.caret ? "yes" : "no";
      canvas.style.cursor = CURSORS[message.shape] ?? "default";
      placeField(message.caret);
      break;
    default:
      send(inputs.ack(message.number, true));
  }
}

/** Shows the screen until its connection ends; gives the code and the reason of that. */
function show(path) {
  return new Promise((resolve) => {
    const [width, height, scale] = area();
    const url = new URL(path, location.href);
    url.protocol = "wss:";
    url.search = new URLSearchParams({ w: width, h: height, scale });
    const socket = new WebSocket(url, "kekkai-frames-1");
    socket.binaryType = "arraybuffer";
    const send = (bytes) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(bytes);
    };
    const stream = new DecompressionStream("deflate-raw");
    const writer = stream.writable.getWriter();
    const messages = new Messages();
    let failed = false;
    let deaf = () => {};
    let timer = 0;
    const fail = () => {
      failed = true;
      socket.close(CLOSED.PROTOCOL);
    };

    (async () => {
      const reader = stream.readable.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        for (const message of messages.push(value)) await draw(message, send);
        value.fill(0);
      }
    })().catch((error) => {
      if (!failed && socket.readyState === WebSocket.OPEN) {
        console.error(error instanceof ProtocolError ? `no message: ${error.message}` : error.name);
        fail();
      }
    });

    const resized = () => {
      clearTimeout(timer);
      timer = setTimeout(() => send(inputs.resize(...area())), RESIZE_REST);
    };
    socket.addEventListener("open", () => {
      if (WATCH) return;
      deaf = listen(canvas, field, send);
      addEventListener("resize", resized);
    });
    socket.addEventListener("message", (event) => {
      if (typeof event.data === "string") return fail();
      writer.write(new Uint8Array(event.data)).catch(fail);
    });
    socket.addEventListener("close", (event) => {
      deaf();
      removeEventListener("resize", resized);
      clearTimeout(timer);
      writer.abort().catch(() => {});
      screen.wipe();
      resolve({ code: failed ? CLOSED.PROTOCOL : event.code, reason: event.reason });
    });
  });
}

/** Asks for both factors; resolves when the person was verified. */
function verified(text) {
  return new Promise((resolve) => {
    const form = element("form", { className: "verify" });
    const labelled = (name, input) => {
      const label = element("label");
      label.append(say(name), input);
      return label;
    };
    const person = element("input", {
      name: "person", required: true, maxLength: 64, autocomplete: "username", value: root.dataset.person ?? "",
    });
    const code = element("input", {
      name: "token_code", required: true, maxLength: 16, inputMode: "numeric", autocomplete: "one-time-code",
    });
    const button = element("button", { type: "submit", textContent: say("go") });
    const said = element("p", { className: "said" });
    said.setAttribute("role", "status");
    form.append(element("p", { textContent: say("again") }), labelled("person", person),
      labelled("code", code), button, said);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      button.disabled = true;
      said.textContent = say("waiting");
      try {
        await signIn(person.value, code.value);
        resolve();
      } catch (error) {
        said.textContent = error.name === "NotAllowedError" ? say("cancelled") : error.message;
        code.value = "";
        code.focus();
      } finally {
        button.disabled = false;
      }
    });
    tell(text, form);
    (person.value ? code : person).focus();
  });
}

function over(text) {
  const again = element("a", { href: location.pathname + location.search, textContent: say("anew") });
  tell(text, ...(WATCH ? [] : [again]));
}

async function watch() {
  tell(say("connecting"));
  const { code, reason: why } = await show(WATCH);
  if (code === CLOSED.WATCH_OVER || code === CLOSED.ENDED) over(say("watchOver"));
  else over(why ? reason(why) : say("lost"));
}

async function work() {
  for (;;) {
    tell(say("opening"));
    try {
      const opened = await post("/desktop/open", { agreement: AGREEMENT });
      document.title = opened.title;
    } catch (error) {
      if (error.code === "sign-in-needed") {
        await verified(error.message);
        continue;
      }
      over(error instanceof Refused && error.message ? error.message : say("next"));
      return;
    }
    tell(say("connecting"));
    const { code, reason: why } = await show("/desktop/screen");
    if (code === CLOSED.ENDED) return over(reason(why));
    if (code === CLOSED.REPLACED) return over(say("replaced"));
    if (code === CLOSED.LOST) return over(say("lost"));
    if (code === CLOSED.PROTOCOL) return over(say("protocol"));
    // Locked, or the line was cut: the session waits for its person.
    await verified(say(code === CLOSED.LOCKED ? "locked" : "cut"));
  }
}

addEventListener("beforeprint", () => root.classList.add("printing"));
addEventListener("afterprint", () => {
  root.classList.remove("printing");
  field.focus({ preventScroll: true });
});
(WATCH ? watch() : work()).catch((error) => {
  screen.wipe();
  console.error(error.name);
  tell(say("protocol"));
});
