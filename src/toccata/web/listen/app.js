// The page of a listening test: one screen at a time, from the introduction to the thanks.
// The rater's id stands in the address; all that the page knows of a clip is its place in a trial.

const rater = new URLSearchParams(location.search).get("rater") ?? "";
const at = (path) => `${path}?rater=${encodeURIComponent(rater)}`;
const by = (id) => document.getElementById(id);
const SCREENS = ["loading", "trouble", "intro", "trial", "pause", "thanks"];

let now = null; // what the server said last: mode, done, total, heard, trial
let players = [];
let begun = 0;

class Player {
  // A clip behind a button: it plays, tells how much of it was heard, and stops the others.
  constructor(letter, blob, several) {
    this.called = several ? letter : "the clip";
    this.url = URL.createObjectURL(blob);
    this.audio = new Audio(this.url);
    this.box = document.createElement("div");
    this.box.className = "player";
    this.box.setAttribute("role", "group");
    this.box.setAttribute("aria-label", several ? `Clip ${letter}` : "Clip");
    this.button = document.createElement("button");
    this.button.type = "button";
    this.slider = document.createElement("input");
    Object.assign(this.slider, { type: "range", min: 0, max: 1000, value: 0 });
    this.slider.setAttribute("aria-label", `Position in ${this.called}`);
    this.state = document.createElement("span");
    this.state.className = "state";
    this.box.append(this.button, this.slider, this.state);
    this.button.addEventListener("click", () => (this.audio.paused ? this.play() : this.audio.pause()));
    this.slider.addEventListener("input", () => {
      this.audio.currentTime = (this.slider.value / 1000) * (this.audio.duration || 0);
    });
    for (const event of ["play", "pause", "ended", "timeupdate", "loadedmetadata", "seeked"]) {
      this.audio.addEventListener(event, () => this.show());
    }
    this.audio.addEventListener("error", () => trouble("A clip cannot be played by this browser.", load));
    this.show();
  }

  play() {
    players.forEach((other) => other !== this && other.audio.pause());
    this.audio.play().catch((error) => error.name !== "AbortError" && trouble(`The clip does not play: ${error.message}`, load));
  }

  get heard() {
    const { played, duration } = this.audio;
    if (!duration) return 0;
    let seconds = 0;
    for (let k = 0; k < played.length; k += 1) seconds += played.end(k) - played.start(k);
    return Math.min(1, seconds / duration);
  }

  show() {
    const { paused, currentTime, duration } = this.audio;
    this.button.textContent = `${paused ? "Play" : "Pause"} ${this.called === "the clip" ? "" : this.called}`.trim();
    this.box.classList.toggle("playing", !paused);
    if (document.activeElement !== this.slider || !paused) this.slider.value = duration ? (1000 * currentTime) / duration : 0;
    this.slider.setAttribute("aria-valuetext", `${clock(currentTime)} of ${clock(duration)}`);
    const whole = this.heard >= now.heard ? " · heard" : "";
    this.state.textContent = `${clock(currentTime)} / ${clock(duration)}${whole}`;
    hint();
  }

  close() {
    this.audio.pause();
    this.audio.removeAttribute("src");
    URL.revokeObjectURL(this.url);
  }
}

