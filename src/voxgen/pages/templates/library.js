// k3d comes compressed, and is unpacked when the first scene comes into view.

async function unpacked(base64, Type) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Type(await new Response(stream).arrayBuffer());
}

// k3d is an AMD module: it hands itself to `define`.
async function loaded() {
  const code = await unpacked(document.getElementById("k3d").textContent, Uint8Array);
  return new Promise((done, failed) => {
    window.define = (_name, _needs, factory) => done(factory());
    const tag = document.createElement("script");
    tag.src = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    tag.onerror = () => failed(new Error("k3d cannot be run"));
    document.head.append(tag);
  });
}

let library = null;
const once = () => (library ??= loaded());

let lack = null;
// What the browser lacks, in words; "" where nothing is missing.
function missing() {
  if (lack !== null) return lack;
  if (typeof DecompressionStream === "undefined") lack = "This browser is too old for the view in 3D.";
  else if (!document.createElement("canvas").getContext("webgl2"))
    lack = "The view in 3D needs WebGL 2, which this browser does not offer here.";
  else lack = "";
  return lack;
}
