// A list whose entries are fetched when they are chosen, and drawn into scenes that stay.

// A scene whose content can be exchanged; where it is seen from, and above what, stays.
class Side extends Scene {
  async exchange(content) {
    if (!this.plot) return;
    const before = String(this.choice.size);
    this.content = content;
    this.signed = Boolean(content.scale && content.scale.low < 0);
    await this.show(content.choices[0]);
    if (String(this.choice.size) !== before) this.reset();
  }
}

const one = (selector) => document.querySelector(selector);
const all = JSON.parse(one("#names").textContent);
const [list, search, place] = [".list select", ".list input", ".scenes"].map(one);
const sides = [...document.querySelectorAll(".scenes > .side")];
const drawn = new Map();
let wanted = -1, shown = -1, busy = false;

function refuse(side, words) {
  const refusal = side.querySelector(".refusal");
  refusal.textContent = words;
  refusal.hidden = !words;
  side.querySelector(".place").hidden = Boolean(words);
  if (words) side.querySelector(".facts").textContent = "";
}

async function fill(side, part) {
  const figure = part.querySelector(".scene");
  if (!figure) {
    refuse(side, part.querySelector(".refusal").textContent);
    return;
  }
  refuse(side, "");
  side.querySelector(".facts").textContent = part.querySelector(".facts").textContent;
  const scene = drawn.get(side);
  if (!scene) {
    side.querySelector(".place").append(figure);
    drawn.set(side, new Side(figure));
    await drawn.get(side).start();
    return;
  }
  scene.find(".scene-title").textContent = figure.querySelector(".scene-title").textContent;
  scene.stage.setAttribute("aria-label", figure.querySelector(".stage").getAttribute("aria-label"));
  await scene.exchange(JSON.parse(figure.querySelector("script").textContent));
}

async function load(number) {
  place.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(`items/${number}`);
    if (!answer.ok) throw new Error(`it answered ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const parts = [...page.querySelectorAll(".side")];
    for (const [i, side] of sides.entries()) await fill(side, parts[i]);
  } catch (error) {
    const words = `No answer (${error.message}); look at the terminal in which voxgen view was started.`;
    for (const side of sides) refuse(side, words);
  }
  place.setAttribute("aria-busy", "false");
}

// Of those chosen while one is being drawn, the last is drawn next.
async function choose(number) {
  wanted = number;
  history.replaceState(null, "", `#${number}`);
  tell();
  if (busy) return;
  busy = true;
  while (shown !== wanted) {
    const next = wanted;
    await load(next);
    shown = next;
    place.dataset.shown = shown;
  }
  busy = false;
}

function tell() {
  one(".steps span").textContent = `${wanted + 1} of ${all.length}`;
  const at = list.selectedIndex;
  for (const button of document.querySelectorAll(".steps button"))
    button.disabled = !list.options[at + Number(button.dataset.step)];
}

function fillList() {
  const letters = search.value.trim().toLowerCase();
  const found = [...all.entries()].filter(([, name]) => name.toLowerCase().includes(letters));
  list.replaceChildren(...found.map(([i, name]) => new Option(name, i, false, i === wanted)));
  tell();
}

function asked() {
  const number = Number(location.hash.slice(1));
  return number in all ? number : 0;
}

search.addEventListener("input", fillList);
list.addEventListener("change", () => choose(Number(list.value)));
for (const button of document.querySelectorAll(".steps button"))
  button.addEventListener("click", () => {
    list.selectedIndex += Number(button.dataset.step);
    choose(Number(list.value));
  });
one(".list").hidden = all.length < 2;
wanted = asked();
fillList();
choose(wanted);