function clock(seconds) {
  const whole = Number.isFinite(seconds) ? Math.round(seconds) : 0;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function screen(name) {
  SCREENS.forEach((one) => (by(one).hidden = one !== name));
  by(name).querySelector("h1[tabindex]")?.focus();
  if (name !== "trial") players.forEach((player) => player.audio.pause());
  window.scrollTo(0, 0);
}

function trouble(sentence, again) {
  by("why").textContent = sentence;
  by("retry").onclick = again;
  screen("trouble");
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(at(path), options);
  } catch {
    throw new Error("The server could not be reached. Your answer is kept here; check the connection and try again.");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw Object.assign(new Error(problem.detail ?? `The server answered ${response.status}.`), { status: response.status });
}

async function load() {
  screen("loading");
  try {
    now = await (await ask("v1/trials", { method: "POST" })).json();
    document.body.dataset.mode = now.mode;
    by("progress").hidden = now.trial === null;
    by("bar").max = now.total;
    by("bar").value = now.done;
    by("count").textContent = `Question ${Math.min(now.done + 1, now.total)} of ${now.total}`;
    if (now.trial === null) {
      by("all").textContent = now.total;
      screen("thanks");
    } else if (begun) {
      await showTrial();
    } else {
      introduce();
    }
  } catch (error) {
    trouble(error.message, load);
  }
}

function introduce() {
  by("total").textContent = now.total;
  by("so-far").textContent = now.done ? `You have answered ${now.done} already and go on from there.` : "";
  by("begin").textContent = now.done ? "Go on" : "Begin";
  screen("intro");
}

async function showTrial() {
  const { id, text, clips } = now.trial;
  const files = await Promise.all(
    [...Array(clips).keys()].map(async (place) => (await ask(`v1/trials/${id}/clips/${place}`)).blob()),
  );
  players.forEach((player) => player.close());
  players = files.map((blob, place) => new Player("AB"[place], blob, clips > 1));
  by("players").replaceChildren(...players.map((player) => player.box));
  by("question").textContent = clips > 1 ? "Which clip fits this description better?" : "How is this clip?";
  by("text").textContent = text;
  by("form").reset();
  for (const name of ["quality", "relevance"]) untouched(by(name));
  begun = performance.now();
  screen("trial");
  hint();
}

function untouched(slider) {
  slider.classList.add("untouched");
  slider.setAttribute("aria-valuetext", "not rated yet");
  document.querySelector(`output[for="${slider.id}"]`).textContent = "not rated yet";
}

function touched(slider) {
  slider.classList.remove("untouched");
  slider.removeAttribute("aria-valuetext");
  document.querySelector(`output[for="${slider.id}"]`).textContent = slider.value;
  hint();
}

function answer() {
  // What would be sent, or null where something is missing.
  if (now.mode === "pairs") {
    const chosen = new FormData(by("form")).get("preference");
    return chosen === null ? null : { preference: Number(chosen) };
  }
  const sliders = [by("quality"), by("relevance")];
  if (sliders.some((slider) => slider.classList.contains("untouched"))) return null;
  return { quality: sliders[0].valueAsNumber, relevance: sliders[1].valueAsNumber };
}

function hint() {
  const heard = players.length > 0 && players.every((player) => player.heard >= now.heard);
  const missing = [];
  if (!heard) missing.push(players.length > 1 ? "hear both clips to their ends" : "hear the clip to its end");
  if (answer() === null) missing.push(now.mode === "pairs" ? "choose an answer" : "move both sliders");
  const told = missing.length ? `Still to do: ${missing.join(", and ")}.` : "";
  if (by("hint").textContent !== told) by("hint").textContent = told;
  by("next").disabled = missing.length > 0;
}

async function send() {
  const body = { ...answer(), heard: players.map((player) => player.heard), seconds: (performance.now() - begun) / 1000 };
  by("next").disabled = true;
  players.forEach((player) => player.audio.pause());
  try {
    await ask(`v1/trials/${now.trial.id}/answer`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch (error) {
    // A trial that was answered elsewhere is over; anything else is worth another try, with the answer as it is.
    const over = error.status === 409 || error.status === 404;
    trouble(error.message, over ? load : () => { screen("trial"); send(); });
    return;
  }
  await load();
}

by("begin").addEventListener("click", () => { begun = 1; load(); });
by("resume").addEventListener("click", () => screen("trial"));
by("stop").addEventListener("click", () => {
  by("kept").textContent = now.done ? `What you answered so far is stored, ${now.done} of ${now.total}.` : "";
  by("address").value = location.href;
  screen("pause");
});
by("address").addEventListener("focus", (event) => event.target.select());
by("form").addEventListener("change", hint);
by("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!by("next").disabled) send();
});
for (const name of ["quality", "relevance"]) {
  by(name).addEventListener("input", (event) => touched(event.target));
  by(name).addEventListener("click", (event) => touched(event.target));
}

load();
