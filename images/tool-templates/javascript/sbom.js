// Prints the tool's software bill of materials (CycloneDX 1.6).
//
//   node sbom.js COMPONENT
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url)));
const own = read("./package.json");
const builder = read("./node_modules/@bytecodealliance/componentize-js/package.json");
const npm = ({ name, version, license }, type) => ({
  type,
  name,
  version,
  purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
  licenses: [{ expression: license }],
});
const component = readFileSync(process.argv[2]);
const bill = {
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  version: 1,
  metadata: {
    component: {
      ...npm(own, "application"),
      hashes: [{ alg: "SHA-256", content: createHash("sha256").update(component).digest("hex") }],
    },
    tools: { components: [npm(builder, "application")] },
  },
  // componentize-js brings the engine in; its version is the builder's.
  components: [
    { type: "platform", name: "spidermonkey (StarlingMonkey of componentize-js)", version: builder.version, licenses: [{ license: { id: "MPL-2.0" } }] },
  ],
};
console.log(JSON.stringify(bill, null, 2));
