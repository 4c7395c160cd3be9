// Front ends of widgets are modules. They all lie beside this script, under the names that pages ask for.
requirejs.config({ baseUrl: new URL(".", document.currentScript.src).href.replace(/\/$/, "") });
