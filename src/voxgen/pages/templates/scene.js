// A scene: its stage, its controls, and the scenes that it is turned together with.

const links = new Map();
const css = (stop) => `rgb(${stop.map((part) => Math.round(255 * part)).join(" ")})`;
const digits = (number) => String(Number(number.toPrecision(3)));

class Scene {
  constructor(figure) {
    this.find = (selector) => figure.querySelector(selector);
    this.all = (selector) => figure.querySelectorAll(selector);
    this.stage = this.find(".stage");
    this.content = JSON.parse(this.find("script").textContent);
    this.choice = this.content.choices[0];
    this.kind = this.choice.volume ? "volume" : "points";
    this.threshold = this.content.scale ? this.content.scale.threshold : 0;
    this.signed = Boolean(this.content.scale && this.content.scale.low < 0);
    this.turn = 0;
    this.together = [];
    if (this.content.link) {
      this.together = links.get(this.content.link) ?? this.together;
      links.set(this.content.link, this.together);
    }
    this.together.push(this);
  }

  async start() {
    if (missing()) {
      this.say(missing());
      return;
    }
    try {
      await this.draw(await once());
    } catch (error) {
      this.say(`The view in 3D did not start: ${error.message}`);
      throw error;
    }
  }

  say(words) {
    this.find(".words").hidden = !words;
    this.find(".words").textContent = words;
  }

  async draw({ K3D, ThreeJsProvider }) {
    this.plot = new K3D(ThreeJsProvider, this.stage, {
      clearColor: 0x07070c, menuVisibility: false, gridVisible: false, axesHelper: 0, colorbarObjectId: 0,
      cameraAutoFit: false, cameraMode: "orbit", cameraUpAxis: "z", cameraFov: FIELD, cameraDampingFactor: 0,
      lighting: 2.5, // the side towards the light then has about the colours of the scale
    });
    this.names = document.createElement("div");
    this.names.className = "names";
    this.stage.append(this.names);
    this.listen();
    await this.show(this.choice);
    this.reset();
    this.say("");
    this.stage.dataset.ready = "yes";
  }

  listen() {
    this.stage.querySelector("canvas").style.touchAction = "pan-y"; // up and down scrolls the page
    let held = false; // the wheel scrolls the page until the scene has been pressed
    document.addEventListener("pointerdown", ({ target }) => { held = this.stage.contains(target); }, true);
    this.stage.addEventListener("wheel", (event) => { if (!held) event.stopPropagation(); }, true);
    for (const kind of ["pointerdown", "wheel"]) this.stage.addEventListener(kind, () => { this.leads = true; });
    this.plot.on(this.plot.events.CAMERA_CHANGE, (camera) => this.lead(camera));
    this.plot.on(this.plot.events.RENDERED, () => this.place());
    const select = this.find("select");
    select.append(...this.content.choices.map((choice, i) => new Option(choice.name, i)));
    select.addEventListener("change", () => this.show(this.content.choices[select.value]));
    this.find(".chooser").hidden = this.content.choices.length < 2;
    const all = (act) => this.together.filter((scene) => scene.plot).forEach(act);
    for (const button of this.all(".kinds button"))
      button.addEventListener("click", () => all((scene) => scene.switchTo(button.dataset.kind)));
    this.find(".reset").addEventListener("click", () => all((scene) => scene.reset()));
    this.find("input").addEventListener("input", ({ target }) => all((scene) => scene.cut(Number(target.value))));
    this.find(".controls").hidden = false;
  }

  lead(camera) {
    if (!this.leads) return;
    for (const other of this.together)
      if (other !== this && other.plot) {
        other.leads = false;
        other.plot.setCamera(camera);
      }
  }

  async show(choice) {
    this.turn += 1;
    const turn = this.turn, { scale, heights } = this.content;
    this.choice = choice;
    if (!choice[this.kind]) this.kind = choice.volume ? "volume" : "points";
    const drawn = this.kind === "volume"
      ? await volumeObject(choice, scale.colours, opacity(this.threshold, this.signed))
      : await pointsObject(choice, heights);
    if (turn !== this.turn) return; // something else was chosen meanwhile
    for (const id of Object.values(IDS)) if (this.plot.getObjectById(id)) this.plot.removeObject(id);
    this.drawn = drawn;
    await this.plot.load({ objects: [drawn, ...frameObjects(choice)] });
    this.label();
  }

  // The names follow their places in the picture that has just been drawn.
  place() {
    const { camera } = this.plot.getWorld();
    this.names.replaceChildren(...names(this.choice).map(([words, place]) => {
      const span = document.createElement("span"), [left, top] = seen(camera, place);
      span.textContent = words;
      span.style.left = `${left}%`;
      span.style.top = `${top}%`;
      return span;
    }));
  }

  reset() {
    this.leads = false;
    this.plot.setCamera(firstCamera(this.choice, this.stage.clientWidth, this.stage.clientHeight));
    this.plot.render(true); // k3d forgets a change that comes while it draws
  }

  switchTo(kind) {
    if (kind === this.kind || !this.choice[kind]) return;
    this.kind = kind;
    this.show(this.choice);
  }

  cut(threshold) {
    this.threshold = threshold;
    if (this.kind === "volume") {
      this.drawn.opacity_function = opacity(threshold, this.signed);
      this.plot.reload(this.drawn, { opacity_function: this.drawn.opacity_function });
    }
    this.label();
  }

  label() {
    const isVolume = this.kind === "volume", { scale, heights, quantity } = this.content;
    const value = (level) => scale.low + (scale.high - scale.low) * level ** (1 / scale.gamma);
    const ends = isVolume ? [0, 0.5, 1].map((level) => digits(value(level))) : ["z 0", "", `z ${this.choice.top}`];
    if (isVolume) ends[2] += ` ${quantity}`;
    this.all(".ends span").forEach((span, i) => { span.textContent = ends[i]; });
    const stops = (isVolume ? scale.colours : heights).map(css).join(", ");
    this.find(".colours").style.background = `linear-gradient(to right, ${stops})`;
    this.find(".threshold").hidden = !isVolume;
    if (isVolume) {
      const limit = this.signed ? `±${digits(scale.high * this.threshold)}` : digits(value(this.threshold));
      this.find("output").textContent = `${limit} ${quantity}`;
    }
    this.find("input").value = this.threshold;
    this.find(".kinds").hidden = !(this.choice.volume && this.choice.points);
    for (const button of this.all(".kinds button"))
      button.setAttribute("aria-pressed", String(button.dataset.kind === this.kind));
    this.find(".size").textContent = `Box ${this.choice.words}. Drag to turn, press and wheel or pinch to zoom.`;
  }
}

const scenes = new Map([...document.querySelectorAll(".scene")].map((figure) => [figure, new Scene(figure)]));
const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries)
    if (isIntersecting) {
      watcher.unobserve(target);
      scenes.get(target).start();
    }
}, { rootMargin: "200px" });
for (const figure of scenes.keys()) watcher.observe(figure);
