// Starts the widgets of a page. A lab or a solid needs nothing but its own module, which the page holds, so it starts
// as soon as the page has been read. Jupyter's widget manager, four megabytes, is loaded only where another widget
// needs it.
(() => {
  const folder = new URL(".", document.currentScript.src).href;
  const VIEWS = 'script[type="application/vnd.jupyter.widget-view+json"]';
  const STATE = 'script[type="application/vnd.jupyter.widget-state+json"]';

  // What a widget's module sees of its model where there is no Python behind it.
  class Model {
    constructor(state) {
      this.state = state;
      this.listeners = [];
    }
    get(name) {
      return this.state[name];
    }
    set(name, value) {
      const former = this.state[name];
      this.state[name] = value;
      if (former !== value) this.tell(`change:${name}`);
    }
    tell(event) {
      for (const one of [...this.listeners]) if (one.event === event) one.callback();
    }
    on(event, callback) {
      this.listeners.push({ event, callback });
    }
    off(event, callback) {
      this.listeners = this.listeners.filter((one) => (event && one.event !== event) || (callback && one.callback !== callback));
    }
    save_changes() {}
    send() {}
  }

  const modules = new Map(); // those of one kind share their module
  function load(text) {
    if (!modules.has(text)) {
      const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      modules.set(text, import(address).finally(() => URL.revokeObjectURL(address)));
    }
    return modules.get(text);
  }

  async function startOwn(view, state) {
    const place = document.createElement("div");
    place.className = "lab-place";
    view.replaceWith(place); // so that the widget manager does not find it as well
    const style = document.createElement("style");
    style.textContent = state._css;
    const inside = document.createElement("div");
    place.append(style, inside);
    const module = await load(state._esm);
    module.default.render({ model: new Model(state), el: inside });
  }

  function loadManager() {
    window.require = { baseUrl: folder.replace(/\/$/, "") }; // where the widgets' modules lie
    for (const [name, attributes] of [["require.js", {}], ["embed-amd.js", { "data-jupyter-widgets-cdn": "./" }]]) {
      const script = document.createElement("script");
      script.async = false; // in this order
      for (const [key, value] of Object.entries(attributes)) script.setAttribute(key, value);
      script.src = folder + name;
      document.head.append(script);
    }
  }

  const models = JSON.parse(document.querySelector(STATE)?.textContent ?? "{}").state ?? {};
  const OWN = ["tms.lab.Lab", "tms.solid.Solid"];
  const isOwn = (model) => model?.model_module === "anywidget" && OWN.includes(model.state._anywidget_id);
  // The state comes before this script, so modules can be on their way while the page is still being read.
  for (const model of Object.values(models).filter(isOwn)) load(model.state._esm);

  function start() {
    let others = false;
    for (const view of document.querySelectorAll(VIEWS)) {
      const model = models[JSON.parse(view.textContent).model_id];
      if (isOwn(model)) startOwn(view, model.state);
      else others = true;
    }
    if (others) loadManager();
  }

  // Before the deferred scripts, which are large: "DOMContentLoaded" would come after them.
  if (document.readyState === "loading") document.addEventListener("readystatechange", start, { once: true });
  else start();
})();
