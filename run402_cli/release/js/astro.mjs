// Ask the project's own @run402/astro for the release of a build. Evaluated from the project's directory, so that a
// bare name is looked up there. Arguments: this directory as a URL, the build directory, folder.
const [here, build, folder] = process.argv.slice(1);
const { failure, jsonValue, report, started } = await import(`${here}/report.mjs`);

let astro;
try {
  astro = await import("@run402/astro/release-slice");
  if (typeof astro.buildAstroReleaseSlice !== "function") throw new Error("it has no buildAstroReleaseSlice");
} catch (error) {
  report(folder, failure("load", error));
}
started(folder);
try {
  report(folder, { ok: true, value: jsonValue(await astro.buildAstroReleaseSlice(build), "slice") });
} catch (error) {
  report(folder, failure("evaluate", error));
}
