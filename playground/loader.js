"use strict";
/*
 * The page has its scripts compressed, as they stand in the folder playground/ of plainnet: `packed` is an array of
 * [name, text] as JSON (deflate, base64). The developer tools of a browser show them by their names.
 */
async function loadScripts(packed) {
  try {
    const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    for (const [name, text] of JSON.parse(await new Response(stream).text())) {
      const script = document.createElement("script");
      script.textContent = `${text}\n//# sourceURL=playground/${name}`;
      document.body.append(script); // runs it
    }
  } catch (error) {
    const note = document.createElement("p");
    note.setAttribute("role", "alert");
    note.textContent = "This browser is too old for the playground, which needs DecompressionStream and the SIMD " +
      `instructions of WebAssembly: Chrome 91, Firefox 113, Safari 16.4 or later. (${error})`;
    document.body.prepend(note);
  }
}
