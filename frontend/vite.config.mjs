import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { PurgeCSS } from "purgecss";
import { defineConfig } from "vite";
import { sprite } from "./icons.mjs";

const here = import.meta.dirname;
const web = resolve(here, "../src/gridtalk/web");
const out = resolve(web, "static/web/build");

/** Takes out of Tabler's style sheet what no page uses: 60 kB instead of 700. */
function purge() {
  return {
    name: "gridtalk-purge",
    enforce: "post",
    async generateBundle(_options, bundle) {
      for (const asset of Object.values(bundle)) {
        if (asset.type !== "asset" || !asset.fileName.endsWith(".css")) continue;
        const [purged] = await new PurgeCSS().purge({
          content: [
            join(web, "templates/**/*.html"),
            join(web, "**/*.py"),
            join(here, "src/**/*.ts"),
          ],
          css: [{ raw: String(asset.source) }],
          safelist: { greedy: [/data-(bs-)?theme/, /data-live/, /uplot/, /u-/, /aria-/, /htmx/] },
          defaultExtractor: (text) => text.match(/[\w-]+/g) ?? [],
        });
        asset.source = purged.css;
      }
    },
  };
}

/** Emits the sprite, manifest.json (entry → files) and a gzipped twin of each file. */
function manifest() {
  return {
    name: "gridtalk-manifest",
    enforce: "post",
    generateBundle() {
      const source = sprite(here);
      const hash = createHash("sha256").update(source).digest("hex").slice(0, 8);
      this.emitFile({ type: "asset", fileName: `assets/icons-${hash}.svg`, source });
    },
    writeBundle(_options, bundle) {
      const files = { icons: { file: "", css: [], imports: [] } };
      for (const item of Object.values(bundle)) {
        if (item.type === "chunk" && item.isEntry) {
          files[item.name] = {
            file: item.fileName,
            css: [...(item.viteMetadata?.importedCss ?? [])],
            imports: item.imports,
          };
        } else if (item.fileName.endsWith(".svg")) {
          files.icons.file = item.fileName;
        }
        const content = item.type === "chunk" ? item.code : item.source;
        const path = join(out, `${item.fileName}.gz`);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, gzipSync(content, { level: 9 }));
      }
      writeFileSync(join(out, "manifest.json"), JSON.stringify(files, null, 2));
    },
  };
}

export default defineConfig({
  root: here,
  base: "./",
  publicDir: false,
  plugins: [purge(), manifest()],
  build: {
    outDir: out,
    // A server that runs has listed the old files: build.py removes them days later.
    emptyOutDir: false,
    assetsInlineLimit: 0,
    modulePreload: false,
    target: "es2022",
    cssTarget: ["chrome111", "firefox114", "safari16.4"],
    rollupOptions: {
      input: {
        site: join(here, "src/site.ts"),
        theme: join(here, "src/theme.ts"),
        charts: join(here, "src/charts.ts"),
        phone: join(here, "src/phone.ts"),
      },
    },
  },
  test: { environment: "jsdom", root: here },
});
