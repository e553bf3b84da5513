// Keys, text and pointer of the canvas. Text goes through a text field, so that input methods compose in
// it: only what was committed is sent. Nothing can be pasted, dropped or copied.

import { inputs } from "./frames.js";

/** The longest text of one message, in bytes of UTF-8. */
const TEXT_BYTES_MAX = 512;
const WHEEL_MAX = 4096;
/** Pixels of a line, where a mouse counts lines. */
const LINE = 40;

const NAMED = {
  Escape: 1, Tab: 2, Backspace: 3, Enter: 4, NumpadEnter: 4, Space: 5, Insert: 6, Delete: 7, Home: 8,
  End: 9, PageUp: 10, PageDown: 11, ArrowLeft: 12, ArrowRight: 13, ArrowUp: 14, ArrowDown: 15,
  F1: 16, F2: 17, F3: 18, F4: 19, F5: 20, F6: 21, F7: 22, F8: 23, F9: 24, F10: 25, F11: 26, F12: 27,
  Minus: 28, Equal: 29, Comma: 30, Period: 31, Slash: 32,
};

function keyNumber(code) {
  if (/^Key[A-Z]$/.test(code)) return code.charCodeAt(3);
  if (/^Digit[0-9]$/.test(code)) return code.charCodeAt(5);
  return NAMED[code];
}

const modifiersOf = (event) => ({
  shift: event.shiftKey,
  ctrl: event.ctrlKey || event.metaKey,
  alt: event.altKey,
});

/** Sends what is done on `canvas` and typed into `field`; gives a function that stops it. */
export function listen(canvas, field, send) {
  const stop = new AbortController();
  const on = (target, name, handler, more) =>
    target.addEventListener(name, handler, { signal: stop.signal, ...more });
  const down = new Set();
  let buttons = 0;
  let place = [0, 0];
  let waiting = null;

  const text = (value) => {
    // Control characters are keys, not text.
    const plain = value.replace(/[\p{Cc}]/gu, "");
    let piece = "";
    for (const character of plain) {
      if (new TextEncoder().encode(piece + character).length > TEXT_BYTES_MAX) {
        send(inputs.text(piece));
        piece = "";
      }
      piece += character;
    }
    if (piece) send(inputs.text(piece));
  };

  on(field, "keydown", (event) => {
    if (event.isComposing || event.key === "Process") return;
    const modifiers = modifiersOf(event);
    // Where nothing is written, the space bar presses what has the focus.
    const isText = event.key.length === 1
      && !(event.key === " " && field.dataset.writes === "no")
      && (!(modifiers.ctrl || modifiers.alt) || event.getModifierState("AltGraph"));
    if (isText) return;
    const number = keyNumber(event.code) ?? NAMED[event.key];
    if (number === undefined) return;
    event.preventDefault();
    down.add(number);
    send(inputs.key(number, true, modifiers));
  });
  on(field, "keyup", (event) => {
    const number = keyNumber(event.code) ?? NAMED[event.key];
    if (!down.delete(number)) return;
    event.preventDefault();
    send(inputs.key(number, false, modifiersOf(event)));
  });
  const release = () => {
    for (const number of down) send(inputs.key(number, false, {}));
    down.clear();
  };
  on(window, "blur", release);

  on(field, "beforeinput", (event) => {
    if (event.isComposing || event.inputType === "insertCompositionText") return;
    event.preventDefault();
    if (event.inputType === "insertText" && event.data) text(event.data);
  });
  on(field, "compositionstart", () => field.classList.add("composing"));
  on(field, "compositionend", (event) => {
    field.classList.remove("composing");
    if (event.data) text(event.data);
    field.value = "";
  });
  // What was not prevented, some input methods write without a composition.
  on(field, "input", (event) => {
    if (event.isComposing || field.value === "") return;
    if (event.inputType === "insertText") text(field.value);
    field.value = "";
  });

  const pointer = (event, wheelX = 0, wheelY = 0) => {
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    const within = (value, size) => Math.max(0, Math.min(size - 1, Math.floor(value * scale)));
    place = [
      within(event.clientX - box.left, canvas.width), within(event.clientY - box.top, canvas.height),
    ];
    send(inputs.pointer(...place, buttons, wheelX, wheelY, modifiersOf(event)));
  };
  // Moves of one picture become one message.
  on(canvas, "pointermove", (event) => {
    if (waiting === null) {
      requestAnimationFrame(() => {
        if (!stop.signal.aborted && waiting) pointer(waiting);
        waiting = null;
      });
    }
    waiting = event;
  });
  const pressed = (event) => {
    waiting = null;
    // The browser's bits are primary, secondary, auxiliary too.
    buttons = event.buttons & 0b111;
    pointer(event);
  };
  on(canvas, "pointerdown", (event) => {
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    field.focus({ preventScroll: true });
    pressed(event);
  });
  on(canvas, "pointerup", pressed);
  on(canvas, "pointercancel", pressed);
  on(canvas, "wheel", (event) => {
    event.preventDefault();
    const unit = [1, LINE, canvas.height][event.deltaMode] * (event.deltaMode === 0 ? devicePixelRatio : 1);
    const turned = (delta) => Math.max(-WHEEL_MAX, Math.min(WHEEL_MAX, Math.round(delta * unit)));
    pointer(event, turned(event.deltaX), turned(event.deltaY));
  }, { passive: false });

  for (const name of ["copy", "cut", "paste", "drop", "dragstart", "dragover", "contextmenu"]) {
    on(document, name, (event) => event.preventDefault(), { capture: true });
  }
  field.focus({ preventScroll: true });
  return () => {
    release();
    stop.abort();
    field.value = "";
    field.classList.remove("composing");
  };
}
